/* Compares what this CPU's VMX can do (SDM Vol. 3, appendix A) with what Lapwing requires and what Lapwing would like
 * to have. Pure logic. */
#include "vmx/caps.h"

#include "abi/vmcs.h"
#include "lib/format.h"

enum {
    IA32_FEATURE_CONTROL = 0x3a,
    IA32_VMX_BASIC = 0x480,
    IA32_VMX_MISC = 0x485,
    IA32_VMX_PROC2 = 0x48b,
    IA32_VMX_EPT_VPID_CAP = 0x48c,
    IA32_VMX_TRUE_PIN = 0x48d,
    IA32_VMX_TRUE_PROC = 0x48e,
    IA32_VMX_TRUE_EXIT = 0x48f,
    IA32_VMX_TRUE_ENTRY = 0x490
};
enum { CR0_PE = 1 };
#define CR0_PG            BIT(31)
#define BASIC_TRUE        BIT(55)
#define BASIC_MEMORY_TYPE (15ull << 50)
#define BASIC_WRITE_BACK  (6ull << 50)
/* INVVPID, and its type "all contexts". */
#define EPT_CAP_INVVPID (BIT(32) | BIT(42))
/* An exit sets the control "64-bit guests" as the guest's EFER.LMA is. */
#define MISC_SAVES_LMA BIT(5)
#define FEATURE_LOCKED BIT(0)
/* VMX outside SMX operation. */
#define FEATURE_VMX BIT(2)

struct vmx_caps vmx_caps;

static const char *const words[WORDS] = {"pin-based", "processor-based", "secondary", "VM-exit", "VM-entry"};

/* LATER: required, but set at run time only. */
enum need { REQUIRED, WANTED, LATER };

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
    {PROC, 19, LATER, "CR8-load exiting"},
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

/* The bits of IA32_VMX_EPT_VPID_CAP that Lapwing requires. */
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

/* Reserved bits that have to be 1, and have no meaning (SDM Vol. 3, 25.6.1, 25.6.2, 25.7.1, 25.8.1). */
static const uint32_t reserved_ones[WORDS] = {0x16, 0x04006172, 0, 0x36dfb, 0x11fb};

/* Fills vmx_caps.control. Each word of controls has an MSR. Bits 31:0 of the MSR: the controls that have to be 1. Bits
 * 63:32: the controls that may be 1. NULL, or a line that says what is missing. */
static const char *choose_controls(uint64_t (*read_msr)(uint32_t msr))
{
    static const uint32_t msrs[WORDS] = {IA32_VMX_TRUE_PIN, IA32_VMX_TRUE_PROC, IA32_VMX_PROC2, IA32_VMX_TRUE_EXIT,
                                         IA32_VMX_TRUE_ENTRY};
    uint32_t allowed[WORDS] = {0}, forced[WORDS] = {0};

    for (unsigned w = 0; w < WORDS; w++) {
        if (w == PROC2 && !(allowed[PROC] >> 31))
            return missing("secondary controls");

        uint64_t both = read_msr(msrs[w]);
        vmx_caps.control[w] = (uint32_t)both;
        forced[w] = (uint32_t)both & ~reserved_ones[w];
        allowed[w] = (uint32_t)(both >> 32);
    }

    for (unsigned i = 0; i < ARRAY_SIZE(controls); i++) {
        const struct control *c = &controls[i];
        uint32_t bit = 1u << c->bit;

        if (!(allowed[c->word] & bit) && c->need != WANTED)
            return missing(c->name);
        if (c->need == LATER)
            continue;
        vmx_caps.control[c->word] |= allowed[c->word] & bit;
        forced[c->word] &= ~bit;
    }

    /* A control that is not in the table and cannot be 0 would bring exits, or state, that this back end does not
     * know. */
    for (unsigned w = 0; w < WORDS; w++)
        if (forced[w]) {
            char name[64];
            format(name, sizeof name, "way to do without bit %d of its %s controls", __builtin_ctz(forced[w]),
                   words[w]);
            return missing(name);
        }
    return NULL;
}

/* Checks that VMX operation allows root's CR0 and CR4 (SDM Vol. 3, A.7 and A.8). */
static const char *check_registers(uint64_t (*read_msr)(uint32_t msr), uint64_t cr0, uint64_t cr4)
{
    struct vmx_caps *c = &vmx_caps;

    c->cr0_fixed[0] = read_msr(IA32_VMX_CR0_FIXED0) & ~(CR0_PE | CR0_PG);
    c->cr0_fixed[1] = read_msr(IA32_VMX_CR0_FIXED1);
    c->cr4_fixed[0] = read_msr(IA32_VMX_CR4_FIXED0);
    c->cr4_fixed[1] = read_msr(IA32_VMX_CR4_FIXED1);
    cr4 |= CR4_VMXE;

    if ((cr0 | c->cr0_fixed[0]) & ~c->cr0_fixed[1])
        return missing("VMX operation with root's CR0");
    return (c->cr4_fixed[0] & ~cr4) || (cr4 & ~c->cr4_fixed[1]) ? missing("VMX operation with root's CR4") : NULL;
}

const char *vmx_probe(uint64_t (*read_msr)(uint32_t msr), uint64_t cr0, uint64_t cr4)
{
    uint64_t feature = read_msr(IA32_FEATURE_CONTROL);
    if ((feature & FEATURE_LOCKED) && !(feature & FEATURE_VMX))
        return "VMX is locked off in IA32_FEATURE_CONTROL: enable virtualization (VT-x) in the firmware's set-up";

    uint64_t basic = read_msr(IA32_VMX_BASIC), misc = read_msr(IA32_VMX_MISC);
    if (!(basic & BASIC_TRUE))
        return missing("TRUE capability MSRs");
    if ((basic & BASIC_MEMORY_TYPE) != BASIC_WRITE_BACK)
        return missing("VMCS in write-back memory");

    const char *problem = choose_controls(read_msr);
    problem = problem ? problem : check_registers(read_msr, cr0, cr4);
    if (problem)
        return problem;
    if (!(misc & MISC_SAVES_LMA))
        return missing("saving of EFER.LMA into the VM-entry controls");

    vmx_caps.revision = (uint32_t)basic & 0x7fffffff;
    vmx_caps.timer_shift = misc & 31;
    vmx_caps.ept_vpid = read_msr(IA32_VMX_EPT_VPID_CAP);

    for (unsigned i = 0; i < ARRAY_SIZE(ept_needs); i++)
        if (!(vmx_caps.ept_vpid >> ept_needs[i].bit & 1))
            return missing(ept_needs[i].name);
    if ((vmx_caps.ept_vpid & EPT_CAP_INVVPID) != EPT_CAP_INVVPID)
        vmx_caps.control[PROC2] &= ~(uint32_t)PROC2_VPID;
    return NULL;
}
