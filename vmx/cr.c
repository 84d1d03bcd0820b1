/* Writes of control registers that exit: those that change a bit of the guest/host mask (SDM Vol. 3, 26.1.3), and CR8
 * where the CPU may not keep it. */
#include "kernel/vm/control_registers.h"
#include "kernel/vm/cpuid.h"
#include "vmx/vmx.h"

static void refuse(struct vcpu *v)
{
    v->exit.kind = ABI_EXIT_EXCEPTION;
    v->exit.u.exception.vector = VECTOR_GP;
}

/* It has begun: a breakpoint on it has been taken already. The exit has cleared RF (SDM Vol. 3, 28.3.3). */
static void again(struct vcpu *v)
{
    v->exit.kind = ABI_EXIT_CR;
    vmx_put_rflags(vmx_of(v), vmx_of(v)->rflags | RFLAGS_RF);
}

/* MCE the guest gets in the shadow, if all of the write is valid; the CPU's own stays as root has it. All other owned
 * bits are those of features that are not offered. */
static void cr4_write(struct vcpu *v, uint64_t operand)
{
    const struct control_registers before = {.cr4 = vmx_get_cr4(v), .efer = vmx_get_efer(v)};
    bool code_64 = (before.efer & EFER_LMA) && (read32((enum vmcs32)(GUEST_ES_RIGHTS + 2 * ABI_CS)) & RIGHTS_LONG);
    uint64_t value = code_64 ? operand : (uint32_t)operand;

    if (!cr4_write_valid(&before, value, guest_cr4_bits())) {
        refuse(v);
        return;
    }
    writen(CR4_SHADOW, (readn(CR4_SHADOW) & ~(uint64_t)CR4_MCE) | (value & CR4_MCE));
    again(v);
}

/*
 * The guest gets the owned bits as it wants them in the shadow; then the instruction runs again, does not exit any
 * more, and the CPU does and checks the rest.
 */
void vmx_cr_access(struct vcpu *v)
{
    enum { NUMBER = 15, REGISTER_SHIFT = 8 };
    uint64_t how = v->exit.info[0], value = v->gpr[how >> REGISTER_SHIFT & 15], owned = readn(CR0_MASK);
    if ((how & NUMBER) == 8) {
        v->exit.kind = ABI_EXIT_CR8;
        return;
    }
    if ((how & NUMBER) == 4) {
        cr4_write(v, value);
        return;
    }
    /* What is not the shadow's, the CPU checks when the instruction is executed again. */
    const struct control_registers before = {.cr0 = value};
    if ((how & NUMBER) != 0 || !cr0_write_valid(&before, (uint32_t)value | CR0_PE)) {
        refuse(v);
        return;
    }
    writen(CR0_SHADOW, (readn(CR0_SHADOW) & ~owned) | (value & owned));
    again(v);
}
