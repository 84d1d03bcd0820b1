#include "user/emul/alu.h"

#include "user/emul/x86.h"

int64_t alu_signed(uint64_t value, unsigned size)
{
    unsigned shift = 64 - 8 * size;

    return (int64_t)(value << shift) >> shift;
}

static bool sign_of(uint64_t value, unsigned size)
{
    return (value >> (8 * size - 1)) & 1;
}

/* SF, ZF and PF of a result; PF looks at its low byte only. */
static void set_result_flags(uint64_t *rflags, uint64_t result, unsigned size)
{
    alu_set_flag(rflags, RFLAGS_SF, sign_of(result, size));
    alu_set_flag(rflags, RFLAGS_ZF, result == 0);
    alu_set_flag(rflags, RFLAGS_PF, !__builtin_parity((unsigned)result & 0xff));
}

static uint64_t add(uint64_t a, uint64_t b, bool carry, unsigned size, uint64_t *rflags)
{
    uint64_t result = (a + b + carry) & alu_mask(size);

    alu_set_flag(rflags, RFLAGS_CF, carry ? result <= a : result < a);
    alu_set_flag(rflags, RFLAGS_AF, (a ^ b ^ result) & 0x10);
    alu_set_flag(rflags, RFLAGS_OF, sign_of((a ^ result) & (b ^ result), size));
    set_result_flags(rflags, result, size);
    return result;
}

static uint64_t subtract(uint64_t a, uint64_t b, bool borrow, unsigned size, uint64_t *rflags)
{
    uint64_t result = (a - b - borrow) & alu_mask(size);

    alu_set_flag(rflags, RFLAGS_CF, borrow ? a <= b : a < b);
    alu_set_flag(rflags, RFLAGS_AF, (a ^ b ^ result) & 0x10);
    alu_set_flag(rflags, RFLAGS_OF, sign_of((a ^ b) & (a ^ result), size));
    set_result_flags(rflags, result, size);
    return result;
}

static uint64_t logic(uint64_t result, unsigned size, uint64_t *rflags)
{
    *rflags &= ~(RFLAGS_CF | RFLAGS_OF | RFLAGS_AF);
    set_result_flags(rflags, result, size);
    return result;
}

uint64_t alu_binary(enum alu_op op, uint64_t a, uint64_t b, unsigned size, uint64_t *rflags)
{
    a &= alu_mask(size);
    b &= alu_mask(size);
    switch (op) {
    case ALU_ADD:
        return add(a, b, false, size, rflags);
    case ALU_OR:
        return logic(a | b, size, rflags);
    case ALU_ADC:
        return add(a, b, *rflags & RFLAGS_CF, size, rflags);
    case ALU_SBB:
        return subtract(a, b, *rflags & RFLAGS_CF, size, rflags);
    case ALU_AND:
        return logic(a & b, size, rflags);
    case ALU_XOR:
        return logic(a ^ b, size, rflags);
    case ALU_SUB:
    case ALU_CMP:
        break;
    }
    return subtract(a, b, false, size, rflags);
}

uint64_t alu_inc(uint64_t a, unsigned size, uint64_t *rflags)
{
    bool carry = *rflags & RFLAGS_CF;
    uint64_t result = alu_binary(ALU_ADD, a, 1, size, rflags);

    alu_set_flag(rflags, RFLAGS_CF, carry);
    return result;
}

uint64_t alu_dec(uint64_t a, unsigned size, uint64_t *rflags)
{
    bool carry = *rflags & RFLAGS_CF;
    uint64_t result = alu_binary(ALU_SUB, a, 1, size, rflags);

    alu_set_flag(rflags, RFLAGS_CF, carry);
    return result;
}

/* ROL, ROR: SF, ZF, AF and PF stay. */
static uint64_t rotate(bool left, uint64_t a, unsigned count, unsigned size, uint64_t *rflags)
{
    unsigned bits = 8 * size, n = count % bits;

    if (!left)
        n = (bits - n) % bits;
    if (n)
        a = ((a << n) | (a >> (bits - n))) & alu_mask(size);
    if (left) {
        alu_set_flag(rflags, RFLAGS_CF, a & 1);
        alu_set_flag(rflags, RFLAGS_OF, sign_of(a, size) != (a & 1));
    } else {
        alu_set_flag(rflags, RFLAGS_CF, sign_of(a, size));
        alu_set_flag(rflags, RFLAGS_OF, sign_of(a ^ (a << 1), size));
    }
    return a;
}

/* RCL, RCR: through CF, bit by bit. */
static uint64_t rotate_carry(bool left, uint64_t a, unsigned count, unsigned size, uint64_t *rflags)
{
    bool carry = *rflags & RFLAGS_CF, out;

    for (count %= 8 * size + 1; count > 0; count--) {
        out = left ? sign_of(a, size) : a & 1;
        a = left ? (a << 1) | carry : (a >> 1) | ((uint64_t)carry << (8 * size - 1));
        a &= alu_mask(size);
        carry = out;
    }
    alu_set_flag(rflags, RFLAGS_CF, carry);
    alu_set_flag(rflags, RFLAGS_OF, left ? sign_of(a, size) != carry : sign_of(a ^ (a << 1), size));
    return a;
}

uint64_t alu_shift(enum alu_shift op, uint64_t a, unsigned count, unsigned size, uint64_t *rflags)
{
    unsigned bits = 8 * size;
    uint64_t result;
    bool carry, overflow;

    a &= alu_mask(size);
    count &= size == 8 ? 63 : 31;
    if (count == 0)
        return a;
    switch (op) {
    case ALU_ROL:
    case ALU_ROR:
        return rotate(op == ALU_ROL, a, count, size, rflags);
    case ALU_RCL:
    case ALU_RCR:
        return rotate_carry(op == ALU_RCL, a, count, size, rflags);
    case ALU_SHR:
        result = a >> count;
        carry = (a >> (count - 1)) & 1;
        overflow = sign_of(a, size);
        break;
    case ALU_SAR:
        result = (uint64_t)(alu_signed(a, size) >> count) & alu_mask(size);
        carry = (alu_signed(a, size) >> (count - 1)) & 1;
        overflow = false;
        break;
    case ALU_SHL:
    case ALU_SAL:
    default:
        result = (a << count) & alu_mask(size);
        carry = count <= bits && ((a >> (bits - count)) & 1);
        overflow = sign_of(result, size) != carry;
        break;
    }
    alu_set_flag(rflags, RFLAGS_CF, carry);
    alu_set_flag(rflags, RFLAGS_OF, overflow);
    alu_set_flag(rflags, RFLAGS_AF, false);
    set_result_flags(rflags, result, size);
    return result;
}

uint64_t alu_multiply(uint64_t a, uint64_t b, bool is_signed, unsigned size, uint64_t *high, uint64_t *rflags)
{
    uint64_t mask = alu_mask(size), low;
    bool overflow;

    if (is_signed) {
        __int128 product = (__int128)alu_signed(a, size) * alu_signed(b, size);

        low = (uint64_t)product & mask;
        *high = (uint64_t)(product >> (8 * size)) & mask;
        overflow = product != alu_signed(low, size);
    } else {
        unsigned __int128 product = (unsigned __int128)(a & mask) * (b & mask);

        low = (uint64_t)product & mask;
        *high = (uint64_t)(product >> (8 * size)) & mask;
        overflow = *high != 0;
    }
    alu_set_flag(rflags, RFLAGS_CF | RFLAGS_OF, overflow);
    return low;
}

uint64_t alu_double_shift(bool left, uint64_t a, uint64_t filler, unsigned count, unsigned size, uint64_t *rflags)
{
    unsigned bits = 8 * size;
    uint64_t old = a &= alu_mask(size), result;
    bool carry;

    filler &= alu_mask(size);
    count &= size == 8 ? 63 : 31;
    if (count == 0)
        return a;
    if (count > bits) { /* of 16 bits, by more than 16: undefined; on CPUs at hand the filler follows itself */
        count -= bits;
        a = filler;
    }
    if (left) {
        result = (count == bits ? 0 : a << count) | filler >> (bits - count);
        carry = (a >> (bits - count)) & 1;
    } else {
        result = (count == bits ? 0 : a >> count) | filler << (bits - count);
        carry = (a >> (count - 1)) & 1;
    }
    result &= alu_mask(size);
    alu_set_flag(rflags, RFLAGS_CF, carry);
    alu_set_flag(rflags, RFLAGS_OF, sign_of(old ^ result, size));
    alu_set_flag(rflags, RFLAGS_AF, false);
    set_result_flags(rflags, result, size);
    return result;
}

/* high < divisor, so that the quotient fits. */
static void divide_unsigned(uint64_t high, uint64_t low, uint64_t divisor, unsigned size, uint64_t *quotient,
                            uint64_t *remainder)
{
    if (size == 8) { /* C has 128-bit division in a library only */
        __asm__("divq %4" : "=a"(*quotient), "=d"(*remainder) : "a"(low), "d"(high), "r"(divisor) : "cc");
        return;
    }
    low |= high << (8 * size);
    *quotient = low / divisor;
    *remainder = low % divisor;
}

bool alu_divide(uint64_t high, uint64_t low, uint64_t divisor, bool is_signed, unsigned size, uint64_t *quotient,
                uint64_t *remainder)
{
    uint64_t mask = alu_mask(size);
    bool minus = is_signed && sign_of(high, size), divisor_minus = is_signed && sign_of(divisor, size);

    if (minus) {
        low = -low & mask;
        high = ~high + (low == 0);
    }
    divisor = (divisor_minus ? -divisor : divisor) & mask;
    high &= mask;
    low &= mask;
    if (high >= divisor)
        return false;
    divide_unsigned(high, low, divisor, size, quotient, remainder);
    if (is_signed && *quotient > (mask >> 1) + (minus != divisor_minus))
        return false;
    *quotient = (minus != divisor_minus ? -*quotient : *quotient) & mask;
    *remainder = (minus ? -*remainder : *remainder) & mask;
    return true;
}

void alu_bit_flags(uint64_t result, bool carry, unsigned size, uint64_t *rflags)
{
    alu_set_flag(rflags, RFLAGS_CF, carry);
    alu_set_flag(rflags, RFLAGS_OF, false);
    alu_set_flag(rflags, RFLAGS_SF, sign_of(result, size));
    alu_set_flag(rflags, RFLAGS_ZF, result == 0);
}

uint64_t alu_add_with(uint64_t flag, uint64_t a, uint64_t b, unsigned size, uint64_t *rflags)
{
    uint64_t flags = *rflags & flag ? RFLAGS_CF : 0;
    uint64_t result = add(a & alu_mask(size), b & alu_mask(size), flags, size, &flags);

    alu_set_flag(rflags, flag, flags & RFLAGS_CF);
    return result;
}

bool alu_condition(unsigned condition, uint64_t rflags)
{
    bool sign = rflags & RFLAGS_SF, overflow = rflags & RFLAGS_OF, holds = false;

    switch (condition >> 1) {
    case 0:
        holds = overflow;
        break;
    case 1:
        holds = rflags & RFLAGS_CF;
        break;
    case 2:
        holds = rflags & RFLAGS_ZF;
        break;
    case 3:
        holds = rflags & (RFLAGS_CF | RFLAGS_ZF);
        break;
    case 4:
        holds = sign;
        break;
    case 5:
        holds = rflags & RFLAGS_PF;
        break;
    case 6:
        holds = sign != overflow;
        break;
    case 7:
        holds = sign != overflow || (rflags & RFLAGS_ZF);
        break;
    }
    return holds != (condition & 1);
}
