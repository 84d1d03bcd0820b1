#include "kernel/memory/phys_read.h"

#include "kernel/memory/paging.h"
#include "lib/string.h"

bool phys_read(uint64_t address, void *out, uint32_t size)
{
    for (uint32_t done = 0; done < size;) {
        uint64_t at = address + done, offset = at % PAGE_SIZE;
        uint32_t n = (uint32_t)MIN((uint64_t)(size - done), PAGE_SIZE - offset);

        const uint8_t *page = window_map(pa(at - offset), false);
        memcpy((uint8_t *)out + done, page + offset, n);
        window_unmap();

        done += n;
    }

    return true;
}
