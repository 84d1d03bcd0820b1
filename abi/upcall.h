/* Upcalls: root calls the device world on a vCPU's thread. */
#ifndef ABI_UPCALL_H
#define ABI_UPCALL_H

#include "abi/task.h"
#include "abi/types.h"

/*
 * Root fills the thread's abi_page.upcall and enters the world's entry point (start of the image) with RDI = slot on an
 * empty stack (RSP = end of the slot's stack, minus 8, so that it looks like after a call); RFLAGS has IF only, and all
 * other registers but RCX and R11 are zero. The world answers with SYS_REPLY after it filled abi_page.reply: flags
 * always, the rest as the flags and the kind of upcall ask for it. The worker's thread enters in the same way, once,
 * with slot 0.
 *
 * EMULATE, LENGTH and TASK_SWITCH: abi_page.regs holds the vCPU's registers, which the world changes in place.
 */
enum abi_upcall_kind {
    ABI_UPCALL_IO = 1,  /* IN or OUT, not a string: u.io */
    ABI_UPCALL_EMULATE, /* an MMIO access, INS or OUTS: emulate the instruction at regs.rip; u.emulate */
    ABI_UPCALL_LENGTH,  /* how long is the instruction at regs.rip? reply.length, reply.value; or inject a fault */
    ABI_UPCALL_INTA, /* interrupt acknowledge cycle to the 8259s: reply.vector, or ABI_REPLY_SPURIOUS if INTR went away
                      */
    ABI_UPCALL_EOI,  /* EOI broadcast of a level-triggered vector, or none, but a LAPIC takes more than before: u.eoi */
    ABI_UPCALL_HALTED, /* no vCPU runs, and only an NMI or INIT could change that: end the guest if none can come */
    ABI_UPCALL_TASK_SWITCH, /* the guest switches tasks, and the CPU has left it to us: u.task */
    ABI_UPCALL_REFUSED, /* the CPU refused the guest's state, u.refused: log why; the guest ends, whatever the answer */
};

/* EOI: no vector. A message that APIC_MSG said nobody took may find its target now. */
#define ABI_EOI_NONE 256

/* REFUSED: what the CPU was given. As many as u.refused.count says are in the page's buffer. */
struct abi_field {
    uint64_t number; /* the vendor's: VMX: the encoding of a field of the VMCS, or the number of a capability MSR */
    uint64_t value;
};

struct abi_io {
    uint16_t port;
    uint8_t size; /* 1, 2, 4 */
    uint8_t write;
};

struct abi_upcall {
    uint32_t kind;
    uint32_t reserved;
    uint64_t lapic_base; /* with abi_page.regs: where the vCPU's xAPIC page is now; all ones: nowhere */
    union {
        struct {
            struct abi_io access;
            uint32_t value; /* for a write: zero-extended */
        } io;
        struct {
            uint64_t gpa;      /* of a faulting access */
            uint8_t gpa_valid; /* gpa is that of the instruction's operand, not of a table of the page walk to it */
            uint8_t write;
            uint8_t fetch;       /* an instruction fetch from MMIO: cannot be emulated */
            uint8_t bytes_count; /* instruction bytes the CPU delivered (decode assists), 0..15 */
            uint8_t bytes[16];
        } emulate;
        struct {
            uint32_t vector;
        } eoi;
        struct abi_task_switch task;
        struct {
            uint32_t count;
        } refused;
    } u;
};

#define ABI_REPLY_REGS 1u /* abi_page.regs: gpr, rip, rflags and cr2 are new (the rest of it is ignored) */
/* Inject reply.vector (0..31), with reply.error_code if ABI_REPLY_ERROR_CODE; #DB: DR6 gets the bits of reply.value. */
#define ABI_REPLY_EXCEPTION  2u
#define ABI_REPLY_ERROR_CODE 4u
#define ABI_REPLY_SPURIOUS   8u
#define ABI_REPLY_END        16u /* the guest cannot go on (the world has logged why): end it, ABI_END_EMULATION */
#define ABI_REPLY_SHADOW     32u /* the emulated instruction was MOV SS or POP SS: block interrupts for one instruction */
/* TASK_SWITCH: beside ABI_REPLY_REGS, the segment registers, LDTR, TR, cpl, CR3 and reply.pdpte are new; CR0.TS is set
 * and DR7's local bits are clear. */
#define ABI_REPLY_TASK 64u

/* EMULATE, beside ABI_REPLY_REGS: segment registers, GDTR, IDTR, LDTR, TR and bits 3:0 of CR0 are new (PE only set). */
#define ABI_REPLY_SYSTEM 128u

struct abi_reply {
    uint32_t flags;
    /* IO read: result in the low bytes; LENGTH: the register that ModRM.rm names, if it does; #DB: DR6.BS, BT, B0-B3 */
    uint32_t value;
    uint32_t length; /* LENGTH: 1..15 */
    uint32_t vector;
    uint32_t error_code;
    uint32_t reserved;
    uint64_t pdpte[4]; /* TASK: with PAE paging, where CR3 has changed */
};

#endif
