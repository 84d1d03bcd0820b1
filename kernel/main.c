#include "kernel/main.h"

#include "kernel/base/boot.h"
#include "kernel/base/log.h"
#include "kernel/base/panic.h"
#include "kernel/base/percpu.h"
#include "kernel/base/serial.h"
#include "kernel/base/time.h"
#include "kernel/base/version.h"
#include "kernel/cpu/apic.h"
#include "kernel/cpu/ioapic.h"
#include "kernel/cpu/key.h"
#include "kernel/cpu/smp.h"
#include "kernel/cpu/trap.h"
#include "kernel/memory/paging.h"
#include "kernel/memory/phys_read.h"
#include "kernel/syscalls/syscall.h"
#include "kernel/threads/schedule.h"
#include "kernel/threads/timer.h"
#include "kernel/vm/backend.h"
#include "kernel/vm/bill.h"
#include "kernel/vm/fpu.h"
#include "kernel/vm/machine_check_cpu.h"
#include "kernel/vm/msr.h"
#include "kernel/worlds/control.h"
#include "kernel/worlds/user.h"
#include "lib/string.h"

uint64_t __stack_chk_guard;
_Noreturn void __stack_chk_fail(void);

static _Atomic uint32_t arrived, expected;

void __stack_chk_fail(void)
{
    panic("a stack frame was overwritten");
}

static _Noreturn void stop(void)
{
    log_line(LOG_ERROR, "stopped");
    for (;;)
        __asm__ volatile("cli; hlt");
}

/* Ring 3 must not read what follows a module in the module's last page: it belongs to others. */
static void clear_module_tails(void)
{
    for (uint32_t i = 0; i < boot.module_count; i++) {
        uint64_t end = boot.modules[i].base + boot.modules[i].size;
        if (end % PAGE_SIZE == 0)
            continue;

        uint8_t *page = window_map(pa(ALIGN_DOWN(end, PAGE_SIZE)), true);
        memset(page + end % PAGE_SIZE, 0, PAGE_SIZE - end % PAGE_SIZE);
        window_unmap();
    }
}

static void find_acpi(void)
{
    int err = acpi_parse(&acpi, boot.rsdp, boot.rsdp_copy, boot.rsdp_size, phys_read);
    if (err)
        log_line(LOG_WARNING, "ACPI: no usable tables (%s): going on with one CPU", err_text(err));

    /* The boot loader's copy of the RSDP has no address at which control could read it. Root makes a copy that has. */
    uint8_t *copy = !err && !acpi.rsdp ? page_alloc(0) : NULL;
    if (!copy || acpi.table_count == ACPI_MAX_TABLES)
        return;

    memcpy(copy, boot.rsdp_copy, boot.rsdp_size);
    acpi.rsdp = page_to_pa(copy).v;
    acpi.tables[acpi.table_count].base = acpi.rsdp;
    acpi.tables[acpi.table_count++].size = sizeof boot.rsdp_copy;
}

static void serial_irq(void)
{
    if (serial_interrupt())
        control_wake();
}

/* Runs on each CPU that has its per-CPU area, page tables, traps and LAPIC: the CPU begins to run threads. */
static _Noreturn void cpu_main(void)
{
    int err = schedule_init_cpu() ? OK : E_NOMEM;

    machine_check_init_cpu();
    syscall_init_cpu();
    fpu_init();
    err = err || !backend ? err : backend->cpu_enable();
    if (err)
        panic("CPU %u: %s", this_cpu()->index, err_text(err));

    arrived++;
    while (arrived < expected)
        cpu_pause();

    if (this_cpu()->index == 0) {
        schedule_set_online(expected);
        static const struct thread_owner owner = {.left = bill_control};
        if (!control_start(&owner))
            panic("no memory for the control service");
    }
    schedule_start();
}

/*
 * A stack canary for this boot only. Its lowest byte is 0, at which strings end: no string function that overruns its
 * buffer can write the canary and go on.
 */
static uint64_t new_canary(void)
{
    uint64_t canary = rdtsc() * 0x9e3779b97f4a7c15ull, drawn;

    if (cpuid(1, 0).ecx & CPUID_1_ECX_RDRAND)
        for (int tries = 0; tries < 10; tries++) /* RDRAND may have no number ready (SDM Vol. 1, 7.3.17.1) */
            if (rdrand(&drawn)) {
                canary ^= drawn;
                break;
            }

    return canary << 8;
}

void boot_main(enum boot_protocol protocol, uint64_t information)
{
    __stack_chk_guard = new_canary(); /* no function that has the old canary in its frame returns any more */

    serial_init();
    log_line(LOG_INFO, "Lapwing " LAPWING_VERSION " starts");

    boot_read(protocol, information);
    if (!mem_init(&boot))
        stop();

    struct percpu *bsp = smp_add_cpu(0);
    if (!bsp)
        stop();
    percpu_load(bsp);

    trap_init();
    if (!paging_init())
        stop();
    trap_use_smap();

    clear_module_tails();
    find_acpi();
    time_init(acpi.pm_timer);

    if (!apic_init() || !ioapic_init(&acpi))
        stop();
    apic_enable();
    bsp->apic_id = apic_id();

    timer_init(schedule_tick, schedule_look, schedule_served);
    schedule_init();
    key_init();
    irq_register(VECTOR_SERIAL, serial_irq);

    machine_check_init();
    user_init();
    backend_find();
    msr_setup();

    expected = UINT32_MAX;
    expected = smp_start(&acpi, &boot, cpu_main);

    pt_check_wx(NULL, "root");
    struct mem_counts m = mem_counts();
    log_line(LOG_INFO, "%u CPUs, %lu MiB for guests, %lu MiB for root, back end %s", cpu_count(), m.frames_total >> 20,
             m.pool_total >> 20, backend ? backend->name : "none");

    if (ioapic_route_isa(&acpi, SERIAL_IRQ, bsp->apic_id, VECTOR_SERIAL))
        log_line(LOG_WARNING, "COM1's interrupt has no IOAPIC: the keyboard does not work");

    cpu_main();
}
