#include "kernel/machine_check_cpu.h"

#include <stdatomic.h>

#include "kernel/asm.h"
#include "kernel/log.h"
#include "kernel/machine_check.h"
#include "kernel/percpu.h"
#include "kernel/trap.h"

enum { CPUID_1_EDX_MCE = 1 << 7, CPUID_1_EDX_MCA = 1 << 14 };
enum { MCG_CAP = 0x179, MCG_STATUS, MCG_CTL };
enum { CTL, STATUS, ADDR, MISC };

static _Atomic uint32_t survived;

/* Of bank n (SDM Vol. 3, 17.3.2). */
static uint32_t bank_msr(unsigned n, unsigned which) { return 0x400 + 4 * n + which; }

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

/* MCIP last: a machine check that comes before is a shutdown. */
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
    unsigned first;

    if (!is_there())
        return;
    read_banks(&mc);
    (void)!machine_check_judge(&mc, &first);
    if (first < mc.banks)
        log_line(LOG_WARNING, "CPU %u: machine check before the start: bank %u: status %lx, address %lx, misc %lx",
                 this_cpu()->index, first, mc.bank[first].status, mc.bank[first].addr, mc.bank[first].misc);

    if (mc.cap & MCG_CAP_CTL_P)
        wrmsr(MCG_CTL, UINT64_MAX);
    for (unsigned i = 0; i < mc.banks; i++)
        wrmsr(bank_msr(i, CTL), UINT64_MAX);
    clear_banks(&mc);
}

/* Reads, judges and clears. f: of the trap, NULL: of a guest, which alone can be ended. True: it has to. */
static bool take(const struct trap_frame *f)
{
    struct machine_check mc = {.status = 0};
    unsigned culprit;

    if (is_there())
        read_banks(&mc);
    enum machine_check_verdict verdict = machine_check_judge(&mc, &culprit);
    const struct machine_check_bank none = {0, 0, 0}, *bank = culprit < mc.banks ? &mc.bank[culprit] : &none;

    if (verdict == MACHINE_CHECK_STOP || (verdict == MACHINE_CHECK_END_IT && f))
        panic_at(
            f, "machine check in %s, CPU %u: MCG_STATUS %lx, bank %u of %u: status %lx, address %lx, misc %lx, at %lx",
            !f                  ? "a guest"
            : trap_from_user(f) ? "ring 3"
                                : "root",
            this_cpu()->index, mc.status, culprit, mc.banks, bank->status, bank->addr, bank->misc, f ? f->rip : 0);

    uint32_t count = atomic_fetch_add(&survived, 1) + 1;
    if (!(count & (count - 1)))
        (void)!log_line_if_free(LOG_WARNING,
                                "CPU %u: machine check number %u: MCG_STATUS %lx, bank %u: status %lx, address %lx, "
                                "misc %lx",
                                this_cpu()->index, count, mc.status, culprit, bank->status, bank->addr, bank->misc);
    if (is_there())
        clear_banks(&mc);
    return verdict == MACHINE_CHECK_END_IT;
}

void machine_check_trap(const struct trap_frame *frame) { (void)take(frame); }

bool machine_check_in_guest(void) { return take(NULL); }
