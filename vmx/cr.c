/* Writes of control registers that exit: a MOV to CR0 or CR4 that changes a bit of the guest/host mask (SDM Vol. 3,
 * 26.1.3), and a MOV to CR8 while CR8-load exiting is set. */
#include "kernel/vm/control_registers.h"
#include "kernel/vm/cpuid.h"
#include "vmx/vmx.h"

static void refuse(struct vcpu *v)
{
    v->exit.kind = ABI_EXIT_EXCEPTION;
    v->exit.u.exception.vector = VECTOR_GP;
}

/* Has the guest execute the instruction again. RF keeps a breakpoint on the instruction from being taken a second time:
 * the exit has cleared RF (SDM Vol. 3, 28.3.3). */
static void again(struct vcpu *v)
{
    v->exit.kind = ABI_EXIT_CR;
    vmx_put_rflags(vmx_of(v), vmx_of(v)->rflags | RFLAGS_RF);
}

/* MOV to CR4. If all of the value is valid, the guest gets its MCE in the shadow. MCE in the CPU stays as root has it.
 * All other bits of the mask are those of features that are not offered to the guest. */
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
 * MOV to CR0 or CR4: writes the bits that root owns to the shadow, as the guest wants them. Then the guest executes the
 * instruction again. The instruction does not exit a second time, and the CPU does and checks the rest.
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

    /* Only the bits of the shadow need a check here. The CPU checks the others when it executes the instruction
     * again. */
    const struct control_registers before = {.cr0 = value};
    if ((how & NUMBER) != 0 || !cr0_write_valid(&before, (uint32_t)value | CR0_PE)) {
        refuse(v);
        return;
    }

    writen(CR0_SHADOW, (readn(CR0_SHADOW) & ~owned) | (value & owned));
    again(v);
}
