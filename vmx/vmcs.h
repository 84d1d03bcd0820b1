/* The way to the VMCS's fields, whose numbers are in abi/vmcs.h: a failure is a mistake of root's. */
#ifndef VMX_VMCS_H
#define VMX_VMCS_H

#include "abi/vmcs.h"

/* Says which field, and with what error (SDM Vol. 3, 31.4), and stops. */
_Noreturn void vmcs_failed(const char *what, uint64_t field);

static inline uint64_t vmcs_get(uint64_t field)
{
    uint64_t value;
    bool failed; /* CF or ZF: VMfailInvalid or VMfailValid (SDM Vol. 3, 31.2) */
    __asm__ volatile("vmread %2, %0" : "=r"(value), "=@ccbe"(failed) : "r"(field));
    if (failed)
        vmcs_failed("VMREAD", field);
    return value;
}
static inline void vmcs_set(uint64_t field, uint64_t value)
{
    bool failed;
    __asm__ volatile("vmwrite %2, %1" : "=@ccbe"(failed) : "r"(field), "r"(value));
    if (failed)
        vmcs_failed("VMWRITE", field);
}

/* Of the current VMCS. */
static inline uint16_t read16(enum vmcs16 f) { return (uint16_t)vmcs_get(f); }
static inline uint32_t read32(enum vmcs32 f) { return (uint32_t)vmcs_get(f); }
static inline uint64_t read64(enum vmcs64 f) { return vmcs_get(f); }
static inline uint64_t readn(enum vmcsn f) { return vmcs_get(f); }
static inline void write16(enum vmcs16 f, uint16_t v) { vmcs_set(f, v); }
static inline void write32(enum vmcs32 f, uint32_t v) { vmcs_set(f, v); }
static inline void write64(enum vmcs64 f, uint64_t v) { vmcs_set(f, v); }
static inline void writen(enum vmcsn f, uint64_t v) { vmcs_set(f, v); }

/* The same with a pointer to a VMCS, for VMPTRLD and VMCLEAR. */
static inline bool vmptrld(paddr_t vmcs) /* false: failed */
{
    bool failed;
    __asm__ volatile("vmptrld %1" : "=@ccbe"(failed) : "m"(vmcs.v) : "memory");
    return !failed;
}
static inline bool vmclear(paddr_t vmcs)
{
    bool failed;
    __asm__ volatile("vmclear %1" : "=@ccbe"(failed) : "m"(vmcs.v) : "memory");
    return !failed;
}
static inline bool vmxon(paddr_t region)
{
    bool failed;
    __asm__ volatile("vmxon %1" : "=@ccbe"(failed) : "m"(region.v) : "memory");
    return !failed;
}

/* INVEPT and INVVPID (SDM Vol. 3, chapter 31): type 1 one context, 2 all. */
enum { INVALIDATE_ONE = 1, INVALIDATE_ALL = 2 };
static inline bool invept(uint64_t type, uint64_t ept_pointer)
{
    struct {
        uint64_t pointer, reserved;
    } d = {ept_pointer, 0};
    bool failed;
    __asm__ volatile("invept %1, %2" : "=@ccbe"(failed) : "m"(d), "r"(type) : "memory");
    return !failed;
}
static inline bool invvpid(uint64_t type, uint16_t vpid)
{
    struct {
        uint64_t vpid, address;
    } d = {vpid, 0};
    bool failed;
    __asm__ volatile("invvpid %1, %2" : "=@ccbe"(failed) : "m"(d), "r"(type) : "memory");
    return !failed;
}

#endif
