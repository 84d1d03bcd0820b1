/*
 * What a guest may do to the MSRs that only keep a value, by vendor (SDM Vol. 4, 2.1, and Vol. 3, 12.11; APM Vol. 2,
 * 7.7, 7.9, 13.2 and appendix A): a line for each register, with what is good and what is #GP.
 */
// links: kernel/vm/msr_table.c
#include "kernel/vm/msr_table.h"

#include "tests/unit/test.h"

enum { BITS = 40, GP = E_INVAL, NONE = E_NOENT };
static const struct msr_cpu intel = {MSR_INTEL, BITS}, amd = {MSR_AMD, BITS};
static struct msr_store *s;

static int write_msr(const struct msr_cpu *cpu, uint32_t msr, uint64_t value)
{
    return msr_store_write(s, cpu, msr, value);
}

static uint64_t read_msr(const struct msr_cpu *cpu, uint32_t msr)
{
    uint64_t value = 0xbad;
    CHECK_EQ(msr_store_read(s, cpu, msr, &value), OK);
    return value;
}

static void fresh(const struct msr_cpu *cpu)
{
    free(s);
    s = malloc(sizeof *s);
    msr_store_reset(s, cpu, 0x30000000, 0x12345000);
}

/* On which vendor's CPU: value at power-up, what may be written, what is #GP. */
static const struct line {
    const char *name;
    uint32_t first, last;
    unsigned vendors;
    uint64_t at_reset;
    uint64_t good[4]; /* kept as they are written; 0 is no end of the list, and written too */
    uint64_t bad[6];  /* the first 0 ends them */
} lines[] = {
    {"IA32_PLATFORM_ID", 0x17, 0x17, MSR_INTEL, 0, {0}, {0}},
    {"BIOS_SIGN_ID, PATCH_LEVEL", 0x8b, 0x8b, MSR_BOTH, 0, {0}, {1, BIT(32)}},
    {"MCG_STATUS", 0x17a, 0x17a, MSR_BOTH, 0, {0, 4, 1, 7}, {8, 0xf, BIT(63)}},
    {"DEBUGCTL", 0x1d9, 0x1d9, MSR_BOTH, 0, {0}, {1, 2, 0xffc0, BIT(14)}},
    {"MISC_ENABLE",
     0x1a0,
     0x1a0,
     MSR_INTEL,
     0x1801,
     {0x1800, 0x1801},
     {1, 0x1881, 0x1001, 0x801, 0x41801, BIT(34) + 0x1801}},
    {"MTRR_PHYSBASE", 0x200, 0x200, MSR_BOTH, 0, {6, 0xfffffff000, 0xc0000005, 1}, {2, 3, 7, 8, 0x106, BIT(BITS)}},
    {"MTRR_PHYSBASE7", 0x20e, 0x20e, MSR_BOTH, 0, {6, 0xfffffff000, 0xc0000004, 1}, {2, 3, 7, 0xff, 0x800, BIT(63)}},
    {"MTRR_PHYSMASK",
     0x201,
     0x201,
     MSR_BOTH,
     0,
     {0x800, 0xfffffff800, 0xfff0000000},
     {1, 6, 0x400, 0xff, BIT(BITS), BIT(63)}},
    {"MTRR_PHYSMASK7",
     0x20f,
     0x20f,
     MSR_BOTH,
     0,
     {0x800, 0xfffffff800, 0xfff0000000},
     {1, 6, 0x400, 0xff, BIT(BITS), BIT(63)}},
    {"MTRR_FIX64K",
     0x250,
     0x250,
     MSR_BOTH,
     0x0606060606060606,
     {0, 0x0605040100060606},
     {2, 0x0300000000000000, 0x700, 0x80, 0x10}},
    {"MTRR_FIX16K",
     0x258,
     0x259,
     MSR_BOTH,
     0x0606060606060606,
     {0, 0x0605040100060606},
     {2, 0x0300000000000000, 0x700, 0x80, 0x08}},
    {"MTRR_FIX4K",
     0x268,
     0x26f,
     MSR_BOTH,
     0x0606060606060606,
     {0, 0x0605040100060606},
     {2, 0x0300000000000000, 0x700, 0x80, 0x18}},
    {"MTRR_DEF_TYPE", 0x2ff, 0x2ff, MSR_BOTH, 0xc06, {0, 0xc00, 0x806, 0xc05}, {2, 3, 0xc07, 0x100, 0x1000, BIT(32)}},
    {"SYSCFG",
     0xc0010010,
     0xc0010010,
     MSR_AMD,
     0,
     {0, BIT(18), BIT(21) | BIT(22), 0x1full << 18},
     {1, BIT(17), BIT(23), BIT(24), BIT(63)}},
    {"HWCR",
     0xc0010015,
     0xc0010015,
     MSR_AMD,
     0,
     {0, 8, 0x40, BIT(18) | BIT(24)},
     {1, BIT(9), BIT(15), BIT(17), BIT(30), BIT(35)}},
    {"IORRBase", 0xc0010016, 0xc0010016, MSR_AMD, 0, {0x18, 0xfffffff000}, {1, 4, 0x20, 0x800, BIT(BITS)}},
    {"IORRMask", 0xc0010017, 0xc0010017, MSR_AMD, 0, {0x800, 0xfffffff800}, {1, 0x18, 0x400, BIT(BITS)}},
    {"IORRBase1", 0xc0010018, 0xc0010018, MSR_AMD, 0, {0x18, 0xfffffff000}, {1, 4, 0x20, 0x800, BIT(BITS)}},
    {"IORRMask1", 0xc0010019, 0xc0010019, MSR_AMD, 0, {0x800, 0xfffffff800}, {1, 0x18, 0x400, BIT(BITS)}},
    {"TOP_MEM", 0xc001001a, 0xc001001a, MSR_AMD, 0x30000000, {0, 0x800000, 0xffff800000}, {1, 0x400000, BIT(BITS)}},
    {"TOP_MEM2", 0xc001001d, 0xc001001d, MSR_AMD, 0x112800000, {0, 0x800000, 0xffff800000}, {1, 0x400000, BIT(BITS)}},
    {"NB_CFG", 0xc001001f, 0xc001001f, MSR_AMD, 0, {0, BIT(46)}, {1, BIT(45), BIT(47)}},
    {"Interrupt Pending", 0xc0010055, 0xc0010055, MSR_AMD, 0, {0}, {1, BIT(28)}},
    {"PerfEvtSel", 0xc0010000, 0xc0010003, MSR_AMD, 0, {0, 0x530076, 0xf00000000, 0xffd70000}, {0}},
    {"PerfCtr", 0xc0010004, 0xc0010007, MSR_AMD, 0, {0, 0xffffffffffff, 0x800000000000}, {0}},
};

static bool read_only(const struct line *l)
{
    return l->first == 0x17;
}

static void one(const struct line *l, const struct msr_cpu *cpu, uint32_t msr)
{
    fresh(cpu);
    CHECK_EQ(read_msr(cpu, msr), l->at_reset);
    CHECK_EQ(write_msr(cpu, msr, l->at_reset), read_only(l) ? GP : OK);
    for (unsigned i = 0; i < ARRAY_SIZE(l->good) && !read_only(l); i++) {
        if (i && !l->good[i])
            continue;
        CHECK_EQ(write_msr(cpu, msr, l->good[i]), OK);
        CHECK_EQ(read_msr(cpu, msr), l->good[i]);
    }
    uint64_t before = read_msr(cpu, msr);
    for (unsigned i = 0; i < ARRAY_SIZE(l->bad) && l->bad[i]; i++) {
        CHECK_EQ(write_msr(cpu, msr, l->bad[i]), GP);
        CHECK_EQ(read_msr(cpu, msr), before);
    }
}

TEST(each_register)
{
    for (unsigned i = 0; i < ARRAY_SIZE(lines); i++)
        for (unsigned vendor = 0; vendor < 2; vendor++) {
            const struct line *l = &lines[i];
            const struct msr_cpu *cpu = vendor ? &amd : &intel;
            unsigned before = test_bad_checks;
            for (uint32_t msr = l->first; msr <= l->last; msr++) {
                uint64_t value;
                if (l->vendors & cpu->vendor) {
                    one(l, cpu, msr);
                } else {
                    CHECK_EQ(msr_store_read(s, cpu, msr, &value), NONE);
                    CHECK_EQ(write_msr(cpu, msr, 0), NONE);
                }
            }
            if (test_bad_checks != before)
                printf("in %s, %s\n", l->name, vendor ? "AMD" : "Intel");
        }
}

TEST(constants)
{
    fresh(&amd);
    static const struct {
        uint32_t msr;
        uint64_t value;
    } constants[] = {{0xfe, 0x508}, {0x179, 0}, {0x1db, 0}, {0x1dc, 0}, {0x1dd, 0}, {0x1de, 0}};
    for (unsigned i = 0; i < ARRAY_SIZE(constants); i++) {
        CHECK_EQ(read_msr(&amd, constants[i].msr), constants[i].value);
        CHECK_EQ(write_msr(&amd, constants[i].msr, constants[i].value), GP);
    }
}

/* Each register has its own place: what is written to one is read from it, and from no other. */
TEST(no_two_share)
{
    for (unsigned vendor = 0; vendor < 2; vendor++) {
        const struct msr_cpu *cpu = vendor ? &amd : &intel;
        for (unsigned i = 0; i < ARRAY_SIZE(lines); i++)
            for (uint32_t msr = lines[i].first; msr <= lines[i].last; msr++) {
                if (!(lines[i].vendors & cpu->vendor) || !lines[i].good[1])
                    continue;
                fresh(cpu);
                CHECK_EQ(write_msr(cpu, msr, lines[i].good[1]), OK);
                for (unsigned k = 0; k < ARRAY_SIZE(lines); k++)
                    for (uint32_t other = lines[k].first; other <= lines[k].last; other++)
                        if (other != msr && (lines[k].vendors & cpu->vendor))
                            CHECK_EQ(read_msr(cpu, other), lines[k].at_reset);
            }
    }
}

/* Of all numbers, no others answer. */
TEST(nothing_else)
{
    static const uint32_t bases[] = {0, 0xc0000000, 0xc0010000, 0x40000000};
    fresh(&amd);
    unsigned count[2] = {0, 0};
    for (unsigned vendor = 0; vendor < 2; vendor++)
        for (unsigned b = 0; b < ARRAY_SIZE(bases); b++)
            for (uint32_t n = 0; n < 0x2000; n++) {
                uint64_t value;
                count[vendor] += msr_store_read(s, vendor ? &amd : &intel, bases[b] + n, &value) == OK;
            }
    CHECK_EQ(count[0], 29 + 4 + 2);
    CHECK_EQ(count[1], 29 + 4 + 4 + 8 + 2 + 4 + 2 + 2);
}

/* What AMD's CPUs ignore is dropped, and of 48 bits there are no more. */
TEST(k7_counters)
{
    fresh(&amd);
    CHECK_EQ(write_msr(&amd, 0xc0010002, UINT64_MAX), OK);
    CHECK_EQ(read_msr(&amd, 0xc0010002), 0xfffd7ffff);
    CHECK_EQ(write_msr(&amd, 0xc0010007, UINT64_MAX), OK);
    CHECK_EQ(read_msr(&amd, 0xc0010007), 0xffffffffffff);
    uint64_t value;
    CHECK_EQ(msr_store_counter(s, &amd, 3, &value), OK);
    CHECK_EQ(value, 0xffffffffffff);
    CHECK_EQ(msr_store_counter(s, &amd, 2, &value), OK);
    CHECK_EQ(value, 0);
    CHECK_EQ(msr_store_counter(s, &amd, 4, &value), GP);
    CHECK_EQ(msr_store_counter(s, &amd, UINT32_MAX, &value), GP);
    CHECK_EQ(msr_store_counter(s, &intel, 0, &value), GP);
}

/* RdMem and WrMem are there while SYSCFG shows them, and hidden again behind it. */
TEST(extended_fixed_ranges)
{
    const uint64_t extended = 0x1e1e1e1e16160e06;
    fresh(&amd);
    CHECK_EQ(write_msr(&amd, 0x268, extended), GP);
    CHECK_EQ(write_msr(&amd, 0xc0010010, 3 << 18), OK);
    CHECK_EQ(write_msr(&amd, 0x268, extended), OK);
    CHECK_EQ(write_msr(&amd, 0x268, extended | 0x20), GP);
    CHECK_EQ(write_msr(&amd, 0x268, extended | 0x01), GP);
    CHECK_EQ(read_msr(&amd, 0x268), extended);
    CHECK_EQ(write_msr(&amd, 0xc0010010, 1 << 18), OK);
    CHECK_EQ(read_msr(&amd, 0x268), 0x0606060606060606);
}

TEST(top_of_memory_without_high_ram)
{
    fresh(&amd);
    msr_store_reset(s, &amd, 0x30000000, 0);
    CHECK_EQ(read_msr(&amd, 0xc001001d), 0);
}

TEST(all_physical_bits)
{
    const struct msr_cpu widest = {MSR_AMD, 52};
    fresh(&widest);
    CHECK_EQ(write_msr(&widest, 0x201, 0xffffffffff800), OK);
    CHECK_EQ(write_msr(&widest, 0x201, 0x1ffffffffff800), GP);
    free(s);
    s = NULL;
}
