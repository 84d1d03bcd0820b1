/*
 * VMX's back end as a program of the host: what only root may execute becomes a call into tests/unit/test_vmx_fields.c.
 * Each file beside this one is a file of vmx/ with this in front.
 */
#ifndef TESTS_UNIT_VMX_HOST_FAKE_H
#define TESTS_UNIT_VMX_HOST_FAKE_H

#include "kernel/base/asm.h"

uint64_t fake_rdmsr(uint32_t msr);
uint64_t fake_register(void); /* of any that is read */
void fake_set_register(uint64_t value);

#define rdmsr               fake_rdmsr
#define wrmsr(msr, value)   fake_set_register((msr) + (value))
#define read_cr0            fake_register
#define read_cr2            fake_register
#define read_cr3            fake_register
#define read_cr4            fake_register
#define read_dr6            fake_register
#define idt_base            fake_register
#define write_cr0           fake_set_register
#define write_cr2           fake_set_register
#define write_cr4           fake_set_register
#define write_dr6           fake_set_register
#define load_breakpoints(d) fake_set_register((d)[0])
#define save_breakpoints(d) ((d)[0] = fake_register())
#define irq_window          fake_register

#define this_cpu this_cpu_by_gs
#include "kernel/base/percpu.h"
#undef this_cpu
struct percpu *this_cpu(void);

/* Before vmx/asm.h, in place of it. */
#define VMX_ASM_H
bool vmread(uint64_t field, uint64_t *value);
bool vmwrite(uint64_t field, uint64_t value);
bool vmptrld(paddr_t vmcs);
bool vmclear(paddr_t vmcs);
bool vmxon(paddr_t region);
bool invept(uint64_t type, uint64_t ept_pointer);
bool invvpid(uint64_t type, uint16_t vpid);

#endif
