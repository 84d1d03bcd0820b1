/*
 * The fields that Lapwing uses, each with the condition that appendix B names. Either each CPU has the field, or a CPU
 * has the field "only if it supports the 1-setting of" a control. A field of a control that vmx/caps.c requires is
 * always there, too.
 *
 * A hypervisor below Lapwing has the fields that it shows to its own guests, and may lack any other. KVM, for instance,
 * has no GUEST_SMBASE.
 */
#include "vmx/fields.h"

#include "abi/vmcs.h"
#include "vmx/caps.h"

enum { ALWAYS = WORDS };

/* Runs of fields. Within a run, the numbers of fields are 2 apart. */
static const struct field_run {
    uint16_t first, last;
    /* The control: its word (enum word) and its bit. ALWAYS: each CPU has the fields. */
    uint8_t word;
    uint8_t bit;
} field_runs[] = {
    /* 16 bits */
    {VPID, VPID, PROC2, 5},
    {GUEST_ES, GUEST_ES + 14, ALWAYS, 0}, /* ES to TR */
    {HOST_ES, HOST_TR, ALWAYS, 0},
    /* 64 bits */
    {IO_BITMAP_A, IO_BITMAP_B, ALWAYS, 0},
    {MSR_BITMAP, MSR_BITMAP, PROC, 28},
    {EXIT_MSR_STORE, ENTRY_MSR_LOAD, ALWAYS, 0},
    {TSC_OFFSET, TSC_OFFSET, ALWAYS, 0},
    {VIRTUAL_APIC, VIRTUAL_APIC, PROC, 21},
    {EPT_POINTER, EPT_POINTER, PROC2, 1},
    {GUEST_PHYSICAL_ADDRESS, GUEST_PHYSICAL_ADDRESS, PROC2, 1},
    {VMCS_LINK, GUEST_DEBUGCTL, ALWAYS, 0},
    {GUEST_PAT, GUEST_PAT, ENTRY, 14},
    {GUEST_EFER, GUEST_EFER, ENTRY, 15},
    {GUEST_PDPTE0, GUEST_PDPTE0 + 6, PROC2, 1},
    {HOST_PAT, HOST_PAT, EXIT, 19},
    {HOST_EFER, HOST_EFER, EXIT, 21},
    /* 32 bits */
    {PIN_CONTROLS, ENTRY_EVENT_LENGTH, ALWAYS, 0},
    {TPR_THRESHOLD, TPR_THRESHOLD, PROC, 21},
    {PROC2_CONTROLS, PROC2_CONTROLS, PROC, 31},
    {PLE_GAP, PLE_WINDOW, PROC2, 10},
    {INSTRUCTION_ERROR, EXIT_INSTRUCTION_LENGTH, ALWAYS, 0},
    /* Limits of all segments, of GDTR and of IDTR; access rights; interruptibility and activity state. */
    {GUEST_ES_LIMIT, GUEST_ACTIVITY, ALWAYS, 0},
    {GUEST_SYSENTER_CS, GUEST_SYSENTER_CS, ALWAYS, 0},
    {PREEMPTION_TIMER, PREEMPTION_TIMER, PIN, 6},
    {HOST_SYSENTER_CS, HOST_SYSENTER_CS, ALWAYS, 0},
    /* natural width */
    {CR0_MASK, CR4_SHADOW, ALWAYS, 0},
    {EXIT_QUALIFICATION, EXIT_QUALIFICATION, ALWAYS, 0},
    {GUEST_CR0, GUEST_SYSENTER_EIP, ALWAYS, 0},
    {HOST_CR0, HOST_RIP, ALWAYS, 0},
};

bool vmx_field_exists(unsigned field)
{
    for (unsigned i = 0; i < ARRAY_SIZE(field_runs); i++) {
        const struct field_run *r = &field_runs[i];

        if (field >= r->first && field <= r->last && field % 2 == 0)
            return r->word == ALWAYS || (vmx_caps.control[r->word] >> r->bit & 1);
    }
    return false;
}
