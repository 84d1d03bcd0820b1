/*
 * System calls. The instruction is SYSCALL, with RAX = number and the arguments in RDI, RSI, RDX, R10. The result is in
 * RAX. RCX and R11 are lost, all other registers are preserved.
 *
 * Result of all calls: OK or another result >= 0, or a negative enum err. E_PERM: the calling thread may not make this
 * call. E_NOSYS: there is no such call. "buffer" is the calling thread's abi_page.buffer.
 */
#ifndef ABI_SYSCALL_H
#define ABI_SYSCALL_H

#include "abi/types.h"

/*
 * Every thread
 *   PARK(deadline)              sleep until an UNPARK or NOTIFY for this thread, or until the host TSC reaches deadline
 *                               (NEVER: no limit). OK, E_TIMEDOUT, E_INTR. If an unpark came before the call, the call
 *                               ends at once.
 *   UNPARK(slot)                unpark the thread in that slot of this world. OK, E_RANGE.
 *   LOG(length)                 buffer[0..length) becomes one line in the hypervisor's log, marked as this world's. A
 *                               device world has a budget (kernel/base/logring.h): lines over the budget are dropped,
 *                               and the log says so.
 *
 * Device worlds
 *   REPLY()                     ends an upcall. Does not return.
 *   NOTIFY()                    unpark control: the world has put something into the console ring, or taken from it.
 *   APIC_MSG(address, data)     send an interrupt message in MSI format (SDM Vol. 3, 11.11). Returns how many LAPICs
 *                               took it. If 0: an EOI upcall will come when a LAPIC has changed so that it may take the
 *                               message (not for vectors below 16).
 *   EXTINT(level)               set the 8259s' INTR output. It goes to LINT0 of the LAPICs; in a guest without LAPIC,
 *                               to the CPU's INTR.
 *   LAPIC_READ(offset)          read 32 bits of the vCPU's own xAPIC page. Returns the value. E_INVAL: no LAPIC answers
 *                               there.
 *   LAPIC_WRITE(offset, value)  write 32 bits there. OK, E_INVAL.
 *   BOOT()                      start the BSP with the struct abi_regs in buffer. The worker makes this call, once.
 *                               OK, E_BUSY, E_INVAL.
 *   VM_END(reason, status)      this guest has ended. OK. E_RANGE: a device world may not give that reason (END_TABLE).
 *   VECTOR_READ(n)              copy the vCPU's register ZMMn (n: 0..15) into buffer[0..64). Returns the vCPU's XCR0,
 *                               or E_RANGE.
 *   VECTOR_WRITE(n)             copy buffer[0..64) into that register. OK, E_RANGE.
 *
 * Control
 *   CONSOLE_WRITE(length)       write buffer to the physical console, raw. Returns the bytes taken, 0..length.
 *   CONSOLE_READ(max)           read from the physical console into buffer. Returns the number of bytes.
 *   LOG_READ(number)            copy a line of the log into buffer as struct abi_log_line: the oldest one that is still
 *                               kept and has this number or a greater one. 1; 0: there is none.
 *   VM_CONFIG(offset, length)   copy buffer[0..length) to that offset of the struct abi_vm_config that is being built.
 *                               OK, E_RANGE.
 *   VM_CREATE()                 create a VM from that config; its worker starts to load it. Returns the VM's id, or
 *                               E_NOMEM, E_INVAL, E_BUSY (too many VMs).
 *   VM_NOTIFY(vm)               unpark the worker of this VM's device world.
 *   VM_STOP(vm, reason, status) end a guest from outside. OK, E_NOENT.
 *   VM_DESTROY(vm)              wait until the VM's threads are gone and free all that it has. Stops the guest first if
 *                               it still runs.
 *   VM_PAUSE(vm)                returns when none of the VM's vCPUs runs any more.
 *   VM_RESUME(vm)               let them run again.
 *   VM_INFO(vm)                 write struct abi_vm_info into buffer. OK, E_NOENT. Control is unparked whenever a VM
 *                               ends or boots.
 *   VCPU_INFO(vm, vcpu)         write struct abi_vcpu_info into buffer. OK, E_NOENT.
 *   SYSTEM_INFO()               write struct abi_system_info into buffer.
 *   PORT_IN(port, size)         read a physical port, for power-off and reset. Returns the value.
 *   PORT_OUT(port, size, value) write a physical port, likewise.
 *   PHYS_READ(paddr, length)    copy firmware tables into buffer. Returns the bytes. E_PERM: the firmware's map calls
 *                               this memory free RAM.
 *   RESET()                     reset the machine, by a triple fault. Does not return.
 *   HALT()                      stop all CPUs for good. Does not return.
 *
 * X(name, number, who). who: 'a' every thread, 'd' device worlds, 'v' a device world's vCPU threads, 'c' control.
 */
#define SYSCALL_TABLE(X)                                                                                               \
    X(REPLY, 0, 'v')                                                                                                   \
    X(PARK, 1, 'a')                                                                                                    \
    X(UNPARK, 2, 'a')                                                                                                  \
    X(LOG, 3, 'a')                                                                                                     \
    X(NOTIFY, 4, 'd')                                                                                                  \
    X(APIC_MSG, 5, 'd')                                                                                                \
    X(EXTINT, 6, 'd')                                                                                                  \
    X(LAPIC_READ, 7, 'v')                                                                                              \
    X(LAPIC_WRITE, 8, 'v')                                                                                             \
    X(BOOT, 9, 'd')                                                                                                    \
    X(VM_END, 10, 'd')                                                                                                 \
    X(CONSOLE_WRITE, 11, 'c')                                                                                          \
    X(CONSOLE_READ, 12, 'c')                                                                                           \
    X(LOG_READ, 13, 'c')                                                                                               \
    X(VM_CONFIG, 14, 'c')                                                                                              \
    X(VM_CREATE, 15, 'c')                                                                                              \
    X(VM_NOTIFY, 16, 'c')                                                                                              \
    X(VM_STOP, 17, 'c')                                                                                                \
    X(VM_DESTROY, 18, 'c')                                                                                             \
    X(VM_PAUSE, 19, 'c')                                                                                               \
    X(VM_RESUME, 20, 'c')                                                                                              \
    X(VM_INFO, 21, 'c')                                                                                                \
    X(VCPU_INFO, 22, 'c')                                                                                              \
    X(SYSTEM_INFO, 23, 'c')                                                                                            \
    X(PORT_IN, 24, 'c')                                                                                                \
    X(PORT_OUT, 25, 'c')                                                                                               \
    X(PHYS_READ, 26, 'c')                                                                                              \
    X(RESET, 27, 'c')                                                                                                  \
    X(HALT, 28, 'c')                                                                                                   \
    X(VECTOR_READ, 29, 'v')                                                                                            \
    X(VECTOR_WRITE, 30, 'v')

enum abi_syscall {
#define X(name, n, who) SYS_##name = (n),
    SYSCALL_TABLE(X)
#undef X
        SYS_COUNT
};

/*
 * How a guest ended. X(name, number, text, who). who may give this reason: 'd' the guest's device world, 'r' root, or
 * the operator through control. The status is the exit device's value for EXIT, and 0 for all others.
 */
#define END_TABLE(X)                                                                                                   \
    X(NONE, 0, "running", 'r')                                                                                         \
    X(POWEROFF, 1, "powered off", 'd') /* ACPI S5 */                                                                   \
    X(EXIT, 2, "exit device", 'd')     /* status: the value written to port 0xf4 */                                    \
    X(RESET, 3, "reset", 'd')          /* reset register, 8042, port 0xcf9, port 0x92 */                               \
    X(TRIPLE_FAULT, 4, "triple fault", 'd')                                                                            \
    X(STOPPED, 5, "stopped", 'r') /* by the operator */                                                                \
    X(LOAD, 6, "image not loaded", 'd')                                                                                \
    X(EMULATION, 7, "instruction not emulated", 'd')                                                                   \
    X(WORLD_CRASH, 8, "device world crashed", 'r')                                                                     \
    X(WORLD_HANG, 9, "device world did not answer", 'r')                                                               \
    X(INVALID_STATE, 10, "invalid guest state", 'r')                                                                   \
    X(INTERNAL, 11, "internal error", 'r')                                                                             \
    X(HALTED, 12, "halted for good", 'd') /* every vCPU halted with interrupts off */

enum abi_end {
#define X(name, n, text, who) ABI_END_##name = (n),
    END_TABLE(X)
#undef X
};

#endif
