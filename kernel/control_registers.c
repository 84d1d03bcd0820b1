#include "kernel/control_registers.h"

bool cr0_write_valid(const struct control_registers *before, uint64_t value)
{
    bool paging_on = !(before->cr0 & CR0_PG) && (value & CR0_PG);
    bool paging_off = (before->cr0 & CR0_PG) && !(value & CR0_PG);
    if (value >> 32)
        return false;
    if ((value & CR0_PG) && !(value & CR0_PE))
        return false;
    if ((value & CR0_NW) && !(value & CR0_CD))
        return false;
    if (paging_on && (before->efer & EFER_LME) && (!(before->cr4 & CR4_PAE) || before->code_64))
        return false;
    return !(paging_off && (before->efer & EFER_LMA) && before->code_64);
}

bool cr4_write_valid(const struct control_registers *before, uint64_t value, uint64_t offered)
{
    if (value & ~offered)
        return false;
    return (value & CR4_PAE) || !(before->efer & EFER_LMA);
}

bool efer_write_valid(const struct control_registers *before, uint64_t value, uint64_t offered)
{
    if (value & ~(offered | EFER_LMA))
        return false;
    return !((value ^ before->efer) & EFER_LME) || !(before->cr0 & CR0_PG);
}
