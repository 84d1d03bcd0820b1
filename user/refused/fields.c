/* Guest state by the encodings of the VMCS's fields (SDM Vol. 3, appendix B). */
#include "abi/vmcs.h"
#include "user/refused/check.h"

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
