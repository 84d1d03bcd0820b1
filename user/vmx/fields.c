/* Guest state by the encodings of the VMCS's fields (SDM Vol. 3, appendix B). */
#include "user/vmx/check.h"

enum {
    GUEST_ES = 0x0800, /* CS, SS, DS, FS, GS, LDTR, TR follow, 2 apart; so do their limits, access rights and bases */
    VMCS_LINK = 0x2800,
    GUEST_DEBUGCTL = 0x2802,
    GUEST_PAT = 0x2804,
    GUEST_EFER = 0x2806,
    GUEST_PDPTE0 = 0x280a,
    ENTRY_CONTROLS = 0x4012,
    ENTRY_EVENT = 0x4016,
    GUEST_ES_LIMIT = 0x4800,
    GUEST_GDTR_LIMIT = 0x4810,
    GUEST_IDTR_LIMIT = 0x4812,
    GUEST_ES_RIGHTS = 0x4814,
    GUEST_INTERRUPTIBILITY = 0x4824,
    GUEST_ACTIVITY = 0x4826,
    GUEST_CR0 = 0x6800,
    GUEST_CR3 = 0x6802,
    GUEST_CR4 = 0x6804,
    GUEST_ES_BASE = 0x6806,
    GUEST_GDTR_BASE = 0x6816,
    GUEST_IDTR_BASE = 0x6818,
    GUEST_DR7 = 0x681a,
    GUEST_RIP = 0x681e,
    GUEST_RFLAGS = 0x6820,
    GUEST_PENDING_DEBUG = 0x6822,
    GUEST_SYSENTER_ESP = 0x6824,
    GUEST_SYSENTER_EIP = 0x6826,
    /* MSRs (A.7, A.8) */
    IA32_VMX_CR0_FIXED0 = 0x486,
    IA32_VMX_CR0_FIXED1 = 0x487,
    IA32_VMX_CR4_FIXED0 = 0x488,
    IA32_VMX_CR4_FIXED1 = 0x489
};
#define EVENT_VALID      BIT(31)
#define EVENT_TYPE_SHIFT 8

struct given {
    const struct abi_field *fields;
    unsigned count;
};

static uint64_t get(const struct given *given, unsigned number)
{
    for (unsigned i = 0; i < given->count; i++)
        if (given->fields[i].number == number)
            return given->fields[i].value;
    return 0;
}

static uint32_t get32(const struct given *given, unsigned number)
{
    return (uint32_t)get(given, number);
}

void vmx_guest_state(const struct abi_field *fields, unsigned count, unsigned physical_bits, struct vmx_guest_state *s)
{
    const struct given given = {fields, count}, *g = &given;
    uint32_t event = get32(g, ENTRY_EVENT);

    *s = (struct vmx_guest_state){
        .cr0 = get(g, GUEST_CR0),
        .cr3 = get(g, GUEST_CR3),
        .cr4 = get(g, GUEST_CR4),
        .dr7 = get(g, GUEST_DR7),
        .debugctl = get(g, GUEST_DEBUGCTL),
        .efer = get(g, GUEST_EFER),
        .pat = get(g, GUEST_PAT),
        .sysenter_esp = get(g, GUEST_SYSENTER_ESP),
        .sysenter_eip = get(g, GUEST_SYSENTER_EIP),
        .gdtr_base = get(g, GUEST_GDTR_BASE),
        .idtr_base = get(g, GUEST_IDTR_BASE),
        .rip = get(g, GUEST_RIP),
        .rflags = get(g, GUEST_RFLAGS),
        .pending_debug = get(g, GUEST_PENDING_DEBUG),
        .vmcs_link = get(g, VMCS_LINK),
        .gdtr_limit = get32(g, GUEST_GDTR_LIMIT),
        .idtr_limit = get32(g, GUEST_IDTR_LIMIT),
        .activity = get32(g, GUEST_ACTIVITY),
        .interruptibility = get32(g, GUEST_INTERRUPTIBILITY),
        .entry_controls = get32(g, ENTRY_CONTROLS),
        .event = event & EVENT_VALID,
        .event_type = event >> EVENT_TYPE_SHIFT & 7,
        .cr0_fixed = {get(g, IA32_VMX_CR0_FIXED0), get(g, IA32_VMX_CR0_FIXED1)},
        .cr4_fixed = {get(g, IA32_VMX_CR4_FIXED0), get(g, IA32_VMX_CR4_FIXED1)},
        .physical_bits = physical_bits,
    };
    for (unsigned i = 0; i < VMX_SEGMENTS; i++) {
        s->segment[i].selector = (uint16_t)get(g, GUEST_ES + 2 * i);
        s->segment[i].limit = get32(g, GUEST_ES_LIMIT + 2 * i);
        s->segment[i].rights = get32(g, GUEST_ES_RIGHTS + 2 * i);
        s->segment[i].base = get(g, GUEST_ES_BASE + 2 * i);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(s->pdpte); i++)
        s->pdpte[i] = get(g, GUEST_PDPTE0 + 2 * i);
}
