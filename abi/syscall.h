/*
 * System calls. SYSCALL with RAX = number, arguments in RDI, RSI, RDX, R10; the result is in RAX. RCX and R11 are lost,
 * everything else is preserved.
 *
 * All: OK or another result >= 0, or a negative enum err. "buffer" is the calling thread's abi_page.buffer. A call that
 * the calling thread may not make is E_PERM, an unknown one E_NOSYS.
 */
#ifndef ABI_SYSCALL_H
#define ABI_SYSCALL_H

#include "abi/types.h"

/*
 * Every thread
 *   PARK(deadline)              sleep until an UNPARK or NOTIFY for this thread, or until the host TSC reaches deadline
 *                               (NEVER: no limit). OK, E_TIMEDOUT, E_INTR. An unpark that came first ends it at once.
 *   UNPARK(slot)                of a thread of this world. OK, E_RANGE.
 *   LOG(length)                 buffer[0..length) becomes one line of this world's in the hypervisor's log. A device
 *                               world has a budget (kernel/base/logring.h): what is over it is dropped, and the log says so.
 *
 * Device worlds
 *   REPLY()                     ends an upcall. Does not return.
 *   NOTIFY()                    unpark control: something was put into the console ring, or taken from it.
 *   APIC_MSG(address, data)     an interrupt message in MSI format (SDM Vol. 3, 11.11). How many LAPICs took it. 0: an
 *                               EOI upcall will say when a LAPIC has changed so that one may take it (not for vectors
 *                               below 16).
 *   EXTINT(level)               the 8259s' INTR output, to LINT0 of the LAPICs, or to INTR of the CPU without LAPIC.
 *   LAPIC_READ(offset)          of their own xAPIC page, 32 bits. The value, or E_INVAL: no LAPIC answers there.
 *   LAPIC_WRITE(offset, value)  likewise.
 *   BOOT()                      the worker, once: buffer holds the struct abi_regs of the BSP; start it. OK, E_BUSY,
 *                               E_INVAL.
 *   VM_END(reason, status)      this guest has ended. OK, E_RANGE: no reason that a device world may give (END_TABLE).
 *   VECTOR_READ(n)              the vCPU's register ZMMn (n: 0..15) into buffer[0..64). Its XCR0, or E_RANGE.
 *   VECTOR_WRITE(n)             likewise, from there. OK, E_RANGE.
 *
 * Control
 *   CONSOLE_WRITE(length)       buffer to the physical console, raw. Bytes taken, 0..length.
 *   CONSOLE_READ(max)           from the physical console into buffer. Bytes.
 *   LOG_READ(number)            the oldest line of the log that is kept and has this number or a greater one, as struct
 *                               abi_log_line into buffer. 1; 0: there is none.
 *   VM_CONFIG(offset, length)   buffer[0..length) goes to that offset of the struct abi_vm_config that is being built.
 *                               OK, E_RANGE.
 *   VM_CREATE()                 a VM from that config, whose worker starts to load it. Its id, E_NOMEM, E_INVAL,
 *                               E_BUSY: too many.
 *   VM_NOTIFY(vm)               unpark the worker of this VM's device world.
 *   VM_STOP(vm, reason, status) end a guest from outside. OK, E_NOENT.
 *   VM_DESTROY(vm)              wait until its threads are gone and give everything back. Stops it first if need be.
 *   VM_PAUSE(vm)                returns when no vCPU of it runs any more.
 *   VM_RESUME(vm)
 *   VM_INFO(vm)                 struct abi_vm_info into buffer. OK, E_NOENT. Control is unparked whenever a VM ends or
 *                               boots.
 *   VCPU_INFO(vm, vcpu)         struct abi_vcpu_info into buffer. OK, E_NOENT.
 *   SYSTEM_INFO()               struct abi_system_info into buffer.
 *   PORT_IN(port, size)         a physical port, for power-off and reset. The value.
 *   PORT_OUT(port, size, value) likewise.
 *   PHYS_READ(paddr, length)    firmware tables into buffer. Bytes; E_PERM: what the firmware's map calls free RAM.
 *   RESET()                     of the machine, by a triple fault. Does not return.
 *   HALT()                      stops all CPUs for good. Does not return.
 *
 * X(name, number, who): who is 'a' every thread, 'd' device worlds, 'v' a device world's vCPU threads, 'c' control.
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
 * How a guest ended. Status is the exit device's value, 0 otherwise. Who may say so: 'd' its device world, 'r' root,
 * and the operator through control.
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
