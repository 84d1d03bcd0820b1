/*
 * Instructions that few use on MMIO, on a word of it that holds what is written: the initial count of the LAPIC's
 * timer, which is masked. The device world's emulator executes them; what they change beside general registers goes
 * through root.
 */
#include "tests/guests/lib/apic.h"

const char guest_name[] = "mmio";

#define COUNT     (LAPIC_BASE + APIC_TMICT)
#define LANDING   0xe000 /* free RAM below 64 KiB */
#define TSS_BUSY  2
#define TYPE_BYTE 5
#define TYPE_TSS  0x89
#define TSS_LIMIT 0x67

struct table {
    uint16_t limit;
    uint64_t base;
} __attribute__((packed));

static volatile uint32_t *const count = (volatile uint32_t *)COUNT;

static void try_divide(void *unused)
{
    (void)unused;
    __asm__ volatile("divl (%0)" : : "r"(count), "a"(7), "d"(0) : "cc");
}

static void check_integer(void)
{
    uint64_t low, high;
    uint32_t result = 1000003, rest = 0;
    bool same;

    *count = 1000;
    __asm__ volatile("divl (%2)" : "+a"(result), "+d"(rest) : "r"(count) : "cc");
    check("DIV", 1000, result);
    check("DIV's remainder", 3, rest);
    *count = 0;
    check("DIV by 0", VECTOR_DE, (uint64_t)catch_trap(try_divide, NULL));

    *count = 0x50;
    __asm__ volatile("bsfl (%1), %0" : "=r"(result) : "r"(count) : "cc");
    check("BSF", 4, result);
    __asm__ volatile("shldl $8, %1, (%0)" : : "r"(count), "r"(0xab000000) : "memory", "cc");
    check("SHLD", 0x50ab, *count);
    __asm__ volatile("lock btsl $2, (%0)" : : "r"(count) : "memory", "cc");
    check("BTS", 0x50af, *count);

    low = *(volatile uint64_t *)COUNT;
    high = *(volatile uint64_t *)(COUNT + 8);
    __asm__ volatile("lock cmpxchg16b (%3)"
                     : "=@ccz"(same), "+a"(low), "+d"(high)
                     : "r"(count), "b"(0), "c"(0)
                     : "memory");
    check("CMPXCHG16B", true, same);
}

static void check_frame(void)
{
    uint64_t frame;

    *count = 0x12345;
    __asm__ volatile("mov %%rsp, %%r12\n\t"
                     "mov %%rbp, %%r13\n\t"
                     "mov %1, %%rbp\n\t"
                     "leave\n\t"
                     "mov %%rbp, %0\n\t"
                     "mov %%r12, %%rsp\n\t"
                     "mov %%r13, %%rbp"
                     : "=a"(frame)
                     : "b"(count)
                     : "r12", "r13", "memory");
    check("LEAVE", 0x12345, (uint32_t)frame);
}

static void check_status_word(void)
{
    uint64_t before = read_cr0();

    *count = (uint32_t)(before & 0xf) | CR0_TS;
    __asm__ volatile("lmsw (%0)" : : "r"(count) : "memory");
    check("LMSW", before | CR0_TS, read_cr0());
    *count = 0;
    __asm__ volatile("lmsw (%0)" : : "r"(count) : "memory");
    check("LMSW leaves PE", (before & ~0xfull) | CR0_PE, read_cr0());
    write_cr0(before);
}

static void check_segment(void)
{
    uint16_t selector;

    *count = SELECTOR_DATA;
    __asm__ volatile("movw (%1), %%fs\n\tmovw %%fs, %0" : "=r"(selector) : "r"(count) : "memory");
    check("MOV to FS", SELECTOR_DATA, selector);
    *count = 0;
    __asm__ volatile("movw (%1), %%fs\n\tmovw %%fs, %0" : "=r"(selector) : "r"(count) : "memory");
    check("MOV of null to FS", 0, selector);
}

/* By way of a descriptor of our own, and back. */
static void check_task_register(void)
{
    struct table gdt;
    uint64_t base;
    uint8_t *own;
    uint16_t selector;

    __asm__ volatile("sgdt %0" : "=m"(gdt));
    base = gdt.base;
    own = (uint8_t *)(base + SELECTOR_OWN);
    memcpy(own, (const void *)(base + SELECTOR_TSS), 16);
    own[TYPE_BYTE] = TYPE_TSS;
    *count = SELECTOR_OWN;
    __asm__ volatile("ltr (%1)\n\tstr %0" : "=r"(selector) : "r"(count) : "memory");
    check("LTR", SELECTOR_OWN, selector);
    check("LTR makes it busy", TYPE_TSS | TSS_BUSY, own[TYPE_BYTE]);

    ((uint8_t *)(base + SELECTOR_TSS))[TYPE_BYTE] &= (uint8_t)~TSS_BUSY;
    *count = SELECTOR_TSS;
    __asm__ volatile("ltr (%1)\n\tstr %0" : "=r"(selector) : "r"(count) : "memory");
    check("LTR back", SELECTOR_TSS, selector);
}

/* A pointer of 16:16 to a JMP RAX below 64 KiB. */
static void check_far_jump(void)
{
    uint64_t back = 0;

    memcpy((void *)LANDING, "\xff\xe0", 2);
    *count = LANDING | SELECTOR_CODE64 << 16;
    __asm__ volatile("lea 1f(%%rip), %%rax\n\t"
                     "data16 ljmp *(%1)\n\t"
                     "hlt\n"
                     "1: mov $1, %0"
                     : "=a"(back)
                     : "r"(count)
                     : "memory");
    check("far JMP", 1, back);
}

/* ---- Vector registers: bytes that count on from a start, so that each is known */

#define CR0_MP     BIT(1)
#define CR0_EM     BIT(2)
#define CR4_OSFXSR BIT(9)
#define LEAF1_AVX  BIT(28)

static void fill(uint8_t *bytes, unsigned size, unsigned from)
{
    for (unsigned i = 0; i < size; i++)
        bytes[i] = (uint8_t)(from + i);
}

static void check_sse(void)
{
    uint8_t old[16], got[16];
    uint32_t value;

    fill(old, 16, 1);
    *count = 0xcafe1234;
    __asm__ volatile("movdqu (%2), %%xmm3\n\t"
                     "movss (%1), %%xmm9\n\t"
                     "movups %%xmm9, (%0)"
                     :
                     : "r"(got), "r"(count), "r"(old)
                     : "memory");
    memcpy(&value, got, 4);
    check("MOVSS from MMIO", 0xcafe1234, value);
    memcpy(&value, got + 12, 4);
    check("MOVSS clears the rest", 0, value);

    __asm__ volatile("movd %%xmm3, (%1)\n\tmovups %%xmm3, (%0)" : : "r"(got), "r"(count) : "memory");
    check("MOVD to MMIO", 0x04030201, *count);
    check("another register is as it was", 0, (uint64_t)memcmp(old, got, 16));

    __asm__ volatile("movdqa (%1), %%xmm3\n\tmovups %%xmm3, (%0)" : : "r"(got), "r"(count) : "memory");
    memcpy(&value, got, 4);
    check("MOVDQA from MMIO", 0x04030201, value);
}

static void try_unaligned(void *unused)
{
    (void)unused;
    __asm__ volatile("movaps 4(%0), %%xmm3" : : "r"(count));
}

static void try_unavailable(void *unused)
{
    (void)unused;
    __asm__ volatile("movups (%0), %%xmm3" : : "r"(count));
}

static void check_avx(void)
{
    uint8_t old[32], got[32];
    uint32_t value;

    fill(old, 32, 0x40);
    *count = 0x55667788;
    __asm__ volatile("vmovdqu (%2), %%ymm5\n\t"
                     "movsd (%1), %%xmm5\n\t"
                     "vmovups %%ymm5, (%0)"
                     :
                     : "r"(got), "r"(count), "r"(old)
                     : "memory");
    memcpy(&value, got, 4);
    check("MOVSD from MMIO", 0x55667788, value);
    check("SSE leaves the upper half", 0, (uint64_t)memcmp(old + 16, got + 16, 16));
    __asm__ volatile("vmovd (%1), %%xmm5\n\tvmovups %%ymm5, (%0)" : : "r"(got), "r"(count) : "memory");
    memcpy(&value, got + 16, 4);
    check("VEX clears the upper half", 0, value);
    __asm__ volatile("vmovdqu (%1), %%ymm5\n\tvmovups %%ymm5, (%0)" : : "r"(got), "r"(count) : "memory");
    memcpy(&value, got, 4);
    check("VMOVDQU from MMIO", 0x55667788, value);
}

static void check_vectors(void)
{
    uint64_t cr0 = read_cr0(), cr4 = read_cr4();

    write_cr0((cr0 & ~(CR0_EM | CR0_TS)) | CR0_MP);
    write_cr4(cr4 | CR4_OSFXSR);
    check_sse();
    check("MOVAPS of an odd address", VECTOR_GP, (uint64_t)catch_trap(try_unaligned, NULL));
    write_cr0(read_cr0() | CR0_TS);
    check("MOVUPS with CR0.TS", VECTOR_NM, (uint64_t)catch_trap(try_unavailable, NULL));
    write_cr0(read_cr0() & ~CR0_TS);
    if (cpuid(1, 0).ecx & LEAF1_AVX) {
        write_cr4(read_cr4() | CR4_OSXSAVE);
        __asm__ volatile("xsetbv" : : "c"(0), "a"(7), "d"(0));
        check_avx();
    }
    write_cr4(cr4);
    write_cr0(cr0);
}

/* ---- Breakpoints on data */

#define DR7_READ_WRITE(n) (2ull << 2 * (n) | 3ull << (16 + 4 * (n)))
#define DR7_LENGTH(n, l)  ((uint64_t)((l)-1) << (18 + 4 * (n)))
#define DR6_HITS          0xf
#define PORT_POST         0x80

static volatile uint64_t hits, hit_rip, hit_count;

static void debug_trap(struct trap *t)
{
    uint64_t dr6;

    __asm__ volatile("mov %%dr6, %0" : "=r"(dr6));
    __asm__ volatile("mov %0, %%dr6" : : "r"(0xffff0ff0ull));
    hits = dr6 & DR6_HITS;
    hit_rip = t->rip;
    hit_count = t->rcx;
    __asm__ volatile("mov %0, %%dr7" : : "r"(0x400ull));
}

static void watch(const volatile void *what, uint64_t dr7)
{
    hits = hit_rip = 0;
    __asm__ volatile("mov %0, %%dr0\n\tmov %1, %%dr7" : : "r"(what), "r"(0x400 | dr7) : "memory");
}

static void check_breakpoints(void)
{
    static char text[] = "abcdefgh";
    const char *from = text;
    uint64_t rip, n = sizeof(text) - 1;
    uint32_t value;

    trap_set(VECTOR_DB, debug_trap);
    *count = 77;
    watch(count, DR7_READ_WRITE(0) | DR7_LENGTH(0, 4));
    __asm__ volatile("movl (%2), %0\n1: lea 1b(%%rip), %1" : "=&r"(value), "=r"(rip) : "r"(count) : "memory");
    check("a load behind its breakpoint", 77, value);
    check("DR6 behind a load from MMIO", 1, hits);
    check("its RIP", rip, hit_rip);

    watch(count, DR7_READ_WRITE(0) | DR7_LENGTH(0, 4));
    *(volatile uint32_t *)(LAPIC_BASE + APIC_SVR) |= SVR_ENABLE;
    check("MMIO beside a breakpoint", 0, hits);

    watch(text + 2, DR7_READ_WRITE(0));
    __asm__ volatile("lea 1f(%%rip), %2\n1: rep outsb" : "+S"(from), "+c"(n), "=&r"(rip) : "d"(PORT_POST) : "memory");
    check("DR6 within REP OUTS", 1, hits);
    check("its RIP", rip, hit_rip);
    check("its RCX", sizeof(text) - 1 - 3, hit_count);
    check("REP OUTS goes on", 0, n);
    watch(text, 0);
}

void guest_main(void)
{
    lapic_init(false);
    lapic_write(APIC_LVTT, LVT_MASKED);
    check_integer();
    check_frame();
    check_status_word();
    check_segment();
    check_task_register();
    check_far_jump();
    check_breakpoints();
    check_vectors();
}
