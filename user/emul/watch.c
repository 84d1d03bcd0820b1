/* Breakpoints on data and ports: DR0 to DR3 and DR7 (SDM Vol. 3, 18.2.4 and 18.2.5). */
#include "user/emul/watch.h"

#define BREAKPOINTS 4u
#define CR4_DE      BIT(3)

enum { TYPE_WRITE = 1, TYPE_IO, TYPE_READ_WRITE };

static bool is_enabled(uint64_t dr7, unsigned n) { return dr7 >> 2 * n & 3; }

/* LEN: 1, 2, 8, 4 bytes; the address's low bits do not count. */
static unsigned length_of(uint64_t dr7, unsigned n)
{
    static const uint8_t lengths[4] = {1, 2, 8, 4};

    return lengths[dr7 >> (18 + 4 * n) & 3];
}

static bool overlaps(uint64_t dr, unsigned length, uint64_t address, unsigned size)
{
    uint64_t first = ALIGN_DOWN(dr, (uint64_t)length);

    return address <= first + (length - 1) && first <= address + (size - 1);
}

static void watch(struct emul *e, uint64_t address, unsigned size, unsigned type)
{
    const struct abi_regs *regs = e->regs;

    for (unsigned n = 0; n < BREAKPOINTS; n++) {
        unsigned wanted = regs->dr7 >> (16 + 4 * n) & 3;

        if (is_enabled(regs->dr7, n) && (wanted == type || (wanted == TYPE_READ_WRITE && type == TYPE_WRITE)) &&
            overlaps(regs->dr[n], length_of(regs->dr7, n), address, size))
            e->hits |= (uint8_t)BIT(n);
    }
}

void watch_memory(struct emul *e, uint64_t linear, unsigned size, bool write)
{
    watch(e, linear, size, write ? TYPE_WRITE : TYPE_READ_WRITE);
}

void watch_port(struct emul *e, uint16_t port, unsigned size)
{
    if (e->regs->cr4 & CR4_DE)
        watch(e, port, size, TYPE_IO);
}
