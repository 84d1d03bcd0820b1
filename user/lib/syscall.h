/*
 * System calls as functions: abi/abi.h says what each does and who may call it. Results are negative enum err or what
 * is said there. "buffer" is world_page()->buffer.
 */
#ifndef USER_LIB_SYSCALL_H
#define USER_LIB_SYSCALL_H

#include "abi/abi.h"

/* The slot of the calling thread, from its stack. */
static inline unsigned world_slot(void)
{
    uint64_t rsp;

    __asm__("mov %%rsp, %0" : "=r"(rsp));
    return (unsigned)((rsp - WORLD_STACKS_BASE) / WORLD_STACK_STRIDE);
}

static inline struct abi_page *world_page_of(unsigned slot)
{
    return (struct abi_page *)(WORLD_PAGES_BASE + slot * PAGE_SIZE);
}

/* The page of the calling thread. */
static inline struct abi_page *world_page(void) { return world_page_of(world_slot()); }

static inline const struct abi_info *world_info(void) { return (const struct abi_info *)WORLD_INFO_BASE; }

static inline uint64_t world_tsc(void)
{
    uint32_t low, high;

    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

static inline int64_t syscall3(enum abi_syscall number, uint64_t a, uint64_t b, uint64_t c)
{
    int64_t result;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"((uint64_t)number), "D"(a), "S"(b), "d"(c)
                     : "rcx", "r11", "memory", "cc");
    return result;
}

static inline int64_t syscall2(enum abi_syscall number, uint64_t a, uint64_t b) { return syscall3(number, a, b, 0); }

static inline int64_t syscall1(enum abi_syscall number, uint64_t a) { return syscall3(number, a, 0, 0); }

static inline int64_t syscall0(enum abi_syscall number)
{
    int64_t result;

    __asm__ volatile("syscall" : "=a"(result) : "a"((uint64_t)number) : "rcx", "r11", "memory", "cc");
    return result;
}

/* ---- Every thread ---- */

static inline int64_t sys_park(uint64_t deadline) { return syscall1(SYS_PARK, deadline); }

static inline int64_t sys_unpark(unsigned slot) { return syscall1(SYS_UNPARK, slot); }

static inline int64_t sys_log(size_t length) { return syscall1(SYS_LOG, length); }

/* ---- Device worlds ---- */

__attribute__((noreturn)) static inline void sys_reply(void)
{
    syscall0(SYS_REPLY);
    __builtin_trap();
}

static inline int64_t sys_notify(void) { return syscall0(SYS_NOTIFY); }

static inline int64_t sys_apic_msg(uint64_t address, uint32_t data) { return syscall2(SYS_APIC_MSG, address, data); }

static inline int64_t sys_extint(bool level) { return syscall1(SYS_EXTINT, level); }

static inline int64_t sys_lapic_read(uint32_t offset) { return syscall1(SYS_LAPIC_READ, offset); }

static inline int64_t sys_lapic_write(uint32_t offset, uint32_t value)
{
    return syscall2(SYS_LAPIC_WRITE, offset, value);
}

static inline int64_t sys_vector_read(unsigned n) { return syscall1(SYS_VECTOR_READ, n); }
static inline int64_t sys_vector_write(unsigned n) { return syscall1(SYS_VECTOR_WRITE, n); }

static inline int64_t sys_boot(void) { return syscall0(SYS_BOOT); }

static inline int64_t sys_vm_end(enum abi_end reason, uint32_t status) { return syscall2(SYS_VM_END, reason, status); }

/* ---- Control ---- */

static inline int64_t sys_console_write(size_t length) { return syscall1(SYS_CONSOLE_WRITE, length); }

static inline int64_t sys_console_read(size_t max) { return syscall1(SYS_CONSOLE_READ, max); }

static inline int64_t sys_log_read(uint64_t sequence) { return syscall1(SYS_LOG_READ, sequence); }

static inline int64_t sys_vm_config(size_t offset, size_t length) { return syscall2(SYS_VM_CONFIG, offset, length); }

static inline int64_t sys_vm_create(void) { return syscall0(SYS_VM_CREATE); }

static inline int64_t sys_vm_notify(unsigned vm) { return syscall1(SYS_VM_NOTIFY, vm); }

static inline int64_t sys_vm_stop(unsigned vm, enum abi_end reason, uint32_t status)
{
    return syscall3(SYS_VM_STOP, vm, reason, status);
}

static inline int64_t sys_vm_destroy(unsigned vm) { return syscall1(SYS_VM_DESTROY, vm); }

static inline int64_t sys_vm_pause(unsigned vm) { return syscall1(SYS_VM_PAUSE, vm); }

static inline int64_t sys_vm_resume(unsigned vm) { return syscall1(SYS_VM_RESUME, vm); }

static inline int64_t sys_vm_info(unsigned vm) { return syscall1(SYS_VM_INFO, vm); }

static inline int64_t sys_vcpu_info(unsigned vm, unsigned vcpu) { return syscall2(SYS_VCPU_INFO, vm, vcpu); }

static inline int64_t sys_system_info(void) { return syscall0(SYS_SYSTEM_INFO); }

static inline int64_t sys_port_in(uint16_t port, unsigned size) { return syscall2(SYS_PORT_IN, port, size); }

static inline int64_t sys_port_out(uint16_t port, unsigned size, uint32_t value)
{
    return syscall3(SYS_PORT_OUT, port, size, value);
}

static inline int64_t sys_phys_read(uint64_t paddr, size_t length) { return syscall2(SYS_PHYS_READ, paddr, length); }

__attribute__((noreturn)) static inline void sys_reset(void)
{
    syscall0(SYS_RESET);
    __builtin_trap();
}

__attribute__((noreturn)) static inline void sys_halt(void)
{
    syscall0(SYS_HALT);
    __builtin_trap();
}

#endif
