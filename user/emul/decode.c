/* The instruction decoder: prefixes, opcode, ModRM, SIB, displacement, immediate (SDM Vol. 2, chapter 2). */
#include "lib/string.h"
#include "user/emul/emul.h"
#include "user/emul/insn.h"

/* The bytes that are left. Once one was missing, `short_of` stays set and every further one reads as zero. */
struct stream {
    const uint8_t *bytes;
    unsigned count, position;
    bool short_of;
};

static uint8_t next_byte(struct stream *s)
{
    if (s->position >= s->count) {
        s->short_of = true;
        return 0;
    }
    return s->bytes[s->position++];
}

/* The byte after the next one, without taking it. */
static uint8_t peek_byte(struct stream *s)
{
    if (s->position >= s->count) {
        s->short_of = true;
        return 0;
    }
    return s->bytes[s->position];
}

static uint64_t next_bytes(struct stream *s, unsigned n)
{
    uint64_t value = 0;

    if (n == 0)
        return 0;
    if (n <= sizeof(value) && s->position + sizeof(value) <= s->count) {
        memcpy(&value, s->bytes + s->position, sizeof(value));
        s->position += n;
        return value & (~0ull >> (64 - 8 * n));
    }
    for (unsigned i = 0; i < n; i++)
        value |= (uint64_t)next_byte(s) << (8 * i);
    return value;
}

static int64_t sign_extend(uint64_t value, unsigned size)
{
    unsigned shift = 64 - 8 * size;

    return size == 0 || size >= 8 ? (int64_t)value : (int64_t)(value << shift) >> shift;
}

/* Overrides of ES, CS, SS and DS do nothing in 64-bit mode: not even to an FS or GS override (APM Vol. 3, 1.2.4). */
static bool segment_prefix(struct insn *insn, uint8_t byte)
{
    switch (byte) {
    case 0x26:
    case 0x2e:
    case 0x36:
    case 0x3e:
        if (insn->mode != 8)
            insn->segment = ABI_ES + ((byte >> 3) & 3);
        return true;
    case 0x64:
    case 0x65:
        insn->segment = ABI_FS + (byte & 1);
        return true;
    }
    return false;
}

/* Take the prefixes; the first byte that is none is returned. A REX counts only right before the opcode. */
static uint8_t decode_prefixes(struct stream *s, struct insn *insn)
{
    bool address_prefix = false;
    uint8_t byte;

    for (;;) {
        byte = next_byte(s);
        if (s->short_of)
            break;
        if (insn->mode == 8 && (byte & 0xf0) == 0x40) {
            insn->has_rex = true;
            insn->rex = byte & 0x0f;
            continue;
        }
        if (byte == 0x66)
            insn->operand_prefix = true;
        else if (byte == 0x67)
            address_prefix = true;
        else if (byte == 0xf0)
            insn->lock = true;
        else if (byte == 0xf2 || byte == 0xf3)
            insn->repeat = byte;
        else if (!segment_prefix(insn, byte))
            break;
        insn->has_rex = false;
        insn->rex = 0;
    }

    if (insn->mode == 8)
        insn->address_size = address_prefix ? 4 : 8;
    else
        insn->address_size = (insn->mode == 2) != address_prefix ? 2 : 4;
    return byte;
}

/* VEX.vvvv, L and pp: the low bits of its last byte (SDM Vol. 2, 2.3.6). */
static void decode_vex(struct insn *insn, uint8_t byte)
{
    static const uint8_t prefixes[4] = {0, 0x66, 0xf3, 0xf2};

    insn->vvvv = (uint8_t)((~byte >> 3) & (insn->mode == 8 ? 15 : 7));
    insn->vector_256 = byte & 4;
    insn->vector_prefix = prefixes[byte & 3];
}

/* VEX (C4, C5), EVEX (62) and XOP (8F): from their payload up to the opcode. False: undefined. */
static bool decode_vector_prefix(struct stream *s, struct insn *insn, uint8_t first)
{
    uint8_t p0 = next_byte(s), p1 = 0;

    if (insn->lock || insn->operand_prefix || insn->repeat || insn->has_rex)
        return false;
    if (first == 0xc5) {
        insn->encoding = ENCODING_VEX;
        insn->map = MAP_0F;
        insn->rex = p0 & 0x80 ? 0 : REX_R;
    } else {
        p1 = next_byte(s);
        insn->rex = (uint8_t)((~p0 >> 5) & 7) | (p1 & 0x80 ? REX_W : 0);
        insn->map = p0 & 0x1f;
        insn->encoding = first == 0x8f ? ENCODING_XOP : ENCODING_VEX;
    }
    if (insn->encoding == ENCODING_VEX)
        decode_vex(insn, first == 0xc5 ? p0 : p1);
    if (first == 0x62) {
        insn->encoding = ENCODING_EVEX;
        insn->map = p0 & 7;
        next_byte(s);
        if ((p0 & 8) || (!(p1 & 4) && !s->short_of))
            return false;
    }
    if (insn->encoding != ENCODING_XOP && (insn->map == MAP_ONE_BYTE || insn->map > 7))
        return s->short_of;
    if (insn->mode != 8)
        insn->rex = 0;
    insn->opcode = next_byte(s);
    return true;
}

/*
 * Outside 64-bit mode C4, C5 and 62 are LES, LDS and BOUND if a memory operand follows, and 8F is POP if the map would
 * be below 8.
 */
static bool is_vector_prefix(struct stream *s, const struct insn *insn, uint8_t byte)
{
    switch (byte) {
    case 0xc4:
    case 0xc5:
    case 0x62:
        return insn->mode == 8 || peek_byte(s) >= 0xc0;
    case 0x8f:
        return (peek_byte(s) & 0x1f) >= 8;
    }
    return false;
}

static bool decode_opcode(struct stream *s, struct insn *insn, uint8_t byte)
{
    if (is_vector_prefix(s, insn, byte))
        return decode_vector_prefix(s, insn, byte);
    if (byte == 0x0f) {
        byte = next_byte(s);
        if (byte == 0x0f)
            insn->map = MAP_3DNOW; /* its opcode is the byte after the operands */
        else if (byte == 0x38 || byte == 0x3a)
            insn->map = byte == 0x38 ? MAP_0F38 : MAP_0F3A;
        else
            insn->map = MAP_0F;
        if (insn->map == MAP_0F38 || insn->map == MAP_0F3A)
            byte = next_byte(s);
    }
    insn->opcode = byte;
    return true;
}

/* SDM Vol. 2, table 2-1. */
static void decode_memory_16(struct stream *s, struct insn *insn, uint8_t rm)
{
    static const uint8_t bases[8] = {ABI_RBX, ABI_RBX, ABI_RBP, ABI_RBP, ABI_RSI, ABI_RDI, ABI_RBP, ABI_RBX};
    static const uint8_t indexes[4] = {ABI_RSI, ABI_RDI, ABI_RSI, ABI_RDI};
    unsigned disp_size = insn->mod;

    if (insn->mod == 0 && rm == 6)
        disp_size = 2;
    else
        insn->base = bases[rm];
    if (rm < 4)
        insn->index = indexes[rm];
    insn->disp = sign_extend(next_bytes(s, disp_size), disp_size);
}

/* SDM Vol. 2, tables 2-2 and 2-3; 2.2.1.6 for RIP-relative addresses. */
static void decode_memory_32(struct stream *s, struct insn *insn, uint8_t rm)
{
    unsigned disp_size = insn->mod == 2 ? 4 : insn->mod;

    if (rm == 4) {
        uint8_t sib = next_byte(s);
        uint8_t index = ((sib >> 3) & 7) | (insn->rex & REX_X ? 8 : 0);

        if (index != ABI_RSP)
            insn->index = index;
        insn->scale = sib >> 6;
        rm = sib & 7;
        if (rm == 5 && insn->mod == 0)
            disp_size = 4;
        else
            insn->base = rm | (insn->rex & REX_B ? 8 : 0);
    } else if (rm == 5 && insn->mod == 0) {
        disp_size = 4;
        insn->rip_relative = insn->mode == 8;
    } else {
        insn->base = rm | (insn->rex & REX_B ? 8 : 0);
    }
    insn->disp = sign_extend(next_bytes(s, disp_size), disp_size);
}

static void decode_modrm(struct stream *s, struct insn *insn, uint8_t form)
{
    uint8_t modrm = next_byte(s);
    uint8_t rm = modrm & 7;

    insn->has_modrm = true;
    insn->mod = form & OPCODE_REGISTERS ? 3 : modrm >> 6;
    insn->reg = ((modrm >> 3) & 7) | (insn->rex & REX_R ? 8 : 0);
    insn->rm = rm | (insn->rex & REX_B ? 8 : 0);
    if (insn->mod == 3)
        return;
    if (insn->address_size == 2)
        decode_memory_16(s, insn, rm);
    else
        decode_memory_32(s, insn, rm);
}

static unsigned immediate_size(const struct insn *insn, uint8_t form)
{
    unsigned z = insn->operand_size == 2 ? 2 : 4;

    switch (form & OPCODE_IMM) {
    case IMM_BYTE:
        return 1;
    case IMM_WORD:
        return 2;
    case IMM_Z:
        return z;
    case IMM_V:
        return insn->operand_size;
    case IMM_BRANCH:
        return insn->mode == 8 ? 4 : z;
    case IMM_FAR:
        return z + 2;
    case IMM_ENTER:
        return 3;
    case IMM_MOFFS:
        return insn->address_size;
    case IMM_GROUP3:
        if ((insn->reg & 7) > 1)
            return 0;
        return insn->opcode & 1 ? z : 1;
    case IMM_EXTRQ:
        return insn->operand_prefix || insn->repeat == 0xf2 ? 2 : 0;
    case IMM_DOUBLE:
        return 4;
    }
    return 0;
}

int decode(const uint8_t *bytes, unsigned count, unsigned mode, struct insn *insn)
{
    struct stream s = {.bytes = bytes, .count = MIN(count, EMUL_MAX_LENGTH)};
    bool defined;
    uint8_t form;

    memset(insn, 0, sizeof(*insn));
    insn->mode = (uint8_t)mode;
    insn->segment = insn->base = insn->index = NO_REGISTER;

    uint8_t first = decode_prefixes(&s, insn);
    defined = decode_opcode(&s, insn, first);
    if (s.short_of)
        return DECODE_MORE;
    form = opcode_form(insn->encoding, insn->map, insn->opcode);
    if (!defined || (form & OPCODE_UNDEFINED) || (mode == 8 && (form & OPCODE_NOT_64)))
        return DECODE_UNDEFINED;

    if (mode == 8 && (insn->rex & REX_W))
        insn->operand_size = 8;
    else
        insn->operand_size = (mode == 2) != insn->operand_prefix ? 2 : 4;

    if (form & OPCODE_MODRM)
        decode_modrm(&s, insn, form);
    insn->imm_size = (uint8_t)immediate_size(insn, form);
    insn->imm = next_bytes(&s, MIN(insn->imm_size, 8u));
    if (s.short_of)
        return DECODE_MORE;
    if ((form & OPCODE_IMM) == IMM_MOFFS)
        insn->disp = (int64_t)insn->imm;
    insn->length = (uint8_t)s.position;
    return insn->length;
}
