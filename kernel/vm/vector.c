#include "kernel/vm/vector.h"

#include "kernel/base/asm.h"
#include "kernel/vm/fpu.h"
#include "kernel/vm/vcpu.h"
#include "lib/string.h"

enum { REGISTERS = 16, XSTATE_BV = 512, LEGACY_XMM = 160, NO_PART = 0 };

/* A register's bytes are in several components of the XSAVE area. Each component is an array with a part of each
 * register. */
static const struct part {
    uint8_t component, size, at; /* its number; bytes of a part; offset of the part in the register */
} parts[] = {
    {1, 16, 0},  /* XMM */
    {2, 16, 16}, /* upper halves of YMM */
    {6, 32, 32}, /* upper halves of ZMM */
};

/* The offset of the component in the standard format (SDM Vol. 1, 13.4). NO_PART: the CPU does not have it. */
static uint32_t offset_of(const struct part *p)
{
    if (p->component == 1)
        return LEGACY_XMM;
    return fpu_xcr0_mask() >> p->component & 1 ? cpuid(13, p->component).ebx : NO_PART;
}

/* Does the area hold the component's state? A component whose bit in XSTATE_BV is 0 is in its initial state, whatever
 * bytes the area has for it. Without XSAVE there is no XSTATE_BV, and the area holds the state. */
static bool is_there(const struct vcpu *v, const struct part *p)
{
    return !fpu_xcr0_mask() || (v->fpu[XSTATE_BV] >> p->component & 1);
}

int64_t vector_read(struct vcpu *v, uint64_t n, uint8_t value[VECTOR_SIZE])
{
    if (n >= REGISTERS)
        return E_RANGE;

    fpu_switch_out();
    memset(value, 0, VECTOR_SIZE);
    for (unsigned i = 0; i < ARRAY_SIZE(parts); i++) {
        const struct part *p = &parts[i];
        uint32_t offset = offset_of(p);

        if (offset != NO_PART && is_there(v, p))
            memcpy(value + p->at, v->fpu + offset + n * p->size, p->size);
    }
    return (int64_t)v->xcr0;
}

int64_t vector_write(struct vcpu *v, uint64_t n, const uint8_t value[VECTOR_SIZE])
{
    if (n >= REGISTERS)
        return E_RANGE;

    fpu_switch_out();
    for (unsigned i = 0; i < ARRAY_SIZE(parts); i++) {
        const struct part *p = &parts[i];
        uint32_t offset = offset_of(p);

        if (offset == NO_PART)
            continue;
        if (!is_there(v, p)) {
            memset(v->fpu + offset, 0, (size_t)REGISTERS * p->size);
            v->fpu[XSTATE_BV] |= (uint8_t)BIT(p->component);
        }
        memcpy(v->fpu + offset + n * p->size, value + p->at, p->size);
    }
    return OK;
}
