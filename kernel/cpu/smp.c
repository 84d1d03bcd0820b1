#include "kernel/cpu/smp.h"

#include <stdatomic.h>

#include "kernel/base/log.h"
#include "kernel/base/panic.h"
#include "kernel/base/time.h"
#include "kernel/cpu/apic.h"
#include "kernel/cpu/trap.h"
#include "kernel/memory/paging.h"
#include "lib/string.h"

#define MAILBOX   0xfc0  /* boot/trampoline.asm */
#define ANSWER_US 200000 /* how long a CPU has to come up, after the second SIPI */
#define LOW_LIMIT 0xa0000ull

struct mailbox {
    uint64_t cr3, stack, entry, argument;
};

extern const uint8_t trampoline_start[], trampoline_end[];

static atomic_bool online;    /* the CPU being started has come up */
static atomic_bool stopping;  /* all but one are to stop */
static void (*started)(void); /* what each CPU does when it has come up */

/* The highest free page below 640 KiB: firmware keeps its tables in the first ones. 0: there is none. */
static uint64_t find_low_page(const struct bootinfo *boot)
{
    uint64_t best = 0;

    for (uint32_t i = 0; i < boot->region_count; i++) {
        const struct boot_region *r = &boot->regions[i];
        uint64_t end = MIN(r->base + r->size, LOW_LIMIT), at = ALIGN_DOWN(end, PAGE_SIZE) - PAGE_SIZE;

        if (r->ram && end >= 2 * PAGE_SIZE && at >= r->base)
            best = MAX(best, at);
    }

    return best;
}

static void wait_us(uint64_t us)
{
    for (uint64_t end = tsc_now() + tsc_from_us(us); tsc_now() < end;)
        cpu_pause();
}

static void ap_entry(struct percpu *p)
{
    paging_enable();
    percpu_load(p);
    trap_load();
    apic_enable();
    kstack_sync();
    atomic_store(&online, true);
    started();
}

struct percpu *smp_add_cpu(uint32_t apic_id)
{
    void *page = page_alloc(0);
    uint8_t *stacks = page_alloc(PERCPU_STACKS_ORDER);
    struct percpu *added = page && stacks ? percpu_add(page, stacks, apic_id) : NULL;

    if (!added) {
        page_free(page, 0);
        page_free(stacks, PERCPU_STACKS_ORDER);
    }
    return added;
}

static bool start(uint32_t id, uint64_t low, uint64_t cr3)
{
    struct percpu *p = smp_add_cpu(id);
    uint64_t stack = p ? kstack_alloc() : 0;
    if (!stack) {
        log_line(LOG_WARNING, "CPU with APIC ID %u: no memory to start it", id);
        if (p)
            percpu_withdraw();
        return false;
    }

    uint8_t *page = window_map(pa(low), true);
    memcpy(page, trampoline_start, (size_t)(trampoline_end - trampoline_start));
    *(struct mailbox *)(page + MAILBOX) =
        (struct mailbox){.cr3 = cr3, .stack = stack, .entry = (uint64_t)ap_entry, .argument = (uint64_t)p};
    window_unmap();

    atomic_store(&online, false);
    apic_send_init(id);
    wait_us(10000);

    for (unsigned tries = 0; tries < 2 && !atomic_load(&online); tries++) {
        apic_send_startup(id, (uint8_t)(low >> PAGE_SHIFT));
        uint64_t end = tsc_now() + tsc_from_us(tries ? ANSWER_US : 1000);
        while (!atomic_load(&online) && tsc_now() < end)
            cpu_pause();
    }

    if (atomic_load(&online))
        return true;

    /* The CPU may still come up. What it would use then stays as it is, and no other CPU is started with it. */
    log_line(LOG_WARNING, "CPU with APIC ID %u does not start: going on without it and those after it", id);
    percpu_withdraw();
    return false;
}

static void stop_check(void)
{
    while (atomic_load(&stopping))
        __asm__ volatile("cli; hlt");
}

uint32_t smp_start(const struct acpi_info *acpi, const struct bootinfo *boot, void (*entry)(void))
{
    uint64_t low = find_low_page(boot);
    uint64_t *pt = pt_create();
    uint32_t self = apic_id(), count = 1;

    started = entry;
    trap_register_nmi(stop_check);
    panic_set_stop(smp_stop_others);

    if (!low || !pt || pt_map(pt, low, pa(low), PAGE_SIZE, PT_WRITE | PT_EXEC)) {
        log_line(LOG_WARNING, "no free page below 640 KiB to start other CPUs from: going on with one");
        pt_destroy(pt);
        return count;
    }

    for (uint32_t i = 0; i < acpi->cpu_count; i++) {
        if (acpi->apic_ids[i] == self)
            continue;
        if (!start(acpi->apic_ids[i], low, page_to_pa(pt).v))
            return count;
        count++;
    }

    pt_destroy(pt);
    return count;
}

void smp_stop_others(void)
{
    if (atomic_exchange(&stopping, true))
        for (;;)
            __asm__ volatile("cli; hlt");

    if (cpu_count() > 1)
        apic_send_nmi_to_others();
}
