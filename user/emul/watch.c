#include "user/emul/watch.h"

#define CR4_DE BIT(3)

void watch_memory(struct emul *e, uint64_t linear, unsigned size, bool write)
{
    const struct abi_regs *regs = e->regs;

    e->hits |= (uint8_t)breakpoint_hits(regs->dr7, regs->dr, linear, size, write ? BREAK_ON_WRITE : BREAK_ON_READ);
}

void watch_port(struct emul *e, uint16_t port, unsigned size)
{
    const struct abi_regs *regs = e->regs;

    if (regs->cr4 & CR4_DE)
        e->hits |= (uint8_t)breakpoint_hits(regs->dr7, regs->dr, port, size, BREAK_ON_IO);
}
