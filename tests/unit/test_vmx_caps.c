/*
 * What root asks of a CPU's VMX, against capability MSRs as Intel's CPUs have them (SDM Vol. 3, appendix A).
 */
// links: vmx/caps.c lib/format.c
#include "vmx/caps.h"

#include "tests/unit/test.h"

enum {
    FEATURE_CONTROL = 0x3a,
    BASIC = 0x480,
    MISC = 0x485,
    CR0_FIXED0,
    CR0_FIXED1,
    CR4_FIXED0,
    CR4_FIXED1,
    PROCBASED2 = 0x48b,
    EPT_VPID_CAP,
    TRUE_PIN,
    TRUE_PROC,
    TRUE_EXIT,
    TRUE_ENTRY,
    MSRS
};
#define ROOT_CR0 0x80010013ull /* PG WP ET MP PE */
#define ROOT_CR4 0x003406b0ull /* SMAP SMEP OSXSAVE OSXMMEXCPT OSFXSR PGE PAE PSE */

static uint64_t msrs[MSRS];
static bool without_secondary; /* then the MSR of the secondary controls is none */

static uint64_t read_msr(uint32_t msr)
{
    CHECK(msr == FEATURE_CONTROL || (msr >= BASIC && msr < MSRS));
    CHECK(!(without_secondary && msr == PROCBASED2));
    return msr < MSRS ? msrs[msr] : 0;
}

/* A Skylake's; the TRUE MSRs' lower halves are what appendix A.3 to A.5 and 25.6 to 25.8 leave fixed at 1. */
static void good(void)
{
    memset(msrs, 0, sizeof msrs);
    memset(&vmx_caps, 0, sizeof vmx_caps);
    without_secondary = false;
    msrs[FEATURE_CONTROL] = 5;
    msrs[BASIC] = 0x00da040000000004;
    msrs[MISC] = 0x7004c1e7;
    msrs[CR0_FIXED0] = 0x80000021;
    msrs[CR0_FIXED1] = 0xffffffff;
    msrs[CR4_FIXED0] = 0x2000;
    msrs[CR4_FIXED1] = 0x3767ff;
    msrs[PROCBASED2] = 0x001ffcff00000000;
    msrs[EPT_VPID_CAP] = 0x00000f0106734141;
    msrs[TRUE_PIN] = 0x0000007f00000016;
    msrs[TRUE_PROC] = 0xfff9fffe04006172;
    msrs[TRUE_EXIT] = 0x01ffffff00036dfb;
    msrs[TRUE_ENTRY] = 0x0003ffff000011fb;
}

static const char *probe(void)
{
    return vmx_probe(read_msr, ROOT_CR0, ROOT_CR4);
}

/* The line says which, and what to do about it. */
static void check_missing(const char *name)
{
    const char *line = probe();
    bool named = line && strstr(line, name) && strstr(line, "CPU");
    if (!named)
        printf("wanted \"%s\": %s\n", name, line ? line : "(no problem)");
    CHECK(named);
}

TEST(a_good_cpu)
{
    good();
    CHECK_STR(probe(), NULL);
    CHECK_EQ(vmx_caps.revision, 4);
    CHECK_EQ(vmx_caps.timer_shift, 7);
    CHECK_EQ(vmx_caps.ept_vpid, msrs[EPT_VPID_CAP]);
    CHECK_EQ(vmx_caps.cr0_fixed[0], 0x20); /* unrestricted guests: PE and PG are free (A.7) */
    CHECK_EQ(vmx_caps.cr0_fixed[1], 0xffffffff);
    CHECK_EQ(vmx_caps.cr4_fixed[0], 0x2000);
    CHECK_EQ(vmx_caps.cr4_fixed[1], 0x3767ff);
    /* Windows and 64-bit guests are for later; nothing is set that was not asked for. */
    CHECK_EQ(vmx_caps.control[PIN], 0x16 | 1 | 1 << 3 | 1 << 5 | 1 << 6);
    CHECK_EQ(vmx_caps.control[PROC],
             0x04006172u | 1 << 3 | 1 << 7 | 1 << 10 | 1 << 11 | 1 << 21 | 1 << 25 | 1 << 28 | 1 << 29 | 1u << 31);
    CHECK_EQ(vmx_caps.control[PROC2], 1 << 1 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 10);
    CHECK_EQ(vmx_caps.control[EXIT], 0x36dfb | 1 << 2 | 1 << 9 | 1 << 18 | 1 << 19 | 1 << 20 | 1 << 21);
    CHECK_EQ(vmx_caps.control[ENTRY], 0x11fb | 1 << 2 | 1 << 14 | 1 << 15);
}

/* Bits and names: SDM Vol. 3, tables 25-5 to 25-7, 25-14 and 25-16. Each of them alone is not there. */
TEST(each_required_control)
{
    static const struct {
        uint32_t msr;
        unsigned bit;
        const char *name;
    } needed[] = {
        {TRUE_PIN, 0, "external-interrupt exiting"},
        {TRUE_PIN, 3, "NMI exiting"},
        {TRUE_PIN, 5, "virtual NMIs"},
        {TRUE_PROC, 2, "interrupt-window exiting"},
        {TRUE_PROC, 3, "TSC offsetting"},
        {TRUE_PROC, 7, "HLT exiting"},
        {TRUE_PROC, 10, "MWAIT exiting"},
        {TRUE_PROC, 11, "RDPMC exiting"},
        {TRUE_PROC, 21, "TPR shadow"},
        {TRUE_PROC, 22, "NMI-window exiting"},
        {TRUE_PROC, 25, "I/O bitmaps"},
        {TRUE_PROC, 28, "MSR bitmaps"},
        {TRUE_PROC, 29, "MONITOR exiting"},
        {TRUE_PROC, 31, "secondary controls"},
        {PROCBASED2, 1, "EPT"},
        {PROCBASED2, 7, "unrestricted guest"},
        {TRUE_EXIT, 2, "saving of debug controls"},
        {TRUE_EXIT, 9, "64-bit host"},
        {TRUE_EXIT, 18, "saving of IA32_PAT"},
        {TRUE_EXIT, 19, "loading of IA32_PAT at exits"},
        {TRUE_EXIT, 20, "saving of IA32_EFER"},
        {TRUE_EXIT, 21, "loading of IA32_EFER at exits"},
        {TRUE_ENTRY, 2, "loading of debug controls"},
        {TRUE_ENTRY, 9, "64-bit guests"},
        {TRUE_ENTRY, 14, "loading of IA32_PAT at entries"},
        {TRUE_ENTRY, 15, "loading of IA32_EFER at entries"},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(needed); i++) {
        good();
        msrs[needed[i].msr] &= ~BIT(32 + needed[i].bit);
        without_secondary = needed[i].msr == TRUE_PROC && needed[i].bit == 31;
        check_missing(needed[i].name);
    }
}

/* What is only wanted is not set where it is not there, and nothing else changes. */
TEST(each_wanted_control)
{
    static const struct {
        uint32_t msr;
        enum word word;
        unsigned bit;
    } wanted[] = {{TRUE_PIN, PIN, 6}, {PROCBASED2, PROC2, 5}, {PROCBASED2, PROC2, 6}, {PROCBASED2, PROC2, 10}};
    for (unsigned i = 0; i < ARRAY_SIZE(wanted); i++) {
        good();
        CHECK_STR(probe(), NULL);
        struct vmx_caps before = vmx_caps;
        msrs[wanted[i].msr] &= ~BIT(32 + wanted[i].bit);
        CHECK_STR(probe(), NULL);
        CHECK(before.control[wanted[i].word] >> wanted[i].bit & 1);
        before.control[wanted[i].word] &= ~(1u << wanted[i].bit);
        CHECK(memcmp(&before, &vmx_caps, sizeof before) == 0);
    }
}

/* A control that has to be 1 and that root did not choose; MOV to CR3 is the one of old CPUs (A.3.2). */
TEST(forced_controls)
{
    good();
    msrs[TRUE_PROC] |= BIT(15) | BIT(16);
    check_missing("bit 15 of its processor-based controls");
    for (unsigned bit = 0; bit < 32; bit++) {
        static const uint32_t pin_chosen = 0x7f, exit_chosen = 0x36dff | 1 << 9 | 15u << 18;
        good();
        msrs[TRUE_PIN] |= BIT(bit);
        CHECK_EQ(probe() == NULL, pin_chosen >> bit & 1);
        good();
        msrs[TRUE_EXIT] |= BIT(bit);
        CHECK_EQ(probe() == NULL, exit_chosen >> bit & 1);
    }
    good();
    msrs[TRUE_PROC] |= BIT(2); /* a window that never closes */
    check_missing("bit 2 of its processor-based controls");
    good();
    msrs[TRUE_ENTRY] |= BIT(10); /* "entry to SMM" */
    check_missing("bit 10 of its VM-entry controls");
    good();
    msrs[PROCBASED2] |= BIT(0);
    check_missing("bit 0 of its secondary controls");
}

/* SDM Vol. 3, 24.7: locked without VMX is for the firmware to change, not locked is for root. */
TEST(feature_control)
{
    static const struct {
        uint64_t value;
        bool good;
    } cases[] = {{0, true}, {1, false}, {2, true}, {3, false}, {4, true}, {5, true}, {7, true}};
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        good();
        msrs[FEATURE_CONTROL] = cases[i].value;
        const char *line = probe();
        CHECK_EQ(line == NULL, cases[i].good);
        CHECK(cases[i].good || (line && strstr(line, "firmware")));
    }
}

TEST(basic_and_misc)
{
    good();
    msrs[BASIC] &= ~BIT(55);
    check_missing("TRUE capability MSRs");
    good();
    msrs[BASIC] &= ~(15ull << 50); /* uncacheable */
    check_missing("VMCS in write-back memory");
    good();
    msrs[MISC] &= ~BIT(5); /* A.6 */
    check_missing("EFER.LMA");
    good();
    msrs[BASIC] |= 0x7ffffffe;
    CHECK_STR(probe(), NULL);
    CHECK_EQ(vmx_caps.revision, 0x7ffffffe);
}

/* A.7 and A.8: a bit that has to be 0 or 1 in VMX operation, and that root has otherwise. */
TEST(control_registers)
{
    good();
    msrs[CR0_FIXED1] &= ~BIT(16);
    check_missing("root's CR0");
    good();
    msrs[CR0_FIXED0] |= BIT(18); /* root sets what is wanted there */
    CHECK_STR(probe(), NULL);
    CHECK_EQ(vmx_caps.cr0_fixed[0], BIT(5) | BIT(18));
    good();
    msrs[CR4_FIXED1] &= ~BIT(21);
    check_missing("root's CR4");
    good();
    msrs[CR4_FIXED0] |= BIT(0);
    check_missing("root's CR4");
    good();
    msrs[CR4_FIXED1] &= ~BIT(13);
    check_missing("root's CR4");
}

TEST(ept_and_vpid)
{
    static const struct {
        unsigned bit;
        const char *name;
    } needed[] = {{6, "four levels"}, {14, "write-back EPT"}, {20, "INVEPT"}, {26, "all contexts"}};
    static const unsigned fine[] = {0, 8, 16, 17, 21, 25, 40, 41, 43};
    for (unsigned i = 0; i < ARRAY_SIZE(needed); i++) {
        good();
        msrs[EPT_VPID_CAP] &= ~BIT(needed[i].bit);
        check_missing(needed[i].name);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(fine); i++) {
        good();
        msrs[EPT_VPID_CAP] &= ~BIT(fine[i]);
        CHECK_STR(probe(), NULL);
        CHECK(vmx_caps.control[PROC2] & PROC2_VPID);
    }
    /* VPIDs are of no use without INVVPID of all contexts. */
    for (unsigned bit = 32; bit <= 42; bit += 10) {
        good();
        msrs[EPT_VPID_CAP] &= ~BIT(bit);
        CHECK_STR(probe(), NULL);
        CHECK(!(vmx_caps.control[PROC2] & PROC2_VPID));
        CHECK(vmx_caps.control[PROC2] & 1 << 1);
    }
}
