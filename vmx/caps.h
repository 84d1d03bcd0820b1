/* What this CPU's VMX can do. */
#ifndef VMX_CAPS_H
#define VMX_CAPS_H

#include "abi/types.h"

/* Controls by the word that they are in (SDM Vol. 3, 25.6 to 25.8). */
enum word { PIN, PROC, PROC2, EXIT, ENTRY, WORDS };
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
    uint32_t revision;       /* of the VMCS and VMXON regions */
    uint32_t control[WORDS]; /* what each vCPU begins with */
    uint8_t timer_shift;     /* the preemption timer counts TSC ticks >> this */
    uint64_t ept_vpid;       /* IA32_VMX_EPT_VPID_CAP */
    uint64_t cr0_fixed[2];   /* in VMX operation: bits that are 1, PE and PG aside; bits that may be 1 */
    uint64_t cr4_fixed[2];   /* the same */
};
extern struct vmx_caps vmx_caps;

enum { EPT_CAP_2M = 1 << 16, EPT_CAP_1G = 1 << 17, EPT_CAP_INVEPT_ONE = 1 << 25 };

/* Fills vmx_caps. read_msr: RDMSR of a capability MSR of this CPU. cr0, cr4: root's, which it has in VMX operation with
 * cr0_fixed[0] and CR4.VMXE on top. NULL, or a line that says what is missing and what to do. Once, at boot. */
const char *vmx_probe(uint64_t (*read_msr)(uint32_t msr), uint64_t cr0, uint64_t cr4);

#endif
