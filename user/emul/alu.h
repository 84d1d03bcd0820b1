/* Arithmetic as the CPU does it: results and flags (SDM Vol. 1, appendix A; Vol. 2 for each instruction). */
#ifndef USER_EMUL_ALU_H
#define USER_EMUL_ALU_H

#include "abi/types.h"

/*
 * For all: size is that of the operands in bytes (1, 2, 4, 8), and bits of operands beyond it are ignored and zero in
 * results. Of *rflags the arithmetic flags that the instruction defines are changed. Flags that the manuals leave
 * undefined get what most CPUs give.
 */

/* In the order of the opcodes 00-3F and of ModRM.reg in group 1. */
enum alu_op { ALU_ADD, ALU_OR, ALU_ADC, ALU_SBB, ALU_AND, ALU_SUB, ALU_XOR, ALU_CMP };

/* In the order of ModRM.reg in group 2; 6 is an alias of SHL. */
enum alu_shift { ALU_ROL, ALU_ROR, ALU_RCL, ALU_RCR, ALU_SHL, ALU_SHR, ALU_SAL, ALU_SAR };

static inline uint64_t alu_mask(unsigned size) { return size >= 8 ? ~0ull : (1ull << (8 * size)) - 1; }
static inline void alu_set_flag(uint64_t *rflags, uint64_t flag, bool on)
{
    *rflags = on ? *rflags | flag : *rflags & ~flag;
}
/* The value as a signed number of that size. */
int64_t alu_signed(uint64_t value, unsigned size);

/* CMP is SUB: the caller drops the result. */
uint64_t alu_binary(enum alu_op op, uint64_t a, uint64_t b, unsigned size, uint64_t *rflags);
uint64_t alu_inc(uint64_t a, unsigned size, uint64_t *rflags);
uint64_t alu_dec(uint64_t a, unsigned size, uint64_t *rflags);
/* count is masked as the CPU masks it. */
uint64_t alu_shift(enum alu_shift op, uint64_t a, unsigned count, unsigned size, uint64_t *rflags);
/* The product's low and high halves; CF and OF tell if the high half means anything. */
uint64_t alu_multiply(uint64_t a, uint64_t b, bool is_signed, unsigned size, uint64_t *high, uint64_t *rflags);

/* SHLD (left), SHRD: bits of filler follow those that leave. count is masked as the CPU masks it. */
uint64_t alu_double_shift(bool left, uint64_t a, uint64_t filler, unsigned count, unsigned size, uint64_t *rflags);
/* high:low, each of that size, by divisor; false: #DE. No flag is defined. */
bool alu_divide(uint64_t high, uint64_t low, uint64_t divisor, bool is_signed, unsigned size, uint64_t *quotient,
                uint64_t *remainder);
/* SF and ZF of a result; CF as told, OF clear: what the bit-manipulation instructions have in common. */
void alu_bit_flags(uint64_t result, bool carry, unsigned size, uint64_t *rflags);
/* a + b and that flag (CF or OF), which also gets the carry; no other changes (ADCX, ADOX). */
uint64_t alu_add_with(uint64_t flag, uint64_t a, uint64_t b, unsigned size, uint64_t *rflags);

/* Condition 0..15 of Jcc, SETcc, CMOVcc (SDM Vol. 1, appendix B). */
bool alu_condition(unsigned condition, uint64_t rflags);

#endif
