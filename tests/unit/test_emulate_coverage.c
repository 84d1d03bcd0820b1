/*
 * The list of all instructions with a memory operand (user/emul/coverage.c), entry by entry, with its operands where no
 * RAM is: what it says is done must be done, what guests do not have must be #UD, what is refused must say why. That no
 * instruction is missing, tests/unit/test_decode_zydis.c sees to.
 */
// links: user/emul/decode.c user/emul/tables.c user/emul/alu.c user/emul/memory.c user/emul/operands.c
// links: user/emul/walk.c user/emul/stack.c user/emul/one_byte.c user/emul/group.c user/emul/two_byte.c
// links: user/emul/vector.c user/emul/watch.c user/emul/coverage.c user/emul/bits.c user/emul/frame.c
// links: user/emul/segment.c user/emul/gate.c
// links: user/emul/system.c
// links: user/emul/descriptor.c
// links: user/emul/string.c user/emul/io.c user/emul/step.c lib/format.c
#include "tests/unit/emul_machine.h"
#include "user/emul/coverage.h"

static uint8_t code[EMUL_MAX_LENGTH];

static unsigned put_prefix_and_opcode(const struct coverage *c, unsigned prefix, unsigned opcode)
{
    static const uint8_t bytes[] = {0, 0x66, 0xf3, 0xf2}, numbers[] = {0, 1, 2, 3};
    static const uint8_t first_bytes[] = {[ENCODING_VEX] = 0xc4, [ENCODING_EVEX] = 0x62, [ENCODING_XOP] = 0x8f};
    unsigned n = 0;

    if (c->encoding == ENCODING_LEGACY) {
        if (prefix)
            code[n++] = bytes[prefix];
        if (c->map != MAP_ONE_BYTE)
            code[n++] = 0x0f;
        if (c->map == MAP_0F38 || c->map == MAP_0F3A)
            code[n++] = c->map == MAP_0F38 ? 0x38 : 0x3a;
        if (c->map == MAP_3DNOW)
            code[n++] = 0x0f;
    } else {
        code[n++] = first_bytes[c->encoding];
        code[n++] = (c->encoding == ENCODING_EVEX ? 0xf0 : 0xe0) | c->map;
        code[n++] = 0x78 | (c->encoding == ENCODING_EVEX ? 4 : 0) | numbers[prefix];
        if (c->encoding == ENCODING_EVEX)
            code[n++] = 0x08;
    }
    if (c->map != MAP_3DNOW)
        code[n++] = (uint8_t)opcode;
    return n;
}

/* With [RBX] for ModRM.rm, or RBX where the memory is implied. */
static void build(const struct coverage *c, unsigned prefix, unsigned opcode, unsigned reg)
{
    unsigned n;

    memset(code, 0, sizeof(code));
    n = put_prefix_and_opcode(c, prefix, opcode);
    code[n] = (uint8_t)((c->forms & FORM_MEMORY ? 0x03 : 0xc3) | reg << 3);
    if (c->map == MAP_3DNOW)
        code[n + 1] = (uint8_t)opcode;
}

/* 32-bit mode for what 64-bit mode does not have. */
static bool set_up(struct insn *insn)
{
    unsigned mode = decode(code, sizeof(code), 8, insn) > 0 ? 8 : 4;

    if (mode == 4 && decode(code, sizeof(code), 4, insn) <= 0)
        return false;
    if (mode == 8)
        start_64();
    else
        start(4);
    for (unsigned i = 0; i < ABI_GPRS; i++)
        regs.gpr[i] = MMIO + 0x800;
    regs.gpr[ABI_RDX] = 0;
    regs.gpr[ABI_RCX] = 1;
    return true;
}

static enum emul_status run(const struct emul_ops *ops)
{
    return emul_step(ops, NULL, &regs, code, sizeof(code), &result);
}

static bool is_undefined(enum emul_status status)
{
    return status == EMUL_FAULT && result.vector == VECTOR_UD;
}

/* What it does in 64-bit mode is the vendor's affair: refused there, and done in other modes. */
static bool is_prefixed_branch(const struct coverage *c)
{
    return code[0] == 0x66 && c->map == MAP_ONE_BYTE &&
           ((c->first >= 0xc2 && c->last <= 0xc3) || c->first == 0xe8 || c->first == 0xff);
}

static void complain(const struct coverage *c, const char *what)
{
    if (test_fail())
        printf("entry %u: %02x %02x %02x %02x %02x %02x: %s: status %u, vector %u, %s\n", (unsigned)(c - coverage),
               code[0], code[1], code[2], code[3], code[4], code[5], what, result.status, result.vector,
               result.reason ? result.reason : "");
}

static void check(const struct coverage *c)
{
    static struct emul_ops old_cpu;
    struct insn insn;
    enum emul_status status = run(&machine_ops);

    if (c->feature == FEATURE_NEVER) {
        if (!is_undefined(status))
            complain(c, "no guest has it");
    } else if (c->refused) {
        if (status != EMUL_UNHANDLED || result.reason != c->refused)
            complain(c, "not refused");
    } else if (!is_prefixed_branch(c) && (status == EMUL_UNHANDLED || is_undefined(status))) {
        complain(c, "not done");
    }
    if (c->feature == FEATURE_NONE || c->feature == FEATURE_NEVER || !set_up(&insn))
        return;
    old_cpu = machine_ops;
    memset(old_cpu.features, 0, sizeof(old_cpu.features));
    if (!is_undefined(run(&old_cpu)))
        complain(c, "CPUID does not show it");
}

TEST(each_entry_is_true)
{
    for (const struct coverage *c = coverage; c < coverage + coverage_count; c++) {
        unsigned seen = 0;

        for (unsigned prefix = 0; prefix < 4; prefix++)
            for (unsigned opcode = c->first; opcode <= c->last; opcode++)
                for (unsigned reg = 0; reg < 8; reg++) {
                    struct insn insn;

                    build(c, prefix, opcode, reg);
                    if (set_up(&insn) && coverage_of(&insn) == c) {
                        seen++;
                        check(c);
                    }
                }
        if (!seen)
            complain(c, "hidden by those before it");
    }
}

/* One verdict each. */
TEST(each_entry_has_one_verdict)
{
    for (unsigned i = 0; i < coverage_count; i++) {
        CHECK(!coverage[i].execute || !coverage[i].refused);
        CHECK(coverage[i].feature != FEATURE_NEVER || (!coverage[i].execute && !coverage[i].refused));
        CHECK(coverage[i].first <= coverage[i].last && coverage[i].prefixes && coverage[i].regs && coverage[i].forms);
    }
}
