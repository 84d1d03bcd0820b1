/* What a machine check asks for: a line for each kind of error of SDM Vol. 3, 17.6, and APM Vol. 2, 9.3. */
// links: kernel/vm/machine_check.c
#include "kernel/vm/machine_check.h"

#include <stdarg.h>

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
    {"SRAO, one lost", SER, MCIP | RIPV, {SRAO | MCI_STATUS_OVER, 0, 0}, 0, GO_ON},
    {"UCNA, one lost", SER, MCIP | RIPV, {UCNA | MCI_STATUS_OVER, 0, 0}, 0, GO_ON},
    {"UCNA, the lost one asks for action", SER, MCIP | RIPV, {UCNA | MCI_STATUS_AR | MCI_STATUS_OVER, 0, 0}, 0, STOP},
    {"SRAO over a corrected one, no SER_P", 0, MCIP | RIPV, {SRAO | MCI_STATUS_OVER, 0, 0}, 0, STOP},
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

/* SDM Vol. 3, 17.3.2.4: an address counts only if all says that it is one of memory. */
TEST(place)
{
    enum { PHYSICAL = 2 << 6, LINEAR = 1 << 6 };
    const uint64_t known = UNCORRECTED | MCI_STATUS_ADDRV | MCI_STATUS_MISCV, page = 0x1234567abc;
    static const struct {
        uint64_t low_bits, start, size;
    } sizes[] = {{0, 0x1234567abc, 1}, {6, 0x1234567a80, 64}, {12, 0x1234567000, 4096}, {30, 0x1200000000, 1 << 30}};
    struct machine_check mc = {.cap = SER};
    uint64_t start, size;

    for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
        const struct machine_check_bank bank = {known, page, PHYSICAL | sizes[i].low_bits};
        CHECK(machine_check_place(&mc, &bank, &start, &size));
        CHECK_EQ(start, sizes[i].start);
        CHECK_EQ(size, sizes[i].size);
    }

    const struct machine_check_bank not_known[] = {
        {known & ~MCI_STATUS_VAL, page, PHYSICAL},
        {known & ~MCI_STATUS_UC, page, PHYSICAL},
        {known & ~MCI_STATUS_ADDRV, page, PHYSICAL},
        {known & ~MCI_STATUS_MISCV, page, PHYSICAL},
        {known, page, LINEAR},
        {known, page, 0},
        {known, page, 7 << 6},
        {known, page, PHYSICAL | 31},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(not_known); i++)
        CHECK(!machine_check_place(&mc, &not_known[i], &start, &size));

    const struct machine_check_bank good = {known, page, PHYSICAL};
    mc.cap = 0;
    CHECK(!machine_check_place(&mc, &good, &start, &size));
}

static char said[4][100];
static unsigned lines_said;

static void put(const char *fmt, ...) PRINTF_LIKE(1, 2);
static void put(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vsnprintf(said[lines_said++ % 4], sizeof said[0], fmt, args);
    va_end(args);
}

/* A line for each bank that has something to say. */
TEST(description)
{
    struct machine_check mc = {.banks = 3};

    mc.bank[0] = (struct machine_check_bank){CORRECTED, 0, 0};
    mc.bank[1] = (struct machine_check_bank){MCI_STATUS_UC, 0x1000, 0};
    mc.bank[2] = (struct machine_check_bank){SRAO | MCI_STATUS_ADDRV | MCI_STATUS_MISCV, 0x1234000, 0x8c};
    lines_said = 0;
    machine_check_describe(&mc, put);
    CHECK_EQ(lines_said, 2);
    CHECK_STR(said[0], "bank 0: status 9000000000000000, address 0, misc 0");
    CHECK_STR(said[1], "bank 2: status bd00000000000000, address 1234000, misc 8c");

    memset(&mc.bank, 0, sizeof mc.bank);
    lines_said = 0;
    machine_check_describe(&mc, put);
    CHECK_EQ(lines_said, 1);
    CHECK_STR(said[0], "no bank tells of an error");
}
