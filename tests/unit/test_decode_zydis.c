/*
 * The decoder against Zydis: random instructions in every mode; length, sizes, and memory operands. And what accesses
 * memory must be known to the emulator: user/emul/coverage.c.
 *
 * Compared is what Zydis calls valid: it knows the defined instructions, our decoder takes reserved ones as well. Known
 * and wanted differences, each passed over below:
 *  - VIA's 0F A6 and 0F A7 and Knights Corner's MVEX, JKZD and JKNZD are not of our CPUs.
 *  - ENCLS, ENCLU and ENCLV have a fixed address size there.
 *  - With 32-bit addresses, REX.B and a SIB byte of mod 0 and base 5, Zydis 4.0 counts the disp32 but calls R13D a
 * base.
 *  - MPX (0F 1A, 0F 1B) knows no address size prefix in 64-bit mode; it is gone from the CPUs.
 *  - The segment of LEA is none.
 *  - Zydis lets a DS, ES, SS or CS override undo an FS or GS override in 64-bit mode; the CPUs ignore it there.
 *  - Zydis scales the disp8 of EVEX instructions, which are not emulated here.
 */
// links: user/emul/decode.c user/emul/tables.c user/emul/alu.c user/emul/memory.c user/emul/operands.c
// links: user/emul/walk.c user/emul/stack.c user/emul/one_byte.c user/emul/group.c user/emul/two_byte.c
// links: user/emul/vector.c user/emul/watch.c user/emul/coverage.c user/emul/bits.c user/emul/frame.c
// links: user/emul/segment.c user/emul/gate.c
// links: user/emul/system.c
// links: user/emul/descriptor.c
// links: user/emul/string.c user/emul/io.c user/emul/step.c lib/format.c
// libs: -lZydis
#include <Zydis/Zydis.h>

#include "tests/unit/test.h"
#include "user/emul/coverage.h"

#define INSTRUCTIONS 2000000 /* of each mode */

static const struct {
    ZydisMachineMode machine;
    ZydisStackWidth stack;
    unsigned mode;
} modes[] = {
    {ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64, 8},
    {ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32, 4},
    {ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16, 2},
};

/* Half of what is compared should have prefixes; escapes, VEX, EVEX and XOP should all be frequent. */
static void random_instruction(uint64_t *seed, uint8_t *bytes)
{
    static const uint8_t prefixes[] = {0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x48, 0x41};
    static const uint8_t escapes[] = {0x0f, 0x0f, 0x0f, 0xc4, 0xc5, 0x62, 0x8f};
    uint64_t r = test_random(seed);
    unsigned n = 0;

    for (unsigned i = 0; i < 16; i++)
        bytes[i] = (uint8_t)test_random(seed);
    while ((r & 3) == 0 && n < 5) {
        bytes[n++] = prefixes[(r >> 8) % sizeof(prefixes)];
        r = test_random(seed);
    }
    if (r & 4) {
        bytes[n++] = escapes[(r >> 8) % sizeof(escapes)];
        if (bytes[n - 1] == 0x0f && (r & 0x30) == 0)
            bytes[n++] = r & 0x40 ? 0x38 : 0x3a;
        else if (bytes[n - 1] != 0x0f && (r & 0x10))
            bytes[n] = (bytes[n] & 0xe0) | (uint8_t)((r >> 32) % 11);
    }
}

static uint8_t register_number(ZydisRegister reg)
{
    return reg == ZYDIS_REGISTER_NONE ? NO_REGISTER : (uint8_t)ZydisRegisterGetId(reg);
}

static bool other_cpus_instruction(const ZydisDecodedInstruction *theirs)
{
    if (theirs->encoding == ZYDIS_INSTRUCTION_ENCODING_MVEX || theirs->mnemonic == ZYDIS_MNEMONIC_JKZD ||
        theirs->mnemonic == ZYDIS_MNEMONIC_JKNZD)
        return true;
    if (theirs->opcode_map != ZYDIS_OPCODE_MAP_0F)
        return false;
    return theirs->opcode == 0xa6 || theirs->opcode == 0xa7 || theirs->opcode == 0x1a || theirs->opcode == 0x1b;
}

static bool has_two_segment_prefixes(const uint8_t *bytes)
{
    unsigned n = 0;

    for (unsigned i = 0; i < 15; i++)
        n += bytes[i] == 0x26 || bytes[i] == 0x2e || bytes[i] == 0x36 || bytes[i] == 0x3e || bytes[i] == 0x64 ||
             bytes[i] == 0x65;
    return n > 1;
}

static bool same_memory(const ZydisDecodedOperand *theirs, const struct insn *ours, const uint8_t *bytes)
{
    bool rip = theirs->mem.base == ZYDIS_REGISTER_RIP || theirs->mem.base == ZYDIS_REGISTER_EIP;
    uint64_t mask = ours->address_size == 8 ? ~0ull : (1ull << (8 * ours->address_size)) - 1;
    uint8_t base = ours->base, index = ours->index;
    uint8_t segment = ours->segment;

    if (theirs->mem.type == ZYDIS_MEMOP_TYPE_VSIB) /* there, index 4 is a register too */
        index = register_number(theirs->mem.index);
    if (segment == NO_REGISTER)
        segment = base == ABI_RSP || base == ABI_RBP ? ABI_SS : ABI_DS;
    if (theirs->mem.type != ZYDIS_MEMOP_TYPE_AGEN && !has_two_segment_prefixes(bytes) &&
        register_number(theirs->mem.segment) != segment)
        return false;
    if (rip != ours->rip_relative || (!rip && register_number(theirs->mem.base) != base))
        return false;
    if (register_number(theirs->mem.index) != index)
        return false;
    if (index != NO_REGISTER && theirs->mem.scale != 1u << ours->scale && theirs->mem.type != ZYDIS_MEMOP_TYPE_MIB)
        return false;
    return ((uint64_t)theirs->mem.disp.value & mask) == ((uint64_t)ours->disp & mask);
}

static bool same_operands(const ZydisDecodedInstruction *theirs, const ZydisDecodedOperand *operands,
                          const struct insn *ours, const uint8_t *bytes)
{
    if (theirs->mnemonic == ZYDIS_MNEMONIC_ENCLS || theirs->mnemonic == ZYDIS_MNEMONIC_ENCLU ||
        theirs->mnemonic == ZYDIS_MNEMONIC_ENCLV)
        return true;
    if (theirs->address_width != 8 * ours->address_size)
        return false;
    if (theirs->raw.modrm.offset && (!ours->has_modrm || theirs->raw.modrm.mod != ours->mod))
        return ours->has_modrm && theirs->opcode >= 0x20 && theirs->opcode <= 0x23; /* MOV CR, DR: mod is ignored */
    if (ours->encoding == ENCODING_EVEX || (ours->address_size == 4 && (ours->rex & REX_B) && ours->mod == 0 &&
                                            theirs->raw.sib.offset && theirs->raw.sib.base == 5))
        return true;
    if (theirs->raw.imm[0].size && !theirs->raw.imm[1].size && ours->imm_size == theirs->raw.imm[0].size / 8 &&
        !theirs->raw.imm[0].is_signed && theirs->raw.imm[0].value.u != ours->imm)
        return false;
    for (unsigned i = 0; i < theirs->operand_count; i++) {
        const ZydisDecodedOperand *operand = &operands[i];

        if (operand->type == ZYDIS_OPERAND_TYPE_MEMORY && operand->visibility == ZYDIS_OPERAND_VISIBILITY_EXPLICIT &&
            (operand->encoding == ZYDIS_OPERAND_ENCODING_MODRM_RM ||
             operand->encoding == ZYDIS_OPERAND_ENCODING_DISP16_32_64) &&
            !same_memory(operand, ours, bytes))
            return false;
        if (ours->encoding == ENCODING_LEGACY && ours->map <= MAP_0F && ours->mod == 3 && ours->opcode < 0x10 &&
            operand->type == ZYDIS_OPERAND_TYPE_REGISTER && operand->encoding == ZYDIS_OPERAND_ENCODING_MODRM_REG &&
            ours->map == MAP_ONE_BYTE && operand->size > 8 && register_number(operand->reg.value) != ours->reg)
            return false;
    }
    return true;
}

/* Whatever it be that the emulator does about it. */
static bool is_covered(const ZydisDecodedInstruction *theirs, const ZydisDecodedOperand *operands,
                       const struct insn *ours)
{
    for (unsigned i = 0; i < theirs->operand_count; i++)
        if (operands[i].type == ZYDIS_OPERAND_TYPE_MEMORY && operands[i].mem.type != ZYDIS_MEMOP_TYPE_AGEN)
            return coverage_of(ours) != NULL;
    return true;
}

static void complain(const uint8_t *bytes, unsigned mode, int ours, unsigned theirs)
{
    char text[64];

    for (unsigned i = 0; i < 15; i++)
        snprintf(text + 3 * i, 4, "%02x ", bytes[i]);
    if (test_fail())
        printf("mode %u: %s: length %d, Zydis says %u\n", mode * 8, text, ours, theirs);
}

TEST(agrees_with_zydis)
{
    uint64_t seed = 1;

    for (unsigned m = 0; m < ARRAY_SIZE(modes); m++) {
        ZydisDecoder decoder;
        unsigned compared = 0;

        ZydisDecoderInit(&decoder, modes[m].machine, modes[m].stack);
        ZydisDecoderEnableMode(&decoder, ZYDIS_DECODER_MODE_KNC, ZYAN_FALSE);
        ZydisDecoderEnableMode(&decoder, ZYDIS_DECODER_MODE_CET, ZYAN_FALSE); /* it takes 3E for NOTRACK */
        for (unsigned i = 0; i < INSTRUCTIONS; i++) {
            ZydisDecodedInstruction theirs;
            ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
            ZydisDecoderContext context;
            struct insn ours;
            uint8_t bytes[16];

            random_instruction(&seed, bytes);
            if (!ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&decoder, &context, bytes, 15, &theirs)) ||
                other_cpus_instruction(&theirs) ||
                !ZYAN_SUCCESS(ZydisDecoderDecodeOperands(&decoder, &context, &theirs, operands, theirs.operand_count)))
                continue;
            int length = decode(bytes, 15, modes[m].mode, &ours);

            compared++;
            if (length != theirs.length || !same_operands(&theirs, operands, &ours, bytes))
                complain(bytes, modes[m].mode, length, theirs.length);
            else if (!is_covered(&theirs, operands, &ours) && test_fail())
                printf("mode %u: %s is not in the list: %02x %02x %02x %02x %02x\n", modes[m].mode,
                       ZydisMnemonicGetString(theirs.mnemonic), bytes[0], bytes[1], bytes[2], bytes[3], bytes[4]);
            if (length > 1 && (i & 7) == 0)
                CHECK_EQ(decode(bytes, (unsigned)length - 1, modes[m].mode, &ours), DECODE_MORE);
        }
        CHECK(compared > INSTRUCTIONS / 4);
    }
}
