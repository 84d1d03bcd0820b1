/* The emulator's inside: one instruction under way, and the parts that execute it. Nothing here is for others. */
#ifndef USER_EMUL_STATE_H
#define USER_EMUL_STATE_H

#include "lib/string.h"
#include "user/emul/alu.h"
#include "user/emul/emul.h"
#include "user/emul/insn.h"
#include "user/emul/x86.h"

/*
 * gpr, rip and rflags are the instruction's working copies: retire() makes them the guest's, so that a fault at any
 * point before leaves the guest as it was. rip is that of the next instruction already.
 */
struct emul {
    const struct emul_ops *ops;
    void *ctx;
    struct abi_regs *regs;
    struct emul_result *out;
    uint64_t gpr[ABI_GPRS];
    uint64_t rip;
    uint64_t rflags;
    uint8_t hits; /* breakpoints on what it accesses: DR6.B0-B3 (watch.c) */
    struct insn insn;
    bool knows_gpa; /* of what the instruction reads, its one memory operand: the CPU has walked there */
    uint64_t known_gpa;
};

/* Everything below that returns enum emul_status returns EMUL_DONE for "go on"; anything else ends the instruction. */

/* ---- Beginning and endings (step.c) */

/* Fills in *e and clears *out. */
void emul_begin(struct emul *e, const struct emul_ops *ops, void *ctx, struct abi_regs *regs, struct emul_result *out);

enum emul_status emul_fault(struct emul *e, unsigned vector);                      /* with error code 0 or none */
enum emul_status emul_page_fault(struct emul *e, uint64_t linear, uint32_t error); /* sets CR2 */
enum emul_status emul_unhandled(struct emul *e, const char *reason);
/* Make the working copies the guest's: for each element of a REP, and at the end. */
void emul_commit(struct emul *e);

static inline bool in_64_bit_mode(const struct emul *e) { return e->insn.mode == 8; }
/* Neither real nor virtual-8086 mode. */
static inline bool in_protected_mode(const struct emul *e)
{
    return (e->regs->cr0 & CR0_PE) && !(e->regs->rflags & RFLAGS_VM);
}

/* 2, 4 or 8: what code at CS is decoded as, and how wide its stack pointer is (SDM Vol. 1, 3.3.7 and 6.2.3). */
unsigned emul_code_size(const struct abi_regs *regs);
unsigned emul_stack_size(const struct abi_regs *regs);

/* ---- Memory (memory.c) */

/* A translated operand: one run of bytes, or two if it crosses a page. */
struct place {
    uint64_t gpa[2];
    unsigned size[2]; /* bytes; size[1] is 0 if one page holds it all */
};

/*
 * Check an access of size (1..8) bytes at an offset in a segment, and translate it: #GP, #SS, #AC, #PF.
 * access: 0 or WALK_WRITE; the rights are those of the CPL.
 */
enum emul_status memory_translate(struct emul *e, unsigned segment, uint64_t offset, unsigned size, uint32_t access,
                                  struct place *place);
/* The same for a linear address, without segment: access is all of WALK_*. */
enum emul_status memory_translate_linear(struct emul *e, uint64_t linear, unsigned size, uint32_t access,
                                         struct place *place);
bool memory_is_canonical(const struct abi_regs *regs, uint64_t linear);

/* size bytes (1..8) of a longer place. */
struct place place_part(const struct place *whole, unsigned offset, unsigned size);

uint64_t memory_load(struct emul *e, const struct place *place);
void memory_store(struct emul *e, const struct place *place, uint64_t value);
/*
 * Write value if the place still holds old, in one atomic step where it is RAM inside an aligned 8-byte word; what
 * crosses such a word, or is MMIO, is written without a second look. False: it held something else.
 */
bool memory_exchange(struct emul *e, const struct place *place, uint64_t old, uint64_t value);
/* The same for 16 bytes that are aligned. */
bool memory_exchange_16(struct emul *e, const struct place *place, const uint64_t old[2], const uint64_t value[2]);

/* ---- Operands (operands.c) */

/* Registers of 1, 2, 4 or 8 bytes by their encoding; 1: AH, CH, DH, BH without REX. 4-byte writes clear the rest. */
uint64_t register_read(const struct emul *e, unsigned reg, unsigned size);
void register_write(struct emul *e, unsigned reg, unsigned size, uint64_t value);

/* Of the memory operand's linear address, whether it is a multiple of that power of two. */
bool operand_is_aligned(const struct emul *e, unsigned alignment);

/* The offset that the memory operand names, and its segment. */
uint64_t operand_offset(const struct emul *e);
unsigned operand_segment(const struct emul *e);

/* ModRM.rm: a register, or memory that is translated first. The place is for operand_store later on. */
struct operand {
    bool memory;
    unsigned size;
    struct place place;
};
enum emul_status operand_open(struct emul *e, unsigned size, uint32_t access, struct operand *operand);
/* The same, for memory only: displacement is added to the offset. */
enum emul_status operand_open_memory(struct emul *e, unsigned size, uint32_t access, int64_t displacement,
                                     struct operand *operand);
uint64_t operand_load(struct emul *e, const struct operand *operand);
void operand_store(struct emul *e, const struct operand *operand, uint64_t value);

/* operand_open and operand_load of a source; *value is zero-extended, and 0 if it fails. */
static inline enum emul_status operand_read(struct emul *e, unsigned size, uint64_t *value)
{
    struct operand rm;
    enum emul_status status = operand_open(e, size, 0, &rm);

    *value = status == EMUL_DONE ? operand_load(e, &rm) : 0;
    return status;
}

/* Read, compute, write back: atomically if the instruction is LOCKed (or XCHG). compute may change e->rflags. */
typedef uint64_t compute_fn(struct emul *e, uint64_t old, uint64_t argument, unsigned size);
enum emul_status operand_modify(struct emul *e, const struct operand *operand, compute_fn *compute, uint64_t argument,
                                uint64_t *old);

/* The immediate, sign-extended from its encoded size to 64 bits. */
uint64_t operand_immediate(const struct emul *e);

/* ---- Instructions */

enum emul_status execute_one_byte(struct emul *e); /* one_byte.c */
enum emul_status execute_group(struct emul *e);    /* group.c: the one-byte opcodes that ModRM.reg extends */
enum emul_status execute_0f(struct emul *e);       /* two_byte.c */
enum emul_status execute_string(struct emul *e);   /* string.c */
enum emul_status execute_listed(struct emul *e);   /* coverage.c: what the others' switches have not */
enum emul_status execute_nothing(struct emul *e);  /* two_byte.c: NOP and hints */
enum emul_status execute_flush(struct emul *e);    /* two_byte.c: a cache line */

/* bits.c */
enum emul_status execute_double_shift(struct emul *e);
enum emul_status execute_scan(struct emul *e);
enum emul_status execute_popcnt(struct emul *e);
enum emul_status execute_movbe(struct emul *e);
enum emul_status execute_crc32(struct emul *e);
enum emul_status execute_adx(struct emul *e);
enum emul_status execute_bmi(struct emul *e);

/* segment.c */
enum emul_status execute_mov_to_segment(struct emul *e);
enum emul_status execute_push_segment(struct emul *e);
enum emul_status execute_pop_segment(struct emul *e);
enum emul_status execute_load_pointer(struct emul *e);
enum emul_status execute_far_branch(struct emul *e);
enum emul_status execute_far_call(struct emul *e);
enum emul_status execute_far_return(struct emul *e);

/* system.c */
enum emul_status execute_group_6(struct emul *e);
enum emul_status execute_group_7(struct emul *e);
enum emul_status execute_look_at_descriptor(struct emul *e);

/* vector.c */
enum emul_status execute_vector_move(struct emul *e);
enum emul_status execute_masked_store(struct emul *e);

/* frame.c */
enum emul_status execute_pusha(struct emul *e);
enum emul_status execute_popa(struct emul *e);
enum emul_status execute_pushf(struct emul *e);
enum emul_status execute_popf(struct emul *e);
enum emul_status execute_enter(struct emul *e);
enum emul_status execute_leave(struct emul *e);
enum emul_status execute_bound(struct emul *e);

/* register reg = a * b, signed, with the flags of IMUL. */
void execute_imul(struct emul *e, unsigned reg, uint64_t a, uint64_t b);

/* The operand size of opcodes whose bit 0 tells bytes from words. */
static inline unsigned operand_size_of(const struct emul *e) { return e->insn.opcode & 1 ? e->insn.operand_size : 1; }

/*
 * stack.c. The size of an item is in bytes. prepare: check and translate the item's place, and move the working stack
 * pointer; what is to be stored or loaded there follows when nothing can fault any more.
 */
enum emul_status stack_prepare_push(struct emul *e, unsigned size, struct place *place);
enum emul_status stack_prepare_pop(struct emul *e, unsigned size, struct place *place);
/* 8 by default in 64-bit mode (SDM Vol. 1, 6.2.2). */
unsigned stack_operand_size(const struct emul *e);
enum emul_status execute_push(struct emul *e, uint64_t value);
enum emul_status execute_push_rm(struct emul *e);
enum emul_status execute_pop_register(struct emul *e, unsigned reg);
enum emul_status execute_pop_rm(struct emul *e);
enum emul_status execute_call(struct emul *e, uint64_t target);
enum emul_status execute_branch_rm(struct emul *e, bool call); /* FF /2 and /4 */
enum emul_status execute_return(struct emul *e);

/* io.c: may the program use these ports? #GP if not (SDM Vol. 1, 18.5). */
enum emul_status io_check(struct emul *e, uint16_t port, unsigned size);

#endif
