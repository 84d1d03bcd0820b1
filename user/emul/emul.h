/*
 * The instruction emulator of the device world: executes one guest instruction that root could not (an MMIO access,
 * INS, OUTS), tells how long an instruction is, switches tasks, and walks guest page tables.
 *
 * Pure C without state of its own: any thread may call it for its own vCPU, at any time. Guests are hostile: for every
 * content of registers and memory it ends after a bounded amount of work and touches nothing but what the callbacks
 * and the arguments give it.
 */
#ifndef USER_EMUL_EMUL_H
#define USER_EMUL_EMUL_H

#include "abi/abi.h"
#include "abi/types.h"

#define EMUL_MAX_LENGTH 15 /* SDM Vol. 2, 2.3.11 */

/* A vector register: XMM in the low 16 bytes, YMM in 32. */
struct emul_vector {
    uint8_t bytes[64];
};

/*
 * How the emulator reaches the guest's world. All are called on the emulating thread with the context that was given.
 * A gpa is below 1 << maxphyaddr_bits. The size of a physical access is 1..8 and it never crosses a page, but it need
 * not be a power of two, nor aligned.
 */
struct emul_ops {
    /* Read from RAM or MMIO, little-endian. Negative: nothing answers, which reads as all ones. */
    int (*phys_read)(void *ctx, uint64_t gpa, void *dst, uint32_t size);
    /* Write to RAM or MMIO. The result is ignored: a write to nothing is lost. */
    int (*phys_write)(void *ctx, uint64_t gpa, const void *src, uint32_t size);
    /* Ports: size is 1, 2 or 4. The value is zero-extended. Negative from port_in: reads as all ones. */
    int (*port_in)(void *ctx, uint16_t port, uint8_t size, uint32_t *value);
    int (*port_out)(void *ctx, uint16_t port, uint8_t size, uint32_t value);
    /*
     * The page of guest RAM that gpa (any byte of it) lies in, 4 KiB, page-aligned, writable; NULL for MMIO and holes.
     * Page tables and instructions are read from it, data in RAM is accessed through it, atomically where the
     * architecture says so. phys_read and phys_write are therefore called for what is not RAM only.
     */
    void *(*ram)(void *ctx, uint64_t gpa);
    uint32_t maxphyaddr_bits; /* the guest's CPUID 80000008h EAX[7:0]: 32..52 */
    /* What the guest's CPUID shows: instructions that it does not are #UD, as if the CPU had none. */
    uint32_t features[ABI_FEATURE_WORDS];
    /* Register n (0..15) of the vCPU, and its XCR0. NULL: there are none, and what needs them is EMUL_UNHANDLED. */
    uint64_t (*vector_read)(void *ctx, unsigned n, struct emul_vector *value);
    void (*vector_write)(void *ctx, unsigned n, const struct emul_vector *value);
};

enum emul_status {
    EMUL_DONE,      /* executed: gpr, rip and rflags are those after it */
    EMUL_FAULT,     /* it ends in exception `vector`; rip is still at it. For #PF regs->cr2 is set */
    EMUL_UNHANDLED, /* not an instruction for this emulator; regs are untouched. See below */
    EMUL_AGAIN,     /* not complete: enter the guest at the same RIP. regs hold the progress of a REP, if any */
};

/*
 * EMUL_UNHANDLED: at CPL 3 give the guest #UD, since its user programs must not be able to end it; otherwise log
 * emul_describe() and end the guest.
 */
struct emul_result {
    enum emul_status status; /* what the call returned */
    uint8_t vector;          /* FAULT: 0..31 */
    bool has_error_code;     /* FAULT: false in real mode even for exceptions that have one (SDM Vol. 3, 20.1.4) */
    uint32_t error_code;     /* FAULT: if has_error_code */
    /*
     * DONE, AGAIN: RFLAGS.TF was set, so that a #DB with DR6.BS is due now (SDM Vol. 3, 17.3.1.4). It is a trap: the
     * caller injects it with the new RIP.
     */
    bool single_step;
    /*
     * DONE, AGAIN: breakpoints of DR7 on data or ports that were hit, as DR6.B0-B3: a trap likewise. Behind a load of
     * SS they are lost.
     */
    uint8_t breakpoints;
    uint8_t length;                 /* of the instruction, if it could be decoded; else 0 */
    uint8_t rm;                     /* the register that ModRM.rm names, if length is known and it does */
    uint8_t bytes_count;            /* of what is known in bytes */
    uint8_t bytes[EMUL_MAX_LENGTH]; /* the instruction, as far as it was fetched */
    uint64_t rip;                   /* where it is (offset in CS) */
    const char *reason;             /* UNHANDLED: a few words, static text; else NULL */
    bool system;                    /* DONE: segment registers, GDTR, IDTR, LDTR, TR or bits 3:0 of CR0 are new, too */
    bool shadow; /* DONE: SS was loaded: no interrupt or trap before the next instruction (SDM Vol. 3, 7.8.3) */
    /* Of emul_task_switch() only */
    bool switched;      /* regs are the new task's */
    bool new_task_trap; /* DONE: a #DB with DR6.BT is due, as with single_step (SDM Vol. 3, 18.3.1.5) */
    bool shutdown;      /* FAULT: it came in the delivery of a double fault, and is a triple fault */
    uint64_t pdpte[4];  /* switched, and CR3 has changed, with PAE paging: what the CPU loads */
};

/*
 * Execute the instruction at regs->rip. bytes[0..bytes_count) are what the CPU fetched of it (decode assists),
 * bytes_count 0 if it said nothing; what is missing is fetched from guest memory. Every field of regs must be valid;
 * gpr, rip, rflags and cr2 are changed, and what out->system tells. *out is filled in any case.
 *
 * What is emulated, and why something is not: user/emul/coverage.c.
 *
 * A REP is executed in pieces of at most EMUL_STRING_PIECE elements, and up to one that hits a breakpoint: EMUL_AGAIN
 * between them, with RF set. #GP, #SS, #PF, #AC, #UD are found as the manuals say; breakpoints on instructions are not.
 */
#define EMUL_STRING_PIECE 512
enum emul_status emul_step(const struct emul_ops *ops, void *ctx, struct abi_regs *regs, const uint8_t *bytes,
                           unsigned bytes_count, struct emul_result *out);

/*
 * The same for an instruction that the CPU has begun: with all checks done and its page walk behind it, it was to read
 * at that guest-physical address. There a load with the same offset in a page reads, without another walk.
 */
enum emul_status emul_step_read(const struct emul_ops *ops, void *ctx, struct abi_regs *regs, const uint8_t *bytes,
                                unsigned bytes_count, uint64_t gpa, struct emul_result *out);

/*
 * The length of the instruction at regs->rip: 1..15, whatever it is, in every mode. 0: it could not be fetched or is
 * none: out->status says more (FAULT, UNHANDLED, AGAIN). Only regs->cr2 may change. An opcode that is undefined on
 * every CPU is #UD.
 */
int emul_length(const struct emul_ops *ops, void *ctx, struct abi_regs *regs, struct emul_result *out);

/*
 * Switch tasks, as the instruction at regs->rip does it or the delivery of an event; the CPU's own checks are repeated,
 * for other CPUs may have changed what they were about. DONE, FAULT or UNHANDLED. Up to the moment at which the new
 * task is current a fault is the old one's, and regs->cr2 at most has changed; beyond it out->switched is set, and regs
 * are complete, with whatever the fault has left unusable. A fault that was raised in the delivery of an exception is
 * combined with it. DR7 is the caller's affair.
 */
enum emul_status emul_task_switch(const struct emul_ops *ops, void *ctx, struct abi_regs *regs,
                                  const struct abi_task_switch *how, struct emul_result *out);

/* One line of text about a result, for the log: reason, rip, bytes. Always NUL-terminated if size > 0. */
void emul_describe(const struct emul_result *result, char *text, size_t size);

/* ---- Page tables ---------------------------------------------------------------------------------------------- */

/* Bits of `access`. None: a data read with the rights of CPL 0-2. */
#define WALK_WRITE    0x1u
#define WALK_FETCH    0x2u
#define WALK_USER     0x4u /* with the rights of CPL 3 */
#define WALK_IMPLICIT 0x8u /* an implicit supervisor access (descriptor tables, TSS): SMAP heeds no EFLAGS.AC */

/*
 * Translate a linear address as CR0, CR3, CR4, EFER and RFLAGS.AC in regs say: no paging, 32-bit with PSE-36, PAE,
 * 4-level, 5-level; SMEP, SMAP, WP, NXE (SDM Vol. 3, chapter 4; protection keys are off). The caller has checked that
 * the address is canonical. Accessed and dirty bits are set by compare-and-swap once the access is known to be allowed.
 * Tables outside RAM read as all ones.
 *
 * OK: *gpa is set. E_FAULT: #PF with *error_code. E_AGAIN: another CPU kept changing the tables; try later.
 */
MUST_CHECK int emul_walk(const struct emul_ops *ops, void *ctx, const struct abi_regs *regs, uint64_t linear,
                         uint32_t access, uint64_t *gpa, uint32_t *error_code);

#endif
