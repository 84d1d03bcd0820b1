#include "kernel/base/asm.h"
#include "kernel/base/log.h"
#include "kernel/base/panic.h"
#include "kernel/base/percpu.h"
#include "kernel/base/time.h"
#include "kernel/memory/nested.h"
#include "kernel/threads/schedule.h"
#include "kernel/vm/bill.h"
#include "kernel/vm/cpuid.h"
#include "kernel/vm/vcpu.h"
#include "kernel/vm/vm_fail.h"
#include "kernel/worlds/control.h"
#include "kernel/worlds/user.h"
#include "lib/string.h"

#define VM_ORDER 2
static_assert(sizeof(struct vm) <= PAGE_SIZE << VM_ORDER, "fits its pages");

static struct vm *vms[ABI_MAX_VMS];

struct vm *vm_find(uint64_t id)
{
    return id < ABI_MAX_VMS ? vms[id] : NULL;
}

uint32_t vm_count(void)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < ABI_MAX_VMS; i++)
        n += vms[i] != NULL;
    return n;
}

/* struct lapic_domain's signal(). */
static void signal_vcpu(void *ctx, uint32_t index, enum lapic_signal what, uint8_t vector)
{
    static const enum request request_of[] = {[LAPIC_SIGNAL_EVENT] = REQ_EVENT,
                                              [LAPIC_SIGNAL_NMI] = REQ_NMI,
                                              [LAPIC_SIGNAL_INIT] = REQ_INIT,
                                              [LAPIC_SIGNAL_SIPI] = REQ_SIPI};
    const struct vm *vm = ctx;

    /* SMI is ignored: there is no SMM in a guest. INIT is ignored before vm_boot(): otherwise a device world could
     * start the BSP while vm_boot() writes the BSP's registers. */
    if (what < LAPIC_SIGNAL_INIT || (what == LAPIC_SIGNAL_INIT && atomic_load(&vm->state) != ABI_VM_LOADING))
        vcpu_ask(vm->vcpus[index], request_of[what], vector);
}

/* The device world has to be told: vector, or ABI_EOI_NONE. */
static void for_ioapic(const struct vm *vm, uint32_t index, int vector)
{
    vm->vcpus[index]->eoi_vector = vector;
    vm->vcpus[index]->windows = true; /* so that a quick exit looks for it */
}

static void eoi(void *ctx, uint32_t index, uint8_t vector)
{
    for_ioapic(ctx, index, vector);
}

/* If an EOI is due already, its upcall does for this, too. */
static void takes_more(void *ctx, uint32_t index)
{
    const struct vm *vm = ctx;

    if (vm->vcpus[index]->eoi_vector < 0)
        for_ioapic(vm, index, ABI_EOI_NONE);
}

static void timer_changed(void *ctx, uint32_t index)
{
    const struct vm *vm = ctx;
    struct vcpu *v = vm->vcpus[index];
    uint64_t deadline = lapic_timer_deadline(v->lapic);

    /* The difference is modulo 2^64, as the guest's TSC counts. So the timer of a deadline in a hundred years may fire
     * at once. That does no harm. */
    if (deadline != NEVER)
        timer_set(&v->timer, deadline - v->tsc_offset);
    else
        timer_cancel(&v->timer);
}

static bool config_valid(const struct abi_vm_config *c)
{
    bool some_cpu = false, any = true;

    for (uint32_t i = 0; i < ABI_MAX_CPUS; i++)
        if (c->cpus[i / 64] >> i % 64 & 1) {
            any = false;
            some_cpu |= i < cpu_count();
        }

    return c->vcpus >= 1 && c->vcpus <= ABI_MAX_VCPUS && c->weight >= 1 && c->weight <= SCHED_MAX_WEIGHT &&
           ((c->cpu_limit >= 1 && c->cpu_limit <= ABI_MAX_CPU_LIMIT) || c->cpu_limit == ABI_NO_CPU_LIMIT) &&
           c->memory >= ABI_MIN_MEMORY && c->memory <= ABI_MAX_MEMORY && c->memory % PAGE_SIZE == 0 &&
           (any || some_cpu) && (c->lapic || c->vcpus == 1) && c->name[sizeof c->name - 1] == 0 &&
           c->module_count <= ARRAY_SIZE(c->modules);
}

/* The extent that holds byte number index of the guest's memory. *offset: where in the extent. index is less than the
 * memory's size. */
static const struct frame_extent *extent_of(const struct vm *vm, uint64_t index, uint64_t *offset)
{
    uint32_t i = 0;

    while (i < vm->extent_count - 1 && index >= vm->extents[i].size)
        index -= vm->extents[i++].size;
    *offset = index;
    return &vm->extents[i];
}

/* Maps one piece of guest RAM, in the guest's nested tables and in the device world's page tables. */
static int map_piece(struct vm *vm, struct abi_ram_piece piece)
{
    while (piece.size > 0) {
        uint64_t offset;
        const struct frame_extent *extent = extent_of(vm, piece.index, &offset);
        paddr_t at = pa(extent->base.v + offset);
        uint64_t size = MIN(piece.size, extent->size - offset);

        int err = nested_map(vm->nested, backend->nested, gpa(piece.base), at, size);
        if (!err)
            err = pt_map(vm->world->pt, WORLD_RAM_BASE + piece.base, at, size, PT_USER | PT_WRITE);
        if (err)
            return err;

        piece.base += size;
        piece.index += size;
        piece.size -= size;
    }
    return OK;
}

static int map_memory(struct vm *vm)
{
    int err = OK;

    for (unsigned n = 0; n < ABI_RAM_PIECES && !err; n++)
        err = map_piece(vm, abi_ram_piece(vm->ram_low, vm->ram_high, n));
    return err;
}

static int map_modules(struct vm *vm)
{
    const struct abi_vm_config *c = &vm->config;
    int err = OK;

    for (uint32_t i = 0; i < c->module_count + 2 && !err; i++) {
        int32_t m = i == 0 ? c->image : i == 1 ? c->initrd : c->modules[i - 2];
        if (m >= 0)
            err = (uint32_t)m < vm->world->info->module_count ? world_map_module(vm->world, (uint32_t)m) : E_INVAL;
    }
    return err;
}

/* Zeroes all guest RAM before anybody can read it. Other threads may run between the steps. False: the guest ends. */
static bool zero_memory(const struct vm *vm)
{
    const uint64_t step = 64 << 10;

    for (unsigned n = 0; n < ABI_RAM_PIECES; n++) {
        struct abi_ram_piece piece = abi_ram_piece(vm->ram_low, vm->ram_high, n);

        for (uint64_t done = 0; done < piece.size && !atomic_load(&vm->ending); done += step) {
            user_zero(WORLD_RAM_BASE + piece.base + done, MIN(step, piece.size - done));
            thread_preempt_point();
        }
    }
    return !atomic_load(&vm->ending);
}

/* The worker: the device world's own thread. It loads the guest's image, and then does the work that no vCPU waits
 * for. */
static void worker_main(void *arg)
{
    bool goes_on = zero_memory(arg);

    current_thread()->upcall_ticks = current_thread()->se.run_ticks;
    if (goes_on)
        user_enter(WORLD_IMAGE_BASE, WORLD_STACKS_BASE + WORLD_STACK_STRIDE - 8, ABI_SLOT_WORKER);
}

static void vm_free(struct vm *vm)
{
    for (uint32_t i = 0; i < vm->config.vcpus; i++)
        if (vm->vcpus[i])
            vcpu_destroy(vm->vcpus[i]);

    nested_destroy(vm->nested);
    world_destroy(vm->world);
    frames_free(vm->extents, vm->extent_count);
    page_free(vm, VM_ORDER);
    ASSERT(vm_count() || !lapic_absent.count);
}

static void fill_info(struct vm *vm)
{
    struct abi_info *info = vm->world->info;

    info->guest_tsc_offset = vm->tsc_offset;
    info->ram_low = vm->ram_low;
    info->ram_high = vm->ram_high;
    info->vm_id = vm->id;
    guest_features(info->features);
    info->config = vm->config;
}

static const struct thread_owner worker_owner = {.watch = vm_world_watch, .all_gone = control_wake};

/* Does every step that can fail. If one fails, vm_free() frees what there is. */
static int build(struct vm *vm)
{
    int n = frames_alloc(vm->config.memory, vm->extents, VM_EXTENTS);
    if (n < 0)
        return n;
    vm->extent_count = (uint32_t)n;

    vm->world = world_create(vm, 1 + vm->config.vcpus);
    if (vm->world)
        vm->world->crashed = vm_world_crashed;
    vm->nested = page_alloc(0);

    int err = vm->world && vm->nested ? OK : E_NOMEM;
    err = err ? err : map_memory(vm);
    err = err ? err : map_modules(vm);
    for (uint32_t i = 0; i < vm->config.vcpus && !err; i++) {
        thread_preempt_point(); /* other threads on this CPU need not wait until all vCPUs are created */
        err = vcpu_create(vm, i);
    }
    if (err)
        return err;
    fill_info(vm);

    struct thread *t = thread_create(worker_main, vm, &vm->group, vm->config.cpus);
    if (!t)
        return E_NOMEM;
    vm->world->worker = t;
    t->world = vm->world;
    t->cr3 = page_to_pa(vm->world->pt).v;
    t->alive = &vm->world->alive;
    t->owner = &worker_owner;

    return world_map_console(control_world, vm->id, vm->world->console);
}

int vm_create(const struct abi_vm_config *config)
{
    uint32_t id = 0;

    while (id < ABI_MAX_VMS && vms[id])
        id++;
    if (!config_valid(config))
        return E_INVAL;
    if (!backend)
        return E_NOTSUP;
    if (id == ABI_MAX_VMS)
        return E_BUSY;

    bill_cause(id);
    uint64_t free = mem_counts().pool_free;
    struct vm *vm = page_alloc(VM_ORDER);
    if (!vm)
        return E_NOMEM;

    vm->id = id;
    vm->config = *config;
    vm->ram_low = MIN(config->memory, ABI_RAM_LOW_MAX);
    vm->ram_high = config->memory - vm->ram_low;
    sched_group_init(&vm->group, vm->id, config->weight, config->cpu_limit);
    vm->created_tsc = tsc_now();
    vm->tsc_offset = 0 - vm->created_tsc;
    vm->domain = (struct lapic_domain){.count = config->vcpus,
                                       .maxphyaddr = cpuid(0x80000008, 0).eax & 0xff,
                                       .lapics = vm->lapics,
                                       .signal = signal_vcpu,
                                       .eoi = eoi,
                                       .takes_more = takes_more,
                                       .timer_changed = timer_changed,
                                       .ctx = vm};

    vm->inhibits.count[INHIBIT_ABSENT] = !config->lapic;
    vm->inhibits.count[INHIBIT_CONFIG] = !config->acceleration;
    vm->inhibits.mask =
        (!config->lapic ? 1u << INHIBIT_ABSENT : 0) | (!config->acceleration ? 1u << INHIBIT_CONFIG : 0);

    int err = build(vm);
    if (err) {
        vm_free(vm);
        return err;
    }

    pt_check_wx(vm->world->pt, vm->config.name);
    vm->root_bytes = free - mem_counts().pool_free;

    vms[id] = vm;
    vm->world->alive = 1 + vm->config.vcpus;
    thread_wake(vm->world->worker);
    return (int)id;
}

void vm_destroy(struct vm *vm)
{
    vm_end(vm, ABI_END_STOPPED, 0);
    while (atomic_load(&vm->world->alive))
        thread_park();

    log_world_end(vm->id, vm->config.name, &vm->log);
    vms[vm->id] = NULL;
    world_unmap_console(control_world, vm->id);
    vm_free(vm);
}

void vm_end(struct vm *vm, enum abi_end reason, uint32_t status)
{
    if (atomic_exchange(&vm->ending, 1))
        return;

    atomic_store(&vm->world->ending, true);
    vm->end_reason = reason;
    vm->end_status = status;
    vm->ended_tsc = tsc_now();

    schedule_end(&vm->group);
    for (uint32_t i = 0; i < vm->config.vcpus; i++) {
        vcpu_ask(vm->vcpus[i], REQ_TEARDOWN, 0);
        thread_poke(vm->vcpus[i]->thread);
    }
    thread_poke(vm->world->worker);

    atomic_store(&vm->state, ABI_VM_ENDED);
    bill_cause(vm->id);
    control_wake();
}

void vm_broadcast(struct vm *vm, enum request r)
{
    atomic_store(&vm->waiter, current_thread());

    for (uint32_t i = 0; i < vm->config.vcpus; i++) {
        bool must_wait;

        /* Before the ask: the vCPU may acknowledge it at once. */
        atomic_fetch_add(&vm->acks, 1);
        vcpu_deliver(vm->vcpus[i], word_ask_wait(&vm->vcpus[i]->word, r, &must_wait));
        if (!must_wait)
            atomic_fetch_sub(&vm->acks, 1);
    }

    while (atomic_load(&vm->acks))
        thread_park();
    atomic_store(&vm->waiter, NULL);
}

void vm_pause(struct vm *vm)
{
    mutex_lock(&vm->broadcast);
    vm_broadcast(vm, REQ_PAUSE);
    mutex_unlock(&vm->broadcast);
    vm->paused = true;
}

void vm_resume(struct vm *vm)
{
    /* CLOCK before RESUME: a guest that goes on looks at its clock at once, and must find there that it was paused. */
    for (uint32_t i = 0; i < vm->config.vcpus; i++) {
        atomic_store(&vm->vcpus[i]->was_paused, true);
        vcpu_ask(vm->vcpus[i], REQ_CLOCK, 0);
        vcpu_ask(vm->vcpus[i], REQ_RESUME, 0);
    }
    vm->paused = false;
}

bool vm_has_memory(const struct vm *vm, uint64_t start, uint64_t size)
{
    for (uint32_t i = 0; i < vm->extent_count; i++) {
        uint64_t base = vm->extents[i].base.v;
        if (start < base + vm->extents[i].size && base < start + size)
            return true;
    }
    return false;
}

bool vm_translate(const struct vm *vm, uint64_t guest, paddr_t *out)
{
    uint64_t index = abi_ram_index(vm->ram_low, vm->ram_high, guest, 1), offset;
    if (index == UINT64_MAX)
        return false;

    const struct frame_extent *extent = extent_of(vm, index, &offset);
    *out = pa(extent->base.v + offset);
    return true;
}
