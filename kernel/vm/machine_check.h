/*
 * Judges a machine check by what the CPU's banks say (SDM Vol. 3, chapter 17; APM Vol. 2, chapter 9). Pure logic:
 * kernel/vm/machine_check_cpu.c reads and clears the banks.
 */
#ifndef KERNEL_VM_MACHINE_CHECK_H
#define KERNEL_VM_MACHINE_CHECK_H

#include "abi/types.h"

enum {
    MCG_CAP_COUNT = 0xff,
    MCG_CAP_CTL_P = 1 << 8,  /* there is an MCG_CTL */
    MCG_CAP_SER_P = 1 << 24, /* the banks have the bits S and AR */
    MCG_STATUS_RIPV = 1,     /* the interrupted code can go on */
    MCG_STATUS_EIPV = 2,     /* the interrupted code's RIP has to do with the error */
    MCG_STATUS_MCIP = 4
};

/* MCi_MISC. LSB: how many low bits of the address mean nothing. MODE: what kind of address it is. */
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

/* addr, misc: 0 if the bank does not tell them. */
struct machine_check_bank {
    uint64_t status, addr, misc;
};

/* So many banks have MSRs from MC0_CTL on. If a CPU has more, only these are looked at. */
enum { MACHINE_CHECK_BANKS = 32 };

struct machine_check {
    uint64_t cap, status; /* MCG_CAP, MCG_STATUS */
    unsigned banks;       /* 0..MACHINE_CHECK_BANKS */
    struct machine_check_bank bank[MACHINE_CHECK_BANKS];
};

enum machine_check_verdict {
    MACHINE_CHECK_GO_ON,  /* nothing is lost */
    MACHINE_CHECK_END_IT, /* the interrupted code has to end; nothing else is lost */
    MACHINE_CHECK_STOP    /* more is lost, and nobody knows what */
};

/* *culprit: the number of the bank that decided; if none did, of the first valid bank; if none is valid, mc->banks. */
enum machine_check_verdict machine_check_judge(const struct machine_check *mc, unsigned *culprit) MUST_CHECK;

/*
 * Where in memory a bank's uncorrected error lies: *size bytes from *start on, a power of two of at most 1 GiB. False:
 * the error is corrected, or the bank does not tell a physical address (SDM Vol. 3, 17.3.2.4). Always false without
 * SER_P: what such a bank means, only the manuals of AMD's models say.
 */
bool machine_check_place(const struct machine_check *mc, const struct machine_check_bank *bank, uint64_t *start,
                         uint64_t *size) MUST_CHECK;

/* Calls put for a line about each valid bank, or for one line if no bank is valid. */
void machine_check_describe(const struct machine_check *mc, void (*put)(const char *fmt, ...));

#endif
