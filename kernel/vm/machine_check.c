#include "kernel/vm/machine_check.h"

static enum machine_check_verdict judge_bank(const struct machine_check *mc, uint64_t status)
{
    if (!(status & MCI_STATUS_VAL))
        return MACHINE_CHECK_GO_ON;
    if (status & MCI_STATUS_PCC)
        return MACHINE_CHECK_STOP;
    if (!(status & MCI_STATUS_UC))
        return MACHINE_CHECK_GO_ON;

    /* The bank does not say what has to be done: the interrupted code may have used the wrong data. OVER: there was
     * another error in this bank, and nobody knows what it was. */
    if (!(mc->cap & MCG_CAP_SER_P))
        return status & MCI_STATUS_OVER ? MACHINE_CHECK_STOP : MACHINE_CHECK_END_IT;

    /* UCNA and SRAO (SDM Vol. 3, 17.6): nobody has used the wrong data yet. */
    if (!(status & MCI_STATUS_AR))
        return MACHINE_CHECK_GO_ON;

    /* OVER: there were two errors in this bank, and AR stays set if either of them has it (17.6.4). So the error that
     * is lost may need action, too. Without AR, above, it does not: it may be a corrected one. */
    if (status & MCI_STATUS_OVER)
        return MACHINE_CHECK_STOP;

    /* SRAR: this CPU has used the wrong data if it has EIPV, or cannot go on. Other CPUs are only told of the error. */
    bool this_cpu_used_it = (mc->status & MCG_STATUS_EIPV) || !(mc->status & MCG_STATUS_RIPV);
    return this_cpu_used_it ? MACHINE_CHECK_END_IT : MACHINE_CHECK_GO_ON;
}

enum machine_check_verdict machine_check_judge(const struct machine_check *mc, unsigned *culprit)
{
    enum machine_check_verdict worst = MACHINE_CHECK_GO_ON;

    *culprit = mc->banks;
    for (unsigned i = 0; i < mc->banks; i++) {
        enum machine_check_verdict verdict = judge_bank(mc, mc->bank[i].status);
        bool first = *culprit == mc->banks && (mc->bank[i].status & MCI_STATUS_VAL);

        if (verdict > worst || first)
            *culprit = i;
        worst = MAX(worst, verdict);
    }

    bool goes_on = mc->status & MCG_STATUS_RIPV;
    return goes_on ? worst : MAX(worst, MACHINE_CHECK_END_IT);
}

bool machine_check_place(const struct machine_check *mc, const struct machine_check_bank *bank, uint64_t *start,
                         uint64_t *size)
{
    enum { LARGEST = 30 };
    const uint64_t needed = MCI_STATUS_VAL | MCI_STATUS_UC | MCI_STATUS_ADDRV | MCI_STATUS_MISCV;
    uint64_t low_bits = bank->misc & MCI_MISC_LSB;

    if (!(mc->cap & MCG_CAP_SER_P) || (bank->status & needed) != needed)
        return false;
    if ((bank->misc & MCI_MISC_MODE) != MCI_MISC_MODE_PHYSICAL || low_bits > LARGEST)
        return false;

    *size = BIT(low_bits);
    *start = ALIGN_DOWN(bank->addr, *size);
    return true;
}

void machine_check_describe(const struct machine_check *mc, void (*put)(const char *fmt, ...))
{
    bool any = false;

    for (unsigned i = 0; i < mc->banks; i++) {
        const struct machine_check_bank *bank = &mc->bank[i];

        if (!(bank->status & MCI_STATUS_VAL))
            continue;
        put("bank %u: status %lx, address %lx, misc %lx", i, bank->status, bank->addr, bank->misc);
        any = true;
    }
    if (!any)
        put("no bank tells of an error");
}
