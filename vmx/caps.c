/* What this CPU's VMX can do (SDM Vol. 3, appendix A), against what Lapwing needs and what it likes to have. */
#include "lib/format.h"

#include "kernel/asm.h"
#include "vmx/vmx.h"

enum {
    IA32_FEATURE_CONTROL = 0x3a,
    IA32_VMX_BASIC = 0x480,
    IA32_VMX_MISC = 0x485,
    IA32_VMX_CR0_FIXED0 = 0x486,
    IA32_VMX_PROC2 = 0x48b,
    IA32_VMX_EPT_VPID_CAP = 0x48c,
    IA32_VMX_TRUE_PIN = 0x48d,
    IA32_VMX_TRUE_PROC = 0x48e,
    IA32_VMX_TRUE_EXIT = 0x48f,
    IA32_VMX_TRUE_ENTRY = 0x490
};
enum { CR0_PE = 1 };
#define CR0_PG           BIT(31)
#define BASIC_TRUE       BIT(55)
#define EPT_CAP_INVVPID  (BIT(32) | BIT(42)) /* the instruction, and its type "all contexts" */
#define PROC_CR3_EXITING (BIT(15) | BIT(16))
#define FEATURE_LOCKED   BIT(0)
#define FEATURE_VMX      BIT(2) /* outside SMX operation */

struct vmx_caps vmx_caps;

enum need { REQUIRED, WANTED, LATER /* required, and set at run time */ };
static const struct control {
    enum word word;
    uint8_t bit;
    enum need need;
    const char *name;
} controls[] = {
    {PIN, 0, REQUIRED, "external-interrupt exiting"},
    {PIN, 3, REQUIRED, "NMI exiting"},
    {PIN, 5, REQUIRED, "virtual NMIs"},
    {PIN, 6, WANTED, "VMX-preemption timer"},
    {PROC, 2, LATER, "interrupt-window exiting"},
    {PROC, 3, REQUIRED, "TSC offsetting"},
    {PROC, 7, REQUIRED, "HLT exiting"},
    {PROC, 10, REQUIRED, "MWAIT exiting"},
    {PROC, 11, REQUIRED, "RDPMC exiting"},
    {PROC, 21, REQUIRED, "TPR shadow"},
    {PROC, 22, LATER, "NMI-window exiting"},
    {PROC, 25, REQUIRED, "I/O bitmaps"},
    {PROC, 28, REQUIRED, "MSR bitmaps"},
    {PROC, 29, REQUIRED, "MONITOR exiting"},
    {PROC, 31, REQUIRED, "secondary controls"},
    {PROC2, 1, REQUIRED, "EPT"},
    {PROC2, 5, WANTED, "VPID"},
    {PROC2, 6, WANTED, "WBINVD exiting"},
    {PROC2, 7, REQUIRED, "unrestricted guest"},
    {PROC2, 10, WANTED, "PAUSE-loop exiting"},
    {EXIT, 2, REQUIRED, "saving of debug controls"},
    {EXIT, 9, REQUIRED, "64-bit host"},
    {EXIT, 18, REQUIRED, "saving of IA32_PAT"},
    {EXIT, 19, REQUIRED, "loading of IA32_PAT at exits"},
    {EXIT, 20, REQUIRED, "saving of IA32_EFER"},
    {EXIT, 21, REQUIRED, "loading of IA32_EFER at exits"},
    {ENTRY, 2, REQUIRED, "loading of debug controls"},
    {ENTRY, 9, LATER, "64-bit guests"},
    {ENTRY, 14, REQUIRED, "loading of IA32_PAT at entries"},
    {ENTRY, 15, REQUIRED, "loading of IA32_EFER at entries"},
};
/* Bits of IA32_VMX_EPT_VPID_CAP. */
static const struct {
    uint8_t bit;
    const char *name;
} ept_needs[] = {{6, "EPT of four levels"}, {14, "write-back EPT"}, {20, "INVEPT"}, {26, "INVEPT of all contexts"}};

static const char *missing(const char *name)
{
    static char line[160];
    format(line, sizeof line, "this CPU's VMX has no %s, which Lapwing needs: use a newer CPU", name);
    return line;
}

/* Each word's MSR: bits 31:0 must be 1, bits 63:32 may be 1. */
static const char *choose_controls(void)
{
    static const uint32_t msrs[WORDS] = {IA32_VMX_TRUE_PIN, IA32_VMX_TRUE_PROC, IA32_VMX_PROC2, IA32_VMX_TRUE_EXIT,
                                         IA32_VMX_TRUE_ENTRY};
    uint32_t allowed[WORDS];
    for (unsigned w = 0; w < WORDS; w++) {
        if (w == PROC2 && !(allowed[PROC] >> 31))
            return missing("secondary controls");
        uint64_t both = rdmsr(msrs[w]);
        vmx_caps.control[w] = (uint32_t)both;
        allowed[w] = (uint32_t)(both >> 32);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(controls); i++) {
        const struct control *c = &controls[i];
        bool there = allowed[c->word] >> c->bit & 1;
        if (!there && c->need != WANTED)
            return missing(c->name);
        if (there && c->need != LATER)
            vmx_caps.control[c->word] |= 1u << c->bit;
    }
    return vmx_caps.control[PROC] & PROC_CR3_EXITING ? missing("MOV CR3 without exits") : NULL;
}

const char *vmx_probe(void)
{
    uint64_t feature = rdmsr(IA32_FEATURE_CONTROL);
    if ((feature & FEATURE_LOCKED) && !(feature & FEATURE_VMX))
        return "VMX is locked off in IA32_FEATURE_CONTROL: enable virtualization (VT-x) in the firmware's set-up";
    uint64_t basic = rdmsr(IA32_VMX_BASIC);
    if (!(basic & BASIC_TRUE))
        return missing("TRUE capability MSRs");
    const char *problem = choose_controls();
    if (problem)
        return problem;
    vmx_caps.revision = (uint32_t)basic & 0x7fffffff;
    vmx_caps.timer_shift = rdmsr(IA32_VMX_MISC) & 31;
    vmx_caps.cr0_fixed0 = rdmsr(IA32_VMX_CR0_FIXED0) & ~(CR0_PE | CR0_PG);
    vmx_caps.ept_vpid = rdmsr(IA32_VMX_EPT_VPID_CAP);
    for (unsigned i = 0; i < ARRAY_SIZE(ept_needs); i++)
        if (!(vmx_caps.ept_vpid >> ept_needs[i].bit & 1))
            return missing(ept_needs[i].name);
    if ((vmx_caps.ept_vpid & EPT_CAP_INVVPID) != EPT_CAP_INVVPID)
        vmx_caps.control[PROC2] &= ~(uint32_t)PROC2_VPID;
    return NULL;
}
