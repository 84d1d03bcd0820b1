/*
 * What a machine check asks for (SDM Vol. 3, chapter 17; APM Vol. 2, chapter 9), from what the CPU's banks say. Pure
 * logic; kernel/vm/machine_check_cpu.c reads and clears the banks.
 */
#ifndef KERNEL_VM_MACHINE_CHECK_H
#define KERNEL_VM_MACHINE_CHECK_H

#include "abi/types.h"

enum {
    MCG_CAP_COUNT = 0xff,
    MCG_CAP_CTL_P = 1 << 8,  /* there is an MCG_CTL */
    MCG_CAP_SER_P = 1 << 24, /* S and AR are told */
    MCG_STATUS_RIPV = 1,     /* what was interrupted can go on */
    MCG_STATUS_EIPV = 2,     /* its RIP has to do with the error */
    MCG_STATUS_MCIP = 4
};

/* MCi_MISC: how many low bits of the address mean nothing, and what kind of address it is. */
#define MCI_MISC_LSB           0x3full
#define MCI_MISC_MODE          (7ull << 6)
#define MCI_MISC_MODE_PHYSICAL (2ull << 6)

#define MCI_STATUS_VAL   BIT(63)
#define MCI_STATUS_OVER  BIT(62)
#define MCI_STATUS_UC    BIT(61)
#define MCI_STATUS_EN    BIT(60)
#define MCI_STATUS_MISCV BIT(59)
#define MCI_STATUS_ADDRV BIT(58)
#define MCI_STATUS_PCC   BIT(57)
#define MCI_STATUS_S     BIT(56)
#define MCI_STATUS_AR    BIT(55)

/* 0 in addr and misc: the bank has none. */
struct machine_check_bank {
    uint64_t status, addr, misc;
};

enum { MACHINE_CHECK_BANKS = 32 }; /* as many as have MSRs from MC0_CTL on; of more, those are looked at */

struct machine_check {
    uint64_t cap, status; /* MCG_CAP, MCG_STATUS */
    unsigned banks;       /* 0..MACHINE_CHECK_BANKS */
    struct machine_check_bank bank[MACHINE_CHECK_BANKS];
};

enum machine_check_verdict {
    MACHINE_CHECK_GO_ON,  /* nothing is lost */
    MACHINE_CHECK_END_IT, /* what was interrupted is lost, and nothing else is */
    MACHINE_CHECK_STOP    /* nobody knows what else is lost */
};

/* *culprit: the bank that decided; if none did, the first valid one; if none is valid, banks. */
enum machine_check_verdict machine_check_judge(const struct machine_check *mc, unsigned *culprit) MUST_CHECK;

/*
 * Where in memory an uncorrected error of a bank lies: size bytes from *start on, a power of two of at most 1 GiB.
 * False: it is corrected, or the bank does not tell, or not in physical addresses (SDM Vol. 3, 17.3.2.4; without SER_P
 * the manuals of AMD's models know).
 */
bool machine_check_place(const struct machine_check *mc, const struct machine_check_bank *bank, uint64_t *start,
                         uint64_t *size) MUST_CHECK;

/* A line for each valid bank, by put; one line if none is. */
void machine_check_describe(const struct machine_check *mc, void (*put)(const char *fmt, ...));

#endif
