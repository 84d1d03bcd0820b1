/* Access to the fields of the current VMCS. Their numbers are in abi/vmcs.h. An access that fails is a mistake of
 * root's, or the CPU does not have the field (vmx/fields.h). */
#ifndef VMX_VMCS_H
#define VMX_VMCS_H

#include "abi/vmcs.h"
#include "vmx/asm.h"

/* The VMX instruction 'what' failed; field: the field or the address that it was given. A guest's state is lost: prints
 * the failure and the VM-instruction error (SDM Vol. 3, 31.4), and root stops. */
_Noreturn void vmcs_failed(const char *what, uint64_t field);

/* The same, where a vCPU may be in creation. If one is, nothing is lost yet: the first failure is noted, and the vCPU
 * will be refused. Else this is vmcs_failed(). */
__attribute__((cold)) void vmcs_refused(const char *what, uint64_t field);

static inline uint64_t vmcs_get(uint64_t field)
{
    uint64_t value;
    if (!vmread(field, &value))
        vmcs_failed("VMREAD", field);
    return value;
}

static inline void vmcs_set(uint64_t field, uint64_t value)
{
    if (!vmwrite(field, value))
        vmcs_failed("VMWRITE", field);
}

static inline void vmcs_put(uint64_t field, uint64_t value)
{
    if (!vmwrite(field, value))
        vmcs_refused("VMWRITE", field);
}

/* Read or write a field of that width. Failure: vmcs_failed(). */
static inline uint16_t read16(enum vmcs16 f) { return (uint16_t)vmcs_get(f); }
static inline uint32_t read32(enum vmcs32 f) { return (uint32_t)vmcs_get(f); }
static inline uint64_t read64(enum vmcs64 f) { return vmcs_get(f); }
static inline uint64_t readn(enum vmcsn f) { return vmcs_get(f); }
static inline void write16(enum vmcs16 f, uint16_t v) { vmcs_set(f, v); }
static inline void write32(enum vmcs32 f, uint32_t v) { vmcs_set(f, v); }
static inline void write64(enum vmcs64 f, uint64_t v) { vmcs_set(f, v); }
static inline void writen(enum vmcsn f, uint64_t v) { vmcs_set(f, v); }

/* Write a field of that width. Failure: vmcs_refused(). */
static inline void put16(enum vmcs16 f, uint16_t v) { vmcs_put(f, v); }
static inline void put32(enum vmcs32 f, uint32_t v) { vmcs_put(f, v); }
static inline void put64(enum vmcs64 f, uint64_t v) { vmcs_put(f, v); }
static inline void putn(enum vmcsn f, uint64_t v) { vmcs_put(f, v); }

/* Types of INVEPT and INVVPID. */
enum { INVALIDATE_ONE = 1, INVALIDATE_ALL = 2 };

#endif
