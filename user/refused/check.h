/* The checks on guest state at VM entries (SDM Vol. 3, 27.3.1), as pure logic. */
#ifndef USER_REFUSED_CHECK_H
#define USER_REFUSED_CHECK_H

#include "abi/abi.h"

enum vmx_segment { VMX_ES, VMX_CS, VMX_SS, VMX_DS, VMX_FS, VMX_GS, VMX_LDTR, VMX_TR, VMX_SEGMENTS };

/* Guest-state area and what the checks depend on, by the names of the VMCS's fields. */
struct vmx_guest_state {
    uint64_t cr0, cr3, cr4, dr7, debugctl, efer, pat, sysenter_esp, sysenter_eip;
    struct {
        uint16_t selector;
        uint32_t limit, rights;
        uint64_t base;
    } segment[VMX_SEGMENTS];
    uint64_t gdtr_base, idtr_base, rip, rflags, pending_debug, vmcs_link, pdpte[4];
    uint32_t gdtr_limit, idtr_limit, activity, interruptibility;
    uint32_t entry_controls;
    bool event; /* one is injected, */
    uint8_t event_type;
    uint64_t cr0_fixed[2], cr4_fixed[2]; /* bits that have to be 1 (of a guest: PE and PG aside); that may be 1 */
    unsigned physical_bits;              /* CPUID 80000008H: EAX[7:0] */
};

/* From what root gives with ABI_UPCALL_REFUSED; a field that is missing is 0. */
void vmx_guest_state(const struct abi_field *fields, unsigned count, unsigned physical_bits, struct vmx_guest_state *s);

/* The first rule that the state breaks, in words, behind the manual's subsection; NULL: none that is known. It is for
 * controls as Lapwing sets them: unrestricted guest, EPT, virtual NMIs; debug controls, IA32_PAT and IA32_EFER are
 * loaded; 48-bit linear addresses; no SMM, SGX or CET. */
const char *vmx_check_guest(const struct vmx_guest_state *s);

#endif
