#include "kernel/base/boot.h"
#include "kernel/base/log.h"
#include "kernel/base/percpu.h"
#include "kernel/base/serial.h"
#include "kernel/base/time.h"
#include "kernel/cpu/smp.h"
#include "kernel/memory/phys_read.h"
#include "kernel/syscalls/syscall.h"
#include "kernel/vm/machine_check_cpu.h"
#include "kernel/vm/vcpu.h"
#include "kernel/worlds/control.h"
#include "lib/string.h"

static struct abi_vm_config config; /* of the next VM, built in parts; without a lock, as control has one thread */

static int64_t vm_config(const struct abi_page *page, uint64_t offset, uint64_t length)
{
    if (length > ABI_BUFFER_SIZE || offset > sizeof config || length > sizeof config - offset)
        return E_RANGE;
    memcpy((uint8_t *)&config + offset, page->buffer, length);
    return OK;
}

static int64_t vm_info(struct abi_page *page, const struct vm *vm)
{
    struct abi_vm_info *info = (struct abi_vm_info *)page->buffer;

    memset(info, 0, sizeof *info);
    memcpy(info->name, vm->config.name, sizeof info->name);
    info->state = atomic_load(&vm->state);
    info->vcpus = vm->config.vcpus;
    info->end_reason = info->state == ABI_VM_ENDED ? vm->end_reason : ABI_END_NONE;
    info->end_status = vm->end_status;
    info->memory = vm->config.memory;

    info->created_tsc = vm->created_tsc;
    info->booted_tsc = vm->booted_tsc;
    info->ended_tsc = vm->ended_tsc;
    info->root_bytes = vm->root_bytes;
    info->paused = vm->paused;

    for (uint32_t i = 0; i < vm->config.vcpus; i++)
        for (unsigned k = 0; k < ABI_EXITS; k++)
            info->exits += vm->vcpus[i]->exits[k];
    return OK;
}

static int64_t vcpu_info(struct abi_page *page, const struct vm *vm, uint64_t index)
{
    static const uint8_t mp[MP_STATES] = {
        [MP_RUNNABLE] = ABI_MP_RUNNABLE,           [MP_UNINITIALIZED] = ABI_MP_UNINITIALIZED,
        [MP_WAIT_FOR_SIPI] = ABI_MP_WAIT_FOR_SIPI, [MP_HALTED] = ABI_MP_HALTED,
        [MP_HALTED_MASKED] = ABI_MP_HALTED,        [MP_PAUSED] = ABI_MP_PAUSED};

    if (index >= vm->config.vcpus)
        return E_NOENT;

    const struct vcpu *v = vm->vcpus[index];
    struct abi_vcpu_info *info = (struct abi_vcpu_info *)page->buffer;
    memset(info, 0, sizeof *info);

    info->word = atomic_load(&v->word);
    info->mp_state = mp[word_mp(info->word)];
    info->where = word_where(info->word) == WHERE_WAITING ? WHERE_PARKED : word_where(info->word);
    info->cpu = v->thread->cpu;
    info->apic_id = v->index;

    info->run_ticks = v->thread->se.run_ticks;
    info->entries = v->entries;
    info->parks = v->parks;
    info->wakes = v->wakes;
    info->rip = v->exit_rip;
    memcpy(info->exits, v->exits, sizeof info->exits);
    return OK;
}

static int64_t system_info(struct abi_page *page)
{
    struct abi_system_info *info = (struct abi_system_info *)page->buffer;
    struct mem_counts m = mem_counts();

    memset(info, 0, sizeof *info);
    info->cpus = cpu_count();
    info->vms = vm_count();

    info->guest_memory_total = m.frames_total;
    info->guest_memory_free = m.frames_free;
    info->root_memory_total = m.pool_total;
    info->root_memory_free = m.pool_free;
    info->root_text_bytes = (uint64_t)(kernel_text_end - kernel_start);

    str_copy(info->backend, sizeof info->backend, backend ? backend->name : "none");

    for (unsigned i = 0; i < 3; i++) {
        struct cpuid r = cpuid(0x80000002 + i, 0);
        memcpy(info->cpu_name + i * 16, &r, sizeof r);
    }
    return OK;
}

static int64_t port_in(uint64_t port, uint64_t size)
{
    if (port > UINT16_MAX)
        return E_RANGE;

    switch (size) {
    case 1:
        return inb((uint16_t)port);
    case 2:
        return inw((uint16_t)port);
    case 4:
        return inl((uint16_t)port);
    default:
        return E_INVAL;
    }
}

static int64_t port_out(uint64_t port, uint64_t size, uint64_t value)
{
    if (port > UINT16_MAX)
        return E_RANGE;

    switch (size) {
    case 1:
        outb((uint16_t)port, (uint8_t)value);
        return OK;
    case 2:
        outw((uint16_t)port, (uint16_t)value);
        return OK;
    case 4:
        outl((uint16_t)port, (uint32_t)value);
        return OK;
    default:
        return E_INVAL;
    }
}

static int64_t phys_to(struct abi_page *page, uint64_t address, uint64_t length)
{
    if (length > ABI_BUFFER_SIZE || address + length < address)
        return E_RANGE;

    bool table = false, ram = false;

    for (uint32_t i = 0; i < acpi.table_count; i++)
        table |= address >= acpi.tables[i].base && address + length <= acpi.tables[i].base + acpi.tables[i].size;
    for (uint32_t i = 0; i < boot.region_count; i++)
        ram |= boot.regions[i].ram && address < boot.regions[i].base + boot.regions[i].size &&
               address + length > boot.regions[i].base;

    if (ram && !table)
        return E_PERM;

    (void)phys_read(address, page->buffer, (uint32_t)length);
    return (int64_t)length;
}

static _Noreturn void machine_stop(bool reset)
{
    smp_stop_others();

    const struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) none = {0, 0};

    if (reset)
        __asm__ volatile("lidt %0; ud2" ::"m"(none));
    for (;;)
        __asm__ volatile("cli; hlt");
}

static int64_t with_vm(struct abi_page *page, uint64_t a, uint64_t b, uint64_t c, uint64_t number)
{
    struct vm *vm = vm_find(a);
    if (!vm)
        return E_NOENT;

    switch (number) {
    case SYS_VM_NOTIFY:
        if (vm->world->worker)
            thread_wake(vm->world->worker);
        return OK;
    case SYS_VM_STOP:
        vm_end(vm, (enum abi_end)b, (uint32_t)c);
        return OK;
    case SYS_VM_DESTROY:
        vm_destroy(vm);
        return OK;
    case SYS_VM_PAUSE:
        vm_pause(vm);
        return OK;
    case SYS_VM_RESUME:
        vm_resume(vm);
        return OK;
    case SYS_VM_INFO:
        return vm_info(page, vm);
    default:
        return vcpu_info(page, vm, b);
    }
}

int64_t syscall_control(struct abi_page *page, uint64_t a, uint64_t b, uint64_t c, uint64_t number)
{
    switch (number) {
    case SYS_CONSOLE_WRITE:
        return serial_try_write((const char *)page->buffer, (uint32_t)MIN(a, (uint64_t)ABI_BUFFER_SIZE));
    case SYS_CONSOLE_READ:
        return serial_read((char *)page->buffer, (uint32_t)MIN(a, (uint64_t)ABI_BUFFER_SIZE));
    case SYS_LOG_READ:
        machine_check_report();
        return log_read(a, (struct abi_log_line *)page->buffer);
    case SYS_VM_CONFIG:
        return vm_config(page, a, b);
    case SYS_VM_CREATE:
        return vm_create(&config);
    case SYS_SYSTEM_INFO:
        return system_info(page);
    case SYS_PORT_IN:
        return port_in(a, b);
    case SYS_PORT_OUT:
        return port_out(a, b, c);
    case SYS_PHYS_READ:
        return phys_to(page, a, b);
    case SYS_RESET:
        machine_stop(true);
    case SYS_HALT:
        machine_stop(false);
    default:
        return with_vm(page, a, b, c, number);
    }
}
