#include "kernel/main.h"
#include "kernel/key.h"

#include "kernel/apic.h"
#include "kernel/backend.h"
#include "kernel/boot.h"
#include "kernel/fpu.h"
#include "kernel/ioapic.h"
#include "kernel/log.h"
#include "kernel/machine_check_cpu.h"
#include "kernel/msr.h"
#include "kernel/paging.h"
#include "kernel/percpu.h"
#include "kernel/schedule.h"
#include "kernel/serial.h"
#include "kernel/smp.h"
#include "kernel/syscall.h"
#include "kernel/time.h"
#include "kernel/trap.h"
#include "kernel/world.h"
#include "lib/string.h"

#define EARLY_END (4ull << 30) /* what the early tables map, one to one */

struct bootinfo boot;
struct acpi_info acpi;
const struct backend *backend;

extern const struct backend *const backends_start[], *const backends_end[];
uint64_t __stack_chk_guard;
_Noreturn void __stack_chk_fail(void);

static _Atomic uint32_t arrived, expected;

void __stack_chk_fail(void) { panic("a stack frame was overwritten"); }

static _Noreturn void stop(void)
{
    log_line(LOG_ERROR, "stopped");
    for (;;)
        __asm__ volatile("cli; hlt");
}

static const void *early_read(uint64_t address, uint64_t size)
{
    return address && address < EARLY_END && size < EARLY_END - address ? (const void *)address : NULL;
}

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

/* What follows a module in its last page is somebody else's: ring 3 must not read it. */
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
    /* The loader's copy of the RSDP has no address that control could read; root's copy of it has. */
    uint8_t *copy = !err && !acpi.rsdp ? page_alloc(0) : NULL;
    if (!copy || acpi.table_count == ACPI_MAX_TABLES)
        return;
    memcpy(copy, boot.rsdp_copy, boot.rsdp_size);
    acpi.rsdp = page_to_pa(copy).v;
    acpi.tables[acpi.table_count].base = acpi.rsdp;
    acpi.tables[acpi.table_count++].size = sizeof boot.rsdp_copy;
}

static void find_backend(void)
{
    for (const struct backend *const *b = backends_start; b < backends_end; b++)
        if ((*b)->present()) {
            const char *missing = (*b)->probe();
            if (missing)
                log_line(LOG_ERROR, "%s", missing);
            else
                backend = *b;
            return;
        }
    log_line(LOG_ERROR,
             "this CPU offers neither AMD SVM nor Intel VMX, and no guest runs without: use one that does, or, if "
             "this is a virtual machine, switch nested virtualization on");
}

static void serial_irq(void)
{
    if (serial_interrupt())
        console_input_ready();
}

static void control_main(UNUSED void *arg)
{
    uint64_t stack = WORLD_STACKS_BASE + WORLD_STACK_STRIDE;
    user_enter(WORLD_IMAGE_BASE, stack - 8, ABI_SLOT_WORKER);
    panic("control has left");
}

static bool start_control(void)
{
    static struct sched_group control_group;
    sched_group_init(&control_group, ABI_MAX_VMS, SCHED_MAX_WEIGHT, SCHED_NO_LIMIT);
    struct world *w = world_create(NULL, 1);
    struct thread *t = w ? thread_create(control_main, NULL, &control_group, NULL) : NULL;
    if (!t)
        return false;
    w->worker = t;
    w->info->rsdp = acpi.rsdp;
    for (uint32_t i = 0; i < boot.module_count; i++)
        if (world_map_module(w, i))
            return false;
    pt_check_wx(w->pt, "control");
    t->world = w;
    t->cr3 = page_to_pa(w->pt).v;
    control_world = w;
    serial_enable_input();
    w->info->log_from = log_hand_over();
    thread_wake(t);
    return true;
}

void cpu_main(void)
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
        if (!start_control())
            panic("no memory for the control service");
    }
    schedule_start();
}

/* A stack canary that this boot alone has. Its lowest byte is 0, which the end of a string cannot get past. */
static uint64_t new_canary(void)
{
    uint64_t canary = rdtsc() * 0x9e3779b97f4a7c15ull, drawn;
    if (cpuid(1, 0).ecx & CPUID_1_ECX_RDRAND)
        for (int tries = 0; tries < 10; tries++) /* SDM Vol. 1, 7.3.17.1: it may have none to give just now */
            if (rdrand(&drawn)) {
                canary ^= drawn;
                break;
            }
    return canary << 8;
}

void boot_main(enum boot_protocol protocol, uint64_t information)
{
    __stack_chk_guard = new_canary(); /* nothing that has the old one on its stack returns any more */
    serial_init();
    log_line(LOG_INFO, "Lapwing starts");
    int err = protocol == BOOT_PVH ? bootinfo_pvh(&boot, information, early_read)
                                   : bootinfo_multiboot2(&boot, (const void *)information, EARLY_END - information);
    if (err)
        log_line(LOG_WARNING, "boot information: cut off or malformed: going on with what came before");
    if (boot.regions_lost)
        log_line(LOG_WARNING, "boot information: memory regions behind the first %u are ignored: %u", BOOTINFO_REGIONS,
                 boot.regions_lost);
    if (boot.modules_lost)
        log_line(LOG_WARNING, "boot information: boot modules behind the first %u are ignored: %u", ABI_MAX_MODULES,
                 boot.modules_lost);
    if (!mem_init(&boot))
        stop();
    struct percpu *bsp = percpu_add(0);
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
    timer_init();
    schedule_init();
    key_init();
    irq_register(VECTOR_SERIAL, serial_irq);
    machine_check_init();
    find_backend();
    msr_setup();
    expected = UINT32_MAX;
    expected = smp_start(&acpi, &boot);
    pt_check_wx(NULL, "root");
    struct mem_counts m = mem_counts();
    log_line(LOG_INFO, "%u CPUs, %lu MiB for guests, %lu MiB for root, back end %s", cpu_count(), m.frames_total >> 20,
             m.pool_total >> 20, backend ? backend->name : "none");
    if (ioapic_route_isa(&acpi, SERIAL_IRQ, bsp->apic_id, VECTOR_SERIAL))
        log_line(LOG_WARNING, "COM1's interrupt has no IOAPIC: the keyboard does not work");
    cpu_main();
}
