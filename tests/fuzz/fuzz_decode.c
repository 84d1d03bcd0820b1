/*
 * libFuzzer target: the decoder, the emulator and the page walker on arbitrary registers, bytes and memory. Nothing may
 * read or write out of bounds, run for long, or leave a result that its contract does not allow.
 */
// links: user/emul/decode.c user/emul/tables.c user/emul/alu.c user/emul/memory.c user/emul/operands.c
// links: user/emul/walk.c user/emul/stack.c user/emul/one_byte.c user/emul/group.c user/emul/two_byte.c
// links: user/emul/vector.c user/emul/watch.c user/emul/coverage.c user/emul/bits.c user/emul/frame.c
// links: user/emul/segment.c user/emul/gate.c
// links: user/emul/system.c
// links: user/emul/descriptor.c
// links: user/emul/string.c user/emul/io.c user/emul/step.c lib/format.c
#include <stdlib.h>
#include <string.h>

#include "user/emul/emul.h"
#include "user/emul/insn.h"

#define RAM_PAGES 8u

static _Alignas(4096) uint8_t memory[RAM_PAGES * 4096];
static unsigned calls; /* of callbacks, within one instruction */

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void check_access(uint64_t gpa, uint32_t size)
{
    require(size >= 1 && size <= 8 && (gpa & 4095) + size <= 4096 && gpa < 1ull << 40);
    calls++;
}

static int phys_read(void *ctx, uint64_t gpa, void *dst, uint32_t size)
{
    (void)ctx;
    check_access(gpa, size);
    memset(dst, (int)gpa, size);
    return gpa & 8 ? -1 : 0;
}

static int phys_write(void *ctx, uint64_t gpa, const void *src, uint32_t size)
{
    static volatile uint8_t sink;

    (void)ctx;
    check_access(gpa, size);
    for (uint32_t i = 0; i < size; i++)
        sink = ((const uint8_t *)src)[i];
    (void)sink;
    return 0;
}

static int port_in(void *ctx, uint16_t port, uint8_t size, uint32_t *value)
{
    (void)ctx;
    require(size == 1 || size == 2 || size == 4);
    calls++;
    *value = port;
    return port & 1 ? -1 : 0;
}

static int port_out(void *ctx, uint16_t port, uint8_t size, uint32_t value)
{
    (void)ctx, (void)port;
    require(size == 1 || size == 2 || size == 4);
    require(size == 4 || value >> (8 * size) == 0);
    calls++;
    return 0;
}

static void *ram(void *ctx, uint64_t gpa)
{
    (void)ctx;
    calls++;
    require(gpa < 1ull << 52);
    return gpa < sizeof(memory) ? memory + (gpa & ~4095ull) : NULL;
}

static uint64_t vector_read(void *ctx, unsigned n, struct emul_vector *value)
{
    (void)ctx;
    require(n < 16);
    memset(value, (int)n, sizeof(*value));
    return n & 1 ? 3 : 7;
}

static void vector_write(void *ctx, unsigned n, const struct emul_vector *value)
{
    (void)ctx, (void)value;
    require(n < 16);
}

static const struct emul_ops ops = {
    phys_read, phys_write, port_in, port_out, ram, 40, {~0u, ~0u, ~0u, ~0u, ~0u, ~0u, ~0u}, vector_read, vector_write};

static void check_result(const struct emul_result *result, const struct abi_regs *before, const struct abi_regs *after)
{
    char text[128];

    require(result->length <= EMUL_MAX_LENGTH && result->bytes_count <= EMUL_MAX_LENGTH);
    require((result->status == EMUL_UNHANDLED) == (result->reason != NULL));
    require(result->status != EMUL_FAULT || result->vector < 32);
    if (result->status != EMUL_DONE)
        require(after->rip == before->rip);
    if (result->status == EMUL_UNHANDLED)
        require(memcmp(before, after, sizeof(*before)) == 0);
    require(calls < EMUL_STRING_PIECE * 600);
    emul_describe(result, text, sizeof(text));
    require(strlen(text) < sizeof(text));
}

/* Make likely what is rare in random bits: pointers into RAM, flat segments, the modes that exist. */
static void tame(struct abi_regs *regs, uint8_t how)
{
    regs->cpl &= 3;
    regs->cr3 &= 0x7fff;
    if (how & 1)
        regs->rip &= 0x7fff;
    if (how & 2)
        for (unsigned i = 0; i < ABI_GPRS; i++)
            regs->gpr[i] &= 0x7fff;
    if (how & 4)
        for (unsigned i = 0; i < ABI_SEGS; i++)
            regs->seg[i] = (struct abi_segment){0, i == ABI_CS ? 0xc9b : 0xc93, ~0u, 0};
    if (how & 8)
        regs->cr0 &= 0x7fffffff;
    if (how & 16) {
        regs->efer |= 1u << 10;
        regs->seg[ABI_CS].attr |= ABI_SEG_L;
    }
}

static void decode_in_each_mode(const uint8_t *data, size_t size)
{
    for (unsigned mode = 2; mode <= 8; mode *= 2) {
        struct insn insn, shorter;
        int length = decode(data, (unsigned)(size < 20 ? size : 20), mode, &insn);

        require(length >= DECODE_UNDEFINED && length <= EMUL_MAX_LENGTH && length <= (int)size);
        if (length > 1)
            require(decode(data, (unsigned)length - 1, mode, &shorter) == DECODE_MORE);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct abi_regs before = {0}, after;
    struct emul_result result;
    uint8_t how, given, code[EMUL_MAX_LENGTH] = {0};

    decode_in_each_mode(data, size);
    if (size < 2 + sizeof(code) + sizeof(before))
        return 0;
    how = data[0];
    given = data[1] & 15;
    memcpy(code, data + 2, sizeof(code));
    memcpy(&before, data + 2 + sizeof(code), sizeof(before));
    data += 2 + sizeof(code) + sizeof(before);
    size -= 2 + sizeof(code) + sizeof(before);
    tame(&before, how);
    for (size_t i = 0; i < sizeof(memory); i++)
        memory[i] = size ? data[i % size] : 0;
    if (how & 1)
        memcpy(memory + (before.rip & 0x7ff0), code, sizeof(code));

    after = before;
    calls = 0;
    require(emul_step(&ops, NULL, &after, code, given, &result) == result.status);
    check_result(&result, &before, &after);

    after = before;
    calls = 0;
    require((emul_length(&ops, NULL, &after, &result) > 0) == (result.status == EMUL_DONE));
    after.cr2 = before.cr2;
    require(memcmp(&before, &after, sizeof(before)) == 0);
    check_result(&result, &before, &after);
    return 0;
}
