/* Upcalls: root calls the device world on a vCPU's thread. */
#ifndef ABI_UPCALL_H
#define ABI_UPCALL_H

#include "abi/task.h"
#include "abi/types.h"

/*
 * Root fills the thread's abi_page.upcall and enters the world at its entry point, the start of the image. The state
 * then:
 *   RDI             the slot
 *   RSP             an empty stack: the end of the slot's stack, minus 8, as after a call
 *   RFLAGS          only IF is set
 *   RCX, R11        as SYSRET needs them
 *   all others      zero
 * The world fills abi_page.reply and answers with SYS_REPLY. In the reply, flags is always set; the flags and the kind
 * of upcall decide which other fields are. The worker's thread enters in the same way, once, with slot 0.
 *
 * EMULATE, LENGTH and TASK_SWITCH: abi_page.regs holds the vCPU's registers; the world changes them in place.
 */
enum abi_upcall_kind {
    /* u.io: an IN or OUT, not a string instruction. */
    ABI_UPCALL_IO = 1,
    /* u.emulate: an MMIO access, INS or OUTS. Emulate the instruction at regs.rip. */
    ABI_UPCALL_EMULATE,
    /* How long is the instruction at regs.rip? The answer is in reply.length and reply.value; or inject a fault. */
    ABI_UPCALL_LENGTH,
    /* Interrupt acknowledge cycle to the 8259s. The answer is reply.vector, or ABI_REPLY_SPURIOUS if INTR went away. */
    ABI_UPCALL_INTA,
    /* u.eoi: EOI broadcast of a level-triggered vector. Or ABI_EOI_NONE: a LAPIC takes more messages than before. */
    ABI_UPCALL_EOI,
    /* No vCPU runs, and only an NMI or INIT could change that: end the guest if none can come. */
    ABI_UPCALL_HALTED,
    /* u.task: the guest switches tasks, and the CPU leaves the work to software. */
    ABI_UPCALL_TASK_SWITCH,
    /* u.refused: the CPU refused the guest's state. Log the reason. The guest ends, whatever the answer is. */
    ABI_UPCALL_REFUSED,
};

/* EOI: no vector. A LAPIC may now take a message for which APIC_MSG answered 0. */
#define ABI_EOI_NONE 256

/* REFUSED: a part of the state that the CPU refused. The page's buffer holds u.refused.count of these. */
struct abi_field {
    uint64_t number; /* as the vendor numbers it; VMX: encoding of a VMCS field, or number of a capability MSR */
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
    uint64_t lapic_base; /* if abi_page.regs is filled: where the vCPU's xAPIC page is now; all ones: nowhere */
    union {
        struct {
            struct abi_io access;
            uint32_t value; /* for a write: zero-extended */
        } io;
        struct {
            uint64_t gpa;      /* of the faulting access */
            uint8_t gpa_valid; /* gpa is the instruction's operand, and not a page table on the walk to it */
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

/* In abi_page.regs gpr, rip, rflags and cr2 are new; the rest of it is ignored. */
#define ABI_REPLY_REGS 1u
/* Inject reply.vector (0..31), with reply.error_code if ABI_REPLY_ERROR_CODE is set. #DB: DR6 gets the bits of
 * reply.value. */
#define ABI_REPLY_EXCEPTION  2u
#define ABI_REPLY_ERROR_CODE 4u
#define ABI_REPLY_SPURIOUS   8u
/* The guest cannot go on, and the world has logged why: end the guest with ABI_END_EMULATION. */
#define ABI_REPLY_END 16u
/* The emulated instruction was MOV SS or POP SS: block interrupts for one instruction. */
#define ABI_REPLY_SHADOW 32u

/* TASK_SWITCH, together with ABI_REPLY_REGS: the segment registers, LDTR, TR, cpl, CR3 and reply.pdpte are new; CR0.TS
 * is set, and DR7's local bits are clear. */
#define ABI_REPLY_TASK 64u

/* EMULATE, together with ABI_REPLY_REGS: segment registers, GDTR, IDTR, LDTR, TR and bits 3:0 of CR0 are new. PE can
 * only be set, not cleared. */
#define ABI_REPLY_SYSTEM 128u

struct abi_reply {
    uint32_t flags;
    /* IO read: the result, in the low bytes. LENGTH: the register that ModRM.rm names, if it names one. #DB: DR6.BS, BT
     * and B0-B3. */
    uint32_t value;
    uint32_t length; /* LENGTH: 1..15 */
    uint32_t vector;
    uint32_t error_code;
    uint32_t reserved;
    uint64_t pdpte[4]; /* TASK_SWITCH: new with PAE paging, if CR3 has changed */
};

#endif
