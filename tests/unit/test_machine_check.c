/* What a machine check asks for: a line for each kind of error of SDM Vol. 3, 17.6, and APM Vol. 2, 9.3. */
// links: kernel/machine_check.c
#include "kernel/machine_check.h"

#include "tests/unit/test.h"

enum { RIPV = MCG_STATUS_RIPV, EIPV = MCG_STATUS_EIPV, MCIP = MCG_STATUS_MCIP, SER = MCG_CAP_SER_P };
#define CORRECTED   (MCI_STATUS_VAL | MCI_STATUS_EN)
#define UNCORRECTED (CORRECTED | MCI_STATUS_UC)
#define UCNA        UNCORRECTED
#define SRAO        (UNCORRECTED | MCI_STATUS_S)
#define SRAR        (UNCORRECTED | MCI_STATUS_S | MCI_STATUS_AR)
#define GO_ON       MACHINE_CHECK_GO_ON
#define END_IT      MACHINE_CHECK_END_IT
#define STOP        MACHINE_CHECK_STOP

static const struct line {
    const char *name;
    uint64_t cap, status, bank[3];
    unsigned culprit; /* 3: none */
    enum machine_check_verdict verdict;
} lines[] = {
    {"nothing valid", SER, MCIP | RIPV, {0, MCI_STATUS_UC | MCI_STATUS_PCC, 0}, 3, GO_ON},
    {"nothing valid, RIP lost", SER, MCIP, {0}, 3, END_IT},
    {"corrected", 0, MCIP | RIPV, {0, CORRECTED, 0}, 1, GO_ON},
    {"corrected, overflow", 0, MCIP | RIPV, {CORRECTED | MCI_STATUS_OVER, 0, 0}, 0, GO_ON},
    {"corrected, RIP lost", 0, MCIP, {0, CORRECTED, 0}, 1, END_IT},
    {"uncorrected, kind not told", 0, MCIP | RIPV, {0, 0, UNCORRECTED}, 2, END_IT},
    {"uncorrected, no RIP, kind not told", 0, MCIP, {0, 0, UNCORRECTED}, 2, END_IT},
    {"S and AR mean nothing without SER_P", 0, MCIP | RIPV, {0, 0, SRAO}, 2, END_IT},
    {"UCNA", SER, MCIP | RIPV, {UCNA, 0, 0}, 0, GO_ON},
    {"SRAO", SER, MCIP | RIPV, {SRAO, 0, 0}, 0, GO_ON},
    {"SRAR of a load", SER, MCIP | RIPV | EIPV, {SRAR, 0, 0}, 0, END_IT},
    {"SRAR of a fetch", SER, MCIP | EIPV, {SRAR, 0, 0}, 0, END_IT},
    {"SRAR without any RIP", SER, MCIP, {SRAR, 0, 0}, 0, END_IT},
    {"SRAR of another CPU", SER, MCIP | RIPV, {SRAR, 0, 0}, 0, GO_ON},
    {"uncorrected, one lost", 0, MCIP | RIPV, {UNCORRECTED | MCI_STATUS_OVER, 0, 0}, 0, STOP},
    {"SRAR, one lost", SER, MCIP | RIPV | EIPV, {SRAR | MCI_STATUS_OVER, 0, 0}, 0, STOP},
    {"SRAO, one lost", SER, MCIP | RIPV, {SRAO | MCI_STATUS_OVER, 0, 0}, 0, STOP},
    {"context corrupt", 0, MCIP | RIPV, {0, UNCORRECTED | MCI_STATUS_PCC, 0}, 1, STOP},
    {"context corrupt, SER_P", SER, MCIP | RIPV, {0, UNCORRECTED | MCI_STATUS_PCC, 0}, 1, STOP},
    {"context corrupt, RIP lost", SER, MCIP, {0, UNCORRECTED | MCI_STATUS_PCC, 0}, 1, STOP},
    {"the worst decides", SER, MCIP | RIPV | EIPV, {CORRECTED, SRAR, UNCORRECTED | MCI_STATUS_PCC}, 2, STOP},
    {"the first of the worst", SER, MCIP | RIPV | EIPV, {SRAO, SRAR, SRAR}, 1, END_IT},
    {"the first that is valid", SER, MCIP | RIPV, {0, CORRECTED, UCNA}, 1, GO_ON},
};

TEST(each_kind)
{
    for (unsigned i = 0; i < ARRAY_SIZE(lines); i++) {
        const struct line *l = &lines[i];
        struct machine_check mc = {.cap = l->cap, .status = l->status, .banks = 3};
        unsigned culprit = 99, before = test_bad_checks;

        for (unsigned k = 0; k < 3; k++)
            mc.bank[k].status = l->bank[k];
        CHECK_EQ(machine_check_judge(&mc, &culprit), l->verdict);
        CHECK_EQ(culprit, l->culprit);
        if (test_bad_checks != before)
            printf("in %s\n", l->name);
    }
}

TEST(no_banks)
{
    const struct machine_check mc = {.status = MCIP | RIPV};
    unsigned culprit = 99;

    CHECK_EQ(machine_check_judge(&mc, &culprit), GO_ON);
    CHECK_EQ(culprit, 0);
}
