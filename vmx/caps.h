/* What this CPU's VMX can do. */
#ifndef VMX_CAPS_H
#define VMX_CAPS_H

#include "abi/types.h"

/* The words of controls in the VMCS (SDM Vol. 3, 25.6 to 25.8). */
enum word { PIN, PROC, PROC2, EXIT, ENTRY, WORDS };

/* Single controls: bits of those words. */
enum {
    PIN_PREEMPTION_TIMER = 1 << 6,
    PROC_INTERRUPT_WINDOW = 1 << 2,
    PROC_CR8_LOAD = 1 << 19,
    PROC_NMI_WINDOW = 1 << 22,
    PROC2_VPID = 1 << 5,
    PROC2_PLE = 1 << 10,
    ENTRY_LONG_MODE = 1 << 9,
};
enum { CR4_VMXE = 1 << 13 };

struct vmx_caps {
    /* The revision identifier, for the VMCS and VMXON regions. */
    uint32_t revision;
    /* The controls with which each vCPU begins. */
    uint32_t control[WORDS];
    /* The preemption timer counts TSC ticks >> timer_shift. */
    uint8_t timer_shift;
    /* IA32_VMX_EPT_VPID_CAP */
    uint64_t ept_vpid;
    /* In VMX operation. [0]: the bits that have to be 1, without PE and PG. [1]: the bits that may be 1. */
    uint64_t cr0_fixed[2];
    /* The same for CR4. */
    uint64_t cr4_fixed[2];
};

extern struct vmx_caps vmx_caps;

/* Bits of ept_vpid. */
enum { EPT_CAP_2M = 1 << 16, EPT_CAP_1G = 1 << 17, EPT_CAP_INVEPT_ONE = 1 << 25 };

/* Fills vmx_caps. Called once, at boot.
 * read_msr: reads a capability MSR of this CPU.
 * cr0, cr4: root's values. In VMX operation root also sets the bits of cr0_fixed[0] and CR4.VMXE.
 * Returns NULL, or a line that says what is missing and what to do. */
const char *vmx_probe(uint64_t (*read_msr)(uint32_t msr), uint64_t cr0, uint64_t cr4);

#endif
