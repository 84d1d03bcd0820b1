#include "kernel/cpu/stray.h"

#include <stdatomic.h>

#include "kernel/base/log.h"
#include "kernel/cpu/apic.h"

enum { NMI = 2 };

/*
 * Vectors that no exception in root has. They are reserved (SDM Vol. 3, table 7-1), or belong to what root does not
 * use: 20 (#VE), 21 (#CP), and 28 to 30, which AMD has for guests.
 */
#define NO_EXCEPTION                                                                                                   \
    (1u << 9 | 1u << 15 | 1u << 20 | 1u << 21 | 1u << 22 | 1u << 23 | 1u << 24 | 1u << 25 | 1u << 26 | 1u << 27 |      \
     1u << 28 | 1u << 29 | 1u << 30 | 1u << 31)

static _Atomic uint32_t counts[256];

bool stray_is_interrupt(uint8_t vector, bool no_error_code)
{
    if (vector == NMI)
        return false; /* trap_dispatch() handles it before, and an NMI by mistake does nothing */
    return no_error_code || (NO_EXCEPTION >> vector & 1) || apic_in_service(vector);
}

void stray_take(uint8_t vector, uint32_t cpu)
{
    bool in_service = apic_in_service(vector);
    if (in_service)
        apic_eoi();

    uint32_t count = atomic_fetch_add(&counts[vector], 1) + 1;
    if (count & (count - 1))
        return;
    log_line(LOG_WARNING, "CPU %u: interrupt with vector 0x%x, which nobody sends (%s): ignored, number %u of these",
             cpu, vector, in_service ? "by its LAPIC" : "not by its LAPIC", count);
}
