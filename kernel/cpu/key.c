#include "kernel/cpu/key.h"

#include <stdatomic.h>

#include "kernel/base/asm.h"
#include "kernel/base/layout.h"
#include "kernel/base/log.h"
#include "kernel/base/panic.h"
#include "kernel/base/percpu.h"
#include "kernel/cpu/apic.h"
#include "kernel/cpu/trap.h"
#include "kernel/memory/paging.h"
#include "lib/string.h"

struct site {
    uint64_t at, target;
    const struct key *key;
};
extern const struct site keys_start[], keys_end[];

static _Atomic uint32_t waiting; /* CPUs that stand still */
static _Atomic uint32_t round;   /* the number of the patching: they stand still until it changes */

/* Writes through the window, as no mapping of root's code is writable. */
void code_write(uint64_t at, const uint8_t *bytes, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        uint64_t physical = at + i - KERNEL_BASE;
        uint8_t *page = window_map(pa(ALIGN_DOWN(physical, PAGE_SIZE)), true);
        page[physical % PAGE_SIZE] = bytes[i];
        window_unmap();
    }
}

static void patch(const struct key *k, bool on)
{
    for (const struct site *s = keys_start; s < keys_end; s++) {
        uint8_t code[5] = {0x0f, 0x1f, 0x44, 0, 0};
        int32_t distance = (int32_t)(s->target - s->at - sizeof code);
        if (on) {
            code[0] = 0xe9;
            memcpy(code + 1, &distance, sizeof distance);
        }

        if (s->key == k)
            code_write(s->at, code, sizeof code);
    }
}

/*
 * The other CPUs stand still while the code is patched. They and this CPU execute CPUID, which serializes, before they
 * execute anything of the new code (SDM Vol. 3, 8.1.3).
 */
static void change(const struct key *k, bool on)
{
    uint32_t others = cpu_count() - 1;

    for (uint32_t i = 0; i <= others; i++)
        if (i != this_cpu()->index)
            apic_ipi(i, VECTOR_PATCH);

    while (atomic_load(&waiting) != others)
        cpu_pause();

    patch(k, on);
    atomic_store(&waiting, 0);
    atomic_fetch_add(&round, 1);
    (void)cpuid(0, 0);

    log_line(LOG_DEBUG, "key %s is %s on %u CPUs", k->name, on ? "on" : "off", others + 1);
}

static void stand_still(void)
{
    uint32_t before = atomic_load(&round);
    atomic_fetch_add(&waiting, 1);

    while (atomic_load(&round) == before)
        cpu_pause();
    (void)cpuid(0, 0);
}

void key_increment(struct key *k)
{
    if (k->count++ == 0)
        change(k, true);
}

void key_decrement(struct key *k)
{
    ASSERT(k->count > 0);
    if (--k->count == 0)
        change(k, false);
}

void key_init(void)
{
    irq_register(VECTOR_PATCH, stand_still);
}
