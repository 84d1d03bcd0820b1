/*
 * #MC may come anywhere, while any lock is held. So its handler only puts records into a list that needs no lock, and
 * sends an interrupt that wakes control. Control's thread takes the records. It may log, and no VM is created or
 * destroyed meanwhile, since only control's thread does that.
 */
#include "kernel/vm/machine_check_cpu.h"

#include <stdatomic.h>

#include "kernel/base/asm.h"
#include "kernel/base/log.h"
#include "kernel/base/panic.h"
#include "kernel/base/percpu.h"
#include "kernel/cpu/apic.h"
#include "kernel/cpu/trap.h"
#include "kernel/vm/machine_check.h"
#include "kernel/vm/vm.h"
#include "kernel/worlds/control.h"

enum { CPUID_1_EDX_MCE = 1 << 7, CPUID_1_EDX_MCA = 1 << 14 };
enum { MCG_CAP = 0x179, MCG_STATUS, MCG_CTL };
enum { CTL, STATUS, ADDR, MISC };

/* What one bank said. The CPU with the error takes the record from FREE to FILLING to FULL; control makes it FREE. */
struct record {
    _Atomic uint32_t state;
    uint32_t cpu, number, bank;
    uint64_t mcg_status;
    struct machine_check_bank said;
    uint64_t start, size; /* where in memory the error is; size 0: not known, or the error is corrected */
};
enum { FREE, FILLING, FULL };

#define RECORDS 32 /* when all are in use, further errors are not recorded */

static struct record records[RECORDS];
static atomic_bool fresh; /* some records are FULL */
static _Atomic uint32_t survived;

/* An MSR of bank n (SDM Vol. 3, 17.3.2). which: CTL to MISC. */
static uint32_t bank_msr(unsigned n, unsigned which)
{
    return 0x400 + 4 * n + which;
}

static bool is_there(void)
{
    const uint32_t both = CPUID_1_EDX_MCE | CPUID_1_EDX_MCA;
    return (cpuid(1, 0).edx & both) == both;
}

static void read_banks(struct machine_check *mc)
{
    mc->cap = rdmsr(MCG_CAP);
    mc->status = rdmsr(MCG_STATUS);
    mc->banks = MIN((unsigned)(mc->cap & MCG_CAP_COUNT), (unsigned)MACHINE_CHECK_BANKS);

    for (unsigned i = 0; i < mc->banks; i++) {
        uint64_t status = rdmsr(bank_msr(i, STATUS));
        bool valid = status & MCI_STATUS_VAL;

        mc->bank[i].status = status;
        mc->bank[i].addr = valid && (status & MCI_STATUS_ADDRV) ? rdmsr(bank_msr(i, ADDR)) : 0;
        mc->bank[i].misc = valid && (status & MCI_STATUS_MISCV) ? rdmsr(bank_msr(i, MISC)) : 0;
    }
}

/* MCG_STATUS, with MCIP, is cleared last. A machine check that comes before that shuts the CPU down. */
static void clear_banks(const struct machine_check *mc)
{
    for (unsigned i = 0; i < mc->banks; i++)
        if (mc->bank[i].status & MCI_STATUS_VAL)
            wrmsr(bank_msr(i, STATUS), 0);
    wrmsr(MCG_STATUS, 0);
}

void machine_check_init_cpu(void)
{
    struct machine_check mc;

    if (!is_there())
        return;

    read_banks(&mc);
    for (unsigned i = 0; i < mc.banks; i++) {
        const struct machine_check_bank *bank = &mc.bank[i];

        if (bank->status & MCI_STATUS_VAL)
            log_line(LOG_WARNING, "CPU %u: machine check before the start: bank %u: status %lx, address %lx, misc %lx",
                     this_cpu()->index, i, bank->status, bank->addr, bank->misc);
    }

    if (mc.cap & MCG_CAP_CTL_P)
        wrmsr(MCG_CTL, UINT64_MAX);
    for (unsigned i = 0; i < mc.banks; i++)
        wrmsr(bank_msr(i, CTL), UINT64_MAX);
    clear_banks(&mc);
}

static void record(const struct machine_check *mc, unsigned bank, uint32_t number)
{
    for (unsigned i = 0; i < RECORDS; i++) {
        struct record *r = &records[i];
        uint32_t expected = FREE;

        if (!atomic_compare_exchange_strong(&r->state, &expected, FILLING))
            continue;

        r->cpu = this_cpu()->index;
        r->number = number;
        r->bank = bank;
        r->mcg_status = mc->status;
        r->said = mc->bank[bank];
        if (!machine_check_place(mc, &r->said, &r->start, &r->size))
            r->start = r->size = 0;
        atomic_store(&r->state, FULL); /* machine_check_report() sees the whole record */
        return;
    }
}

/* Records all valid banks. There may be none: the error may be another CPU's (SDM Vol. 3, 17.10.4.1). */
static void record_all(const struct machine_check *mc)
{
    uint32_t number = 0;

    for (unsigned i = 0; i < mc->banks; i++) {
        if (!(mc->bank[i].status & MCI_STATUS_VAL))
            continue;
        number = number ? number : atomic_fetch_add(&survived, 1) + 1;
        record(mc, i, number);
    }

    if (!number)
        return;
    atomic_store(&fresh, true);
    if (control_world)
        apic_ipi_self(VECTOR_MACHINE_CHECK);
}

static void describe(const void *what, void (*put)(const char *fmt, ...))
{
    machine_check_describe((const struct machine_check *)what, put);
}

/* Can the interrupted code be ended? A guest can, and so can its device world. f: the trap's frame; NULL: #MC came in a
 * guest. */
static bool can_end(const struct trap_frame *f)
{
    return !f || (trap_from_user(f) && current_thread()->world->vm);
}

/* Reads the banks, judges them and clears them. True: the interrupted code has to end. f: as in can_end(). */
static bool take(const struct trap_frame *f)
{
    struct machine_check mc = {.status = 0};
    unsigned culprit;

    if (is_there())
        read_banks(&mc);

    enum machine_check_verdict verdict = machine_check_judge(&mc, &culprit);
    if (verdict == MACHINE_CHECK_STOP || (verdict == MACHINE_CHECK_END_IT && !can_end(f)))
        panic_with(f, describe, &mc, "machine check in %s, CPU %u: MCG_STATUS %lx, bank %u of %u decides, at %lx",
                   !f                  ? "a guest"
                   : trap_from_user(f) ? "ring 3"
                                       : "root",
                   this_cpu()->index, mc.status, culprit, mc.banks, f ? f->rip : 0);

    if (is_there())
        clear_banks(&mc);
    record_all(&mc);
    return verdict == MACHINE_CHECK_END_IT;
}

static bool in_root_or_ring_3(const struct trap_frame *frame)
{
    return take(frame);
}

bool machine_check_in_guest(void)
{
    return take(NULL);
}

static void end_owners(uint64_t start, uint64_t size)
{
    for (uint32_t id = 0; id < ABI_MAX_VMS; id++) {
        struct vm *vm = vm_find(id);

        if (!vm || !vm_has_memory(vm, start, size) || atomic_load(&vm->ending))
            continue;
        log_vm_line(id, LOG_ERROR, "guest %s: its memory has an uncorrected error at host address 0x%lx: it ends",
                    vm->config.name, start);
        vm_end(vm, ABI_END_INTERNAL, 0);
    }
}

void machine_check_init(void)
{
    trap_register_machine_check(in_root_or_ring_3);
    irq_register(VECTOR_MACHINE_CHECK, control_wake);
}

void machine_check_report(void)
{
    if (!atomic_load(&fresh))
        return;
    atomic_store(&fresh, false); /* before the look: a record that comes meanwhile sets it again */

    for (unsigned i = 0; i < RECORDS; i++) {
        struct record *r = &records[i];

        if (atomic_load(&r->state) != FULL)
            continue;

        /* Of the machine checks only those with number 1, 2, 4, 8, ... are logged. */
        if (!(r->number & (r->number - 1)))
            log_line(LOG_WARNING,
                     "CPU %u: machine check number %u: MCG_STATUS %lx, bank %u: status %lx, address %lx, misc %lx",
                     r->cpu, r->number, r->mcg_status, r->bank, r->said.status, r->said.addr, r->said.misc);
        if (r->size)
            end_owners(r->start, r->size);
        atomic_store(&r->state, FREE);
    }
}
