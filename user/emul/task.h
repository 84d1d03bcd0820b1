/* Descriptor tables and task switches. Nothing here is for others than the emulator. */
#ifndef USER_EMUL_TASK_H
#define USER_EMUL_TASK_H

#include "user/emul/state.h"

/* As functions of state.h: EMUL_DONE is "go on". */

/* An exception whose error code names a selector (SDM Vol. 3, 7.13); EXT is set in the end, for all of them. */
enum emul_status task_fault(struct emul *e, unsigned vector, uint16_t selector);
/* The page tables never stood still: not emulated. */
enum emul_status task_unsteady(struct emul *e);
/*
 * As memory_translate_linear(), for the CPU's own accesses, up to a page long; never EMUL_AGAIN. The tables are those
 * of the task that is current.
 */
enum emul_status task_reach(struct emul *e, uint64_t linear, unsigned size, uint32_t access, struct place *place);

/* ---- descriptor.c */

/* The descriptor that a selector names: not there, or its table is too short: exception `bad`. */
enum emul_status descriptor_read(struct emul *e, uint16_t selector, unsigned bad, struct abi_segment *segment);
/*
 * The descriptor that a segment register but CS would get from a selector that is not null, with all checks of a load
 * (SDM Vol. 2, MOV; of a task switch, table 8-1, and there for CS too): exception `bad` for what may not be loaded. It
 * is marked as accessed.
 */
enum emul_status descriptor_fetch(struct emul *e, unsigned segment, uint16_t selector, unsigned bad,
                                  struct abi_segment *found);
/* Mark the descriptor as accessed, in its table and here. */
enum emul_status descriptor_set_accessed(struct emul *e, struct abi_segment *segment);
/* The byte of type, DPL and P of a descriptor that was read, to be written; and that: bits cleared, then set. */
enum emul_status descriptor_open(struct emul *e, uint16_t selector, struct place *place);
void descriptor_change(struct emul *e, const struct place *place, uint8_t clear, uint8_t set);

/*
 * LDTR, and a segment register, from the selector that is in it, with the checks of a task switch (table 8-1). Until
 * then it is unusable, with a limit of 0. The LDT has to be there first, then CS, then SS.
 */
enum emul_status descriptor_load_ldtr(struct emul *e);
enum emul_status descriptor_load(struct emul *e, unsigned segment);

/* ---- gate.c */

/* JMP or CALL to a descriptor that was read and is a system one (S clear): the fault, or unhandled if there is none. */
enum emul_status gate_branch(struct emul *e, const struct abi_segment *found, bool call);

#endif
