/* What instructions do, and the CPUs of a guest. */
#ifndef GUEST_CPU_H
#define GUEST_CPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAX_CPUS        256
#define CPU_STACKS_SIZE 0x4000 /* of a CPU: the stack proper, and those of exceptions (entry.asm) */

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define BIT(n)        (1ull << (n))

#define SELECTOR_CODE64 0x08
#define SELECTOR_DATA   0x10
#define SELECTOR_CODE32 0x18
#define SELECTOR_CODE16 0x20
#define SELECTOR_DATA16 0x28
#define SELECTOR_OWN    0x30 /* two descriptors for a guest's own use */
#define SELECTOR_TSS    0x40 /* of CPU 0; 16 more for each */

#define CR0_PE BIT(0)
#define CR0_TS BIT(3)
#define CR0_WP BIT(16)
#define CR0_NW BIT(29)
#define CR0_CD BIT(30)
#define CR0_PG BIT(31)

#define CR4_VME     BIT(0)
#define CR4_DE      BIT(3)
#define CR4_PSE     BIT(4)
#define CR4_PAE     BIT(5)
#define CR4_OSXSAVE BIT(18)

#define RFLAGS_FIXED BIT(1)
#define RFLAGS_TF    BIT(8)
#define RFLAGS_IF    BIT(9)
#define RFLAGS_VM    BIT(17)

#define MSR_TSC      0x10
#define MSR_APICBASE 0x1b
#define MSR_DEADLINE 0x6e0
#define MSR_EFER     0xc0000080

#define EFER_LME BIT(8)
#define EFER_LMA BIT(10)

static inline uint8_t in8(uint16_t port)
{
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}

static inline uint16_t in16(uint16_t port)
{
    uint16_t value;
    __asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}

static inline uint32_t in32(uint16_t port)
{
    uint32_t value;
    __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}

static inline void out8(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline void out16(uint16_t port, uint16_t value)
{
    __asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline void out32(uint16_t port, uint32_t value)
{
    __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline uint64_t rdmsr(uint32_t msr)
{
    uint32_t low, high;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr) : "memory");
    return low | (uint64_t)high << 32;
}

static inline void wrmsr(uint32_t msr, uint64_t value)
{
    __asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) : "memory");
}

struct cpuid {
    uint32_t eax, ebx, ecx, edx;
};

static inline struct cpuid cpuid(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid r;
    __asm__ volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf), "c"(subleaf));
    return r;
}

#define READ_CR(n)                                                                                                     \
    static inline uint64_t read_cr##n(void)                                                                            \
    {                                                                                                                  \
        uint64_t value;                                                                                                \
        __asm__ volatile("mov %%cr" #n ", %0" : "=r"(value) : : "memory");                                             \
        return value;                                                                                                  \
    }
#define WRITE_CR(n)                                                                                                    \
    static inline void write_cr##n(uint64_t value) { __asm__ volatile("mov %0, %%cr" #n : : "r"(value) : "memory"); }
READ_CR(0)
READ_CR(2)
READ_CR(3)
READ_CR(4)
READ_CR(8)
WRITE_CR(0)
WRITE_CR(3)
WRITE_CR(4)
WRITE_CR(8)

static inline uint64_t rdtsc(void)
{
    uint32_t low, high;
    __asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return low | (uint64_t)high << 32;
}

static inline void pause(void) { __asm__ volatile("pause" : : : "memory"); }

static inline void irq_on(void) { __asm__ volatile("sti" : : : "memory"); }

static inline void irq_off(void) { __asm__ volatile("cli" : : : "memory"); }

/* Sleep with interrupts on until one came; they are off again behind it. */
static inline void irq_wait(void) { __asm__ volatile("sti; hlt; cli" : : : "memory"); }

/* The CPU this runs on: 0 is the BSP, APs are numbered as they came. Works whatever FS and GS hold. */
static inline unsigned cpu_index(void)
{
    uint16_t selector;
    __asm__ volatile("str %0" : "=r"(selector));
    return (unsigned)(selector - SELECTOR_TSS) / 16;
}

#endif
