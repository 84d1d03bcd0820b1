/* VMX's instructions (SDM Vol. 3, chapter 31), under their names. False: the instruction failed, with CF set
 * (VMfailInvalid) or ZF set (VMfailValid) (31.2). */
#ifndef VMX_ASM_H
#define VMX_ASM_H

#include "abi/types.h"

static inline bool vmread(uint64_t field, uint64_t *value)
{
    bool failed;
    __asm__ volatile("vmread %2, %0" : "=r"(*value), "=@ccbe"(failed) : "r"(field));
    return !failed;
}

static inline bool vmwrite(uint64_t field, uint64_t value)
{
    bool failed;
    __asm__ volatile("vmwrite %2, %1" : "=@ccbe"(failed) : "r"(field), "r"(value));
    return !failed;
}

/* These take the address of a VMCS, or of the VMXON region. */
static inline bool vmptrld(paddr_t vmcs)
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

/* Types of both: INVALIDATE_ONE (one context) or INVALIDATE_ALL (all contexts), vmx/vmcs.h. */
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
