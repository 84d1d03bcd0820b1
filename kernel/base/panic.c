#include "kernel/base/panic.h"

#include <stdarg.h>

#include "kernel/base/asm.h"
#include "kernel/base/backtrace.h"
#include "kernel/base/log.h"
#include "kernel/base/trap_frame.h"

static void (*stop)(void);

void panic_set_stop(void (*stop_others)(void))
{
    stop = stop_others;
}

static void put(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    log_last(fmt, args);
    va_end(args);
}

static void put_registers(const struct trap_frame *f)
{
    put("rax %016lx rbx %016lx rcx %016lx rdx %016lx", f->rax, f->rbx, f->rcx, f->rdx);
    put("rsi %016lx rdi %016lx rbp %016lx rsp %016lx", f->rsi, f->rdi, f->rbp, f->rsp);
    put("r8  %016lx r9  %016lx r10 %016lx r11 %016lx", f->r8, f->r9, f->r10, f->r11);
    put("r12 %016lx r13 %016lx r14 %016lx r15 %016lx", f->r12, f->r13, f->r14, f->r15);
    put("cr2 %016lx cr3 %016lx rflags %08lx cs %04lx", read_cr2(), read_cr3(), f->rflags, f->cs);
}

void panic_with(const struct trap_frame *f, panic_details *details, const void *what, const char *fmt, ...)
{
    va_list args;

    irq_disable();
    if (stop)
        stop();

    log_take_over();
    va_start(args, fmt);
    log_last(fmt, args);
    va_end(args);

    if (details)
        details(what, put);
    if (f)
        put_registers(f);
    backtrace_log((uint64_t)__builtin_frame_address(0), put);

    for (;;)
        __asm__ volatile("cli; hlt");
}
