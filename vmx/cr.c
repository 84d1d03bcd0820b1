/* Writes of control registers that exit: those that change a bit of the guest/host mask (SDM Vol. 3, 26.1.3), and CR8
 * where the CPU may not keep it. */
#include "kernel/control_registers.h"
#include "vmx/vmx.h"

static void refuse(struct vcpu *v)
{
    v->exit.kind = ABI_EXIT_EXCEPTION;
    v->exit.u.exception.vector = VECTOR_GP;
}

/*
 * The guest gets the owned bits as it wants them in the shadow; then the instruction runs again, does not exit any
 * more, and the CPU does and checks the rest. The masked bits of CR4 are those of features that are not offered.
 */
void vmx_cr_access(struct vcpu *v)
{
    enum { NUMBER = 15, REGISTER_SHIFT = 8 };
    uint64_t how = v->exit.info[0], value = v->gpr[how >> REGISTER_SHIFT & 15], owned = readn(CR0_MASK);
    if ((how & NUMBER) == 8) {
        v->exit.kind = ABI_EXIT_CR8;
        return;
    }
    /* What is not the shadow's, the CPU checks when the instruction is executed again. */
    const struct control_registers before = {.cr0 = value};
    if ((how & NUMBER) != 0 || !cr0_write_valid(&before, (uint32_t)value | CR0_PE)) {
        refuse(v);
        return;
    }
    v->exit.kind = ABI_EXIT_CR;
    writen(CR0_SHADOW, (readn(CR0_SHADOW) & ~owned) | (value & owned));
    /* It has begun: a breakpoint on it has been taken already. The exit has cleared RF (SDM Vol. 3, 28.3.3). */
    vmx_put_rflags(vmx_of(v), vmx_of(v)->rflags | RFLAGS_RF);
}
