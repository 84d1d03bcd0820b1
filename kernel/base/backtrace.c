#include "kernel/base/backtrace.h"

#include "kernel/base/layout.h"

struct symbol {
    uint32_t address_low; /* lower half of the address, which lies in the top 2 GiB */
    uint32_t name;        /* offset from the table's start */
};
extern const uint64_t symbol_count;
extern const struct symbol symbol_table[];

const char *symbol_of(uint64_t address, uint64_t *offset)
{
    *offset = 0;
    if (address < (uint64_t)kernel_start || address >= (uint64_t)kernel_text_end || symbol_count == 0)
        return "?";

    uint64_t low = 0, high = symbol_count;

    while (high - low > 1) {
        uint64_t middle = (low + high) / 2;
        if (symbol_table[middle].address_low <= (uint32_t)address)
            low = middle;
        else
            high = middle;
    }

    if (symbol_table[low].address_low > (uint32_t)address) /* before the first function */
        return "?";

    *offset = (uint32_t)address - symbol_table[low].address_low;
    return (const char *)symbol_table + symbol_table[low].name;
}

void backtrace_log(uint64_t frame, void (*put)(const char *fmt, ...))
{
    for (int depth = 0; depth < 24 && frame >= KERNEL_MAPPED_BASE && !(frame & 7); depth++) {
        const uint64_t *f = (const uint64_t *)frame;
        uint64_t offset, caller = f[1];
        const char *name = symbol_of(caller, &offset);

        if (name[0] == '?')
            return;
        put("  %016lx %s+0x%lx", caller, name, offset);

        if (f[0] <= frame)
            return;
        frame = f[0];
    }
}
