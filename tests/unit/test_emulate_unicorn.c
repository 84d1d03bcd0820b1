/*
 * The emulator against Unicorn: the same random instruction on the same registers and memory, in 64-, 32- and 16-bit
 * code; registers, RIP, flags, memory and port accesses must come out the same.
 *
 * Flags that the manuals leave undefined are not compared (undefined_flags). Not compared either:
 *  - what ends in #UD or a segment-limit fault here: Unicorn checks no limits and hardly any LOCK;
 *  - accesses to addresses where neither has memory;
 *  - F6 /1 and F7 /1, the second encoding of TEST, which Unicorn does not know, and C6 and C7 with REX.R, which it
 *    takes for another member of the group;
 *  - LOCK NEG, whose flags it gets wrong;
 *  - RET with a count above 32767, which Unicorn takes for negative; MOVBE and POPCNT, of which it has no CPU;
 *  - PEXT and PDEP, of which it swaps source and mask; BEXTR; CF of BLSR, BLSMSK, BLSI and BZHI, and this with an
 *    index beyond the operand; RORX, SHLD and SHRD with an address relative to RIP: QEMU 5 has these wrong;
 *  - ENTER with an operand size other than the stack's;
 *  - SHLD and SHRD of 16 bits by more than 16, which is undefined;
 *  - segment registers and far branches;
 *  - CRC32 and ADX with a second prefix, and in 16-bit code;
 *  - the high half of RAX after a 32-bit CMPXCHG that succeeds, and of a register after a BSF or BSR of 0: Unicorn
 * clears it, the manuals leave the register alone. Of #DE and #BR is compared that they come.
 */
// links: user/emul/decode.c user/emul/tables.c user/emul/alu.c user/emul/memory.c user/emul/operands.c
// links: user/emul/walk.c user/emul/stack.c user/emul/one_byte.c user/emul/group.c user/emul/two_byte.c
// links: user/emul/vector.c user/emul/watch.c user/emul/coverage.c user/emul/bits.c user/emul/frame.c
// links: user/emul/segment.c user/emul/gate.c
// links: user/emul/system.c
// links: user/emul/descriptor.c
// links: user/emul/string.c user/emul/io.c user/emul/step.c lib/format.c
// libs: -lunicorn
#include <unicorn/unicorn.h>

#include "tests/unit/emul_random.h"

#define INSTRUCTIONS 250000 /* of each mode */

/* ---- The emulator's side */

static int phys_read(void *ctx, uint64_t gpa, void *dst, uint32_t size)
{
    struct machine *m = ctx;

    if (gpa + size > RAM_SIZE) {
        m->hole = true;
        return -1;
    }
    memcpy(dst, m->ours + gpa, size);
    return 0;
}

static int phys_write(void *ctx, uint64_t gpa, const void *src, uint32_t size)
{
    struct machine *m = ctx;

    if (gpa + size > RAM_SIZE) {
        m->hole = true;
        return -1;
    }
    memcpy(m->ours + gpa, src, size);
    return 0;
}

static void *ram(void *ctx, uint64_t gpa)
{
    struct machine *m = ctx;

    if (m->as_mmio || gpa >= RAM_SIZE)
        return NULL;
    return m->ours + (gpa & ~0xfffull);
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
    return (hash ^ value) * 0x9e3779b97f4a7c15ull;
}

static int port_in(void *ctx, uint16_t port, uint8_t size, uint32_t *value)
{
    struct machine *m = ctx;

    m->our_hash = mix(m->our_hash, port * 8u + size);
    *value = m->port_values[m->our_ports++ & 63] & (uint32_t)((1ull << 8 * size) - 1);
    return 0;
}

static int port_out(void *ctx, uint16_t port, uint8_t size, uint32_t value)
{
    struct machine *m = ctx;

    m->our_hash = mix(mix(m->our_hash, 0x80000u + port * 8u + size), value);
    return 0;
}

static const struct emul_ops ops = {
    phys_read, phys_write, port_in, port_out, ram, 40, {~0u, ~0u, ~0u, ~0u, ~0u, ~0u, ~0u}, NULL, NULL};

/* ---- Unicorn's side */

static uint32_t unicorn_in(uc_engine *uc, uint32_t port, int size, void *ctx)
{
    struct machine *m = ctx;

    (void)uc;
    m->their_hash = mix(m->their_hash, port * 8u + (unsigned)size);
    return m->port_values[m->their_ports++ & 63] & (uint32_t)((1ull << 8 * size) - 1);
}

static void unicorn_out(uc_engine *uc, uint32_t port, int size, uint32_t value, void *ctx)
{
    struct machine *m = ctx;

    (void)uc;
    m->their_hash = mix(mix(m->their_hash, 0x80000u + port * 8u + (unsigned)size), value);
}

static int register_ids[ABI_GPRS + 2];

static void set_register_ids(unsigned mode)
{
    static const int wide[] = {UC_X86_REG_RAX, UC_X86_REG_RCX, UC_X86_REG_RDX,   UC_X86_REG_RBX, UC_X86_REG_RSP,
                               UC_X86_REG_RBP, UC_X86_REG_RSI, UC_X86_REG_RDI,   UC_X86_REG_R8,  UC_X86_REG_R9,
                               UC_X86_REG_R10, UC_X86_REG_R11, UC_X86_REG_R12,   UC_X86_REG_R13, UC_X86_REG_R14,
                               UC_X86_REG_R15, UC_X86_REG_RIP, UC_X86_REG_EFLAGS};
    static const int narrow[] = {UC_X86_REG_EAX, UC_X86_REG_ECX, UC_X86_REG_EDX, UC_X86_REG_EBX, UC_X86_REG_ESP,
                                 UC_X86_REG_EBP, UC_X86_REG_ESI, UC_X86_REG_EDI, UC_X86_REG_EIP, UC_X86_REG_EFLAGS};

    if (mode == 8)
        memcpy(register_ids, wide, sizeof(wide));
    else
        memcpy(register_ids, narrow, sizeof(narrow));
}

static uc_err run_unicorn(struct machine *m, uc_engine *uc, struct abi_regs *regs)
{
    unsigned n = register_count(m);
    bool repeated = m->insn.repeat && m->insn.map == MAP_ONE_BYTE;
    uint64_t flags = regs->rflags;
    uc_err err;

    for (unsigned i = 0; i < n; i++)
        uc_reg_write(uc, register_ids[i], &regs->gpr[i]);
    uc_reg_write(uc, register_ids[n + 1], &flags);
    uint8_t slot[16];

    memset(slot, 0xf4, sizeof(slot));
    memcpy(slot, m->code, m->insn.length);
    uc_mem_write(uc, m->at, slot, sizeof(slot));
    err = uc_emu_start(uc, m->at, repeated ? m->at + m->insn.length : 0xfff0, 0, repeated ? 1000 : 1);
    for (unsigned i = 0; i < n; i++)
        uc_reg_read(uc, register_ids[i], &regs->gpr[i]);
    regs->rip = 0;
    uc_reg_read(uc, register_ids[n], &regs->rip);
    flags = 0;
    uc_reg_read(uc, register_ids[n + 1], &flags);
    regs->rflags = flags;
    return err;
}

static void set_mode(struct machine *m)
{
    uint16_t attr = m->mode == 8 ? 0x0a00 : m->mode == 4 ? 0x0c00 : 0;

    for (unsigned i = 0; i < ABI_SEGS; i++) {
        uint16_t selector = m->mode == 2 && i != ABI_CS ? (uint16_t)(DATA / 16 + i * 0x100) : 0;

        m->regs.seg[i] = (struct abi_segment){selector, attr | (i == ABI_CS ? 0x9b : 0x93), m->mode == 2 ? 0xffff : ~0u,
                                              selector * 16u};
    }
    m->regs.cr0 = m->mode == 2 ? 0 : CR0_PE;
    m->regs.efer = m->mode == 8 ? EFER_LMA : 0;
}

static void set_unicorn_segments(const struct machine *m, uc_engine *uc)
{
    static const int ids[] = {UC_X86_REG_ES, UC_X86_REG_CS, UC_X86_REG_SS, UC_X86_REG_DS, UC_X86_REG_FS, UC_X86_REG_GS};

    for (unsigned i = 0; i < ABI_SEGS && m->mode == 2; i++)
        uc_reg_write(uc, ids[i], &m->regs.seg[i].selector);
}

/* ---- Comparison */

static void complain(const struct machine *m, const char *what, uint64_t ours, uint64_t theirs)
{
    char text[64] = "";

    for (unsigned i = 0; i < m->insn.length; i++)
        snprintf(text + 3 * i, 4, "%02x ", m->code[i]);
    if (test_fail())
        printf("mode %u: %s: %s: %llx, Unicorn says %llx\n", m->mode * 8, text, what, (unsigned long long)ours,
               (unsigned long long)theirs);
}

static bool same_registers(const struct machine *m, const struct abi_regs *ours, const struct abi_regs *theirs)
{
    static const char *const names[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                        "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
    uint64_t flags = RFLAGS_ARITHMETIC & ~undefined_flags(m);

    for (unsigned i = 0; i < register_count(m); i++)
        if (ours->gpr[i] != theirs->gpr[i])
            return complain(m, names[i], ours->gpr[i], theirs->gpr[i]), false;
    if (ours->rip != theirs->rip)
        return complain(m, "rip", ours->rip, theirs->rip), false;
    if ((ours->rflags ^ theirs->rflags) & flags)
        return complain(m, "flags", ours->rflags & flags, theirs->rflags & flags), false;
    return true;
}

/* Unicorn would translate what is there, and keep that when the slot is used. */
static bool is_branch_into_code(const struct machine *m, uint64_t rip)
{
    return rip != m->at + m->insn.length && rip - code_of(m) < SLOTS * 16;
}

/* True: both executed the instruction. */
static bool compare(struct machine *m, uc_engine *uc)
{
    struct abi_regs ours = m->regs, theirs = m->regs;
    struct emul_result result;
    enum emul_status status;
    uc_err err;

    if (m->insn.encoding == ENCODING_VEX && m->insn.opcode == 0xf5 && (m->regs.gpr[m->insn.vvvv] & 0xff) > 31)
        return false;
    if (is_long_double_shift(m))
        return false;
    m->hole = false;
    m->our_ports = m->their_ports = 0;
    m->our_hash = m->their_hash = 0;
    m->as_mmio = chance(m, 50);
    status = emul_step(&ops, m, &ours, m->code, m->insn.length, &result);
    if (status == EMUL_FAULT && !m->hole && (result.vector == VECTOR_DE || result.vector == VECTOR_BR)) {
        if (run_unicorn(m, uc, &theirs) != UC_ERR_EXCEPTION && theirs.rip != m->at)
            complain(m, "fault", result.vector, 0);
        return true;
    }
    if (m->hole || status == EMUL_UNHANDLED || status == EMUL_FAULT || is_branch_into_code(m, ours.rip)) {
        if (m->hole || m->insn.repeat || status == EMUL_DONE) /* but a fault of another kind writes nothing */
            memcpy(m->ours, m->theirs, RAM_SIZE);
        return false;
    }
    err = run_unicorn(m, uc, &theirs);
    if (err == UC_ERR_FETCH_UNMAPPED || err == UC_ERR_FETCH_PROT) /* a branch was taken */
        err = UC_ERR_OK;
    if (err) {
        complain(m, "status", status, err);
        memcpy(m->ours, m->theirs, RAM_SIZE);
        return false;
    }
    if (is_cmpxchg(&m->insn) && m->insn.opcode == 0xb1 && m->insn.operand_size == 4 && (ours.rflags & RFLAGS_ZF))
        ours.gpr[ABI_RAX] = (uint32_t)ours.gpr[ABI_RAX];
    if (is_scan(&m->insn) && !(m->insn.repeat == 0xf3) && m->insn.operand_size == 4 && (ours.rflags & RFLAGS_ZF))
        ours.gpr[m->insn.reg] = (uint32_t)ours.gpr[m->insn.reg];
    CHECK_EQ(status, EMUL_DONE);
    CHECK_EQ(result.length, m->insn.length);
    if (m->our_hash != m->their_hash)
        complain(m, "ports", m->our_hash, m->their_hash);
    return same_registers(m, &ours, &theirs);
}

static uc_engine *open_unicorn(struct machine *m, uc_mode mode)
{
    uint32_t code = code_of(m), end = code + SLOTS * 16, data = UC_PROT_READ | UC_PROT_WRITE;
    uc_engine *uc;
    uc_hook hooks[2];

    CHECK_EQ(uc_open(UC_ARCH_X86, mode, &uc), UC_ERR_OK);
    CHECK_EQ(uc_ctl_set_cpu_model(uc, UC_CPU_X86_HASWELL), UC_ERR_OK);
    CHECK_EQ(uc_mem_map_ptr(uc, 0, code, data, m->theirs), UC_ERR_OK);
    CHECK_EQ(uc_mem_map_ptr(uc, code, SLOTS * 16, UC_PROT_ALL, m->theirs + code), UC_ERR_OK);
    CHECK_EQ(uc_mem_map_ptr(uc, end, RAM_SIZE - end, data, m->theirs + end), UC_ERR_OK);
    memset(m->theirs + code, 0xf4, SLOTS * 16); /* HLT: Unicorn translates as far as it can, and dies of random data */
    memcpy(m->ours + code, m->theirs + code, SLOTS * 16);
    CHECK_EQ(uc_hook_add(uc, &hooks[0], UC_HOOK_INSN, (void *)unicorn_in, m, 1, 0, UC_X86_INS_IN), UC_ERR_OK);
    CHECK_EQ(uc_hook_add(uc, &hooks[1], UC_HOOK_INSN, (void *)unicorn_out, m, 1, 0, UC_X86_INS_OUT), UC_ERR_OK);
    set_unicorn_segments(m, uc);
    return uc;
}

static void run_mode(unsigned mode, uc_mode unicorn_mode)
{
    struct machine *m = calloc(1, sizeof(*m));
    unsigned compared = 0;
    uc_engine *uc = NULL;

    m->mode = mode;
    m->seed = mode;
    m->ours = aligned_alloc(4096, RAM_SIZE);
    m->theirs = aligned_alloc(4096, RAM_SIZE);
    for (unsigned i = 0; i < RAM_SIZE; i++)
        m->ours[i] = m->theirs[i] = (uint8_t)test_random(&m->seed);
    for (unsigned i = 0; i < 64; i++)
        m->port_values[i] = (uint32_t)test_random(&m->seed);
    set_mode(m);
    set_register_ids(mode);

    for (unsigned i = 0; i < INSTRUCTIONS && test_bad_checks < TEST_MAX_LINES; i++) {
        if (i % SLOTS == 0) {
            if (uc)
                uc_close(uc);
            uc = open_unicorn(m, unicorn_mode);
        }
        m->at = code_of(m) + i % SLOTS * 16;
        build_instruction(m);
        if (decode(m->code, sizeof(m->code), mode, &m->insn) <= 0 || unknown_to_unicorn(&m->insn))
            continue;
        set_registers(m);
        compared += compare(m, uc);
        memcpy(m->ours + m->at, m->theirs + m->at, 16);
        if (i % 64 == 0 && memcmp(m->ours, m->theirs, RAM_SIZE) != 0) {
            complain(m, "memory, in the last 64", 0, 0);
            memcpy(m->ours, m->theirs, RAM_SIZE);
        }
    }
    printf("%u-bit: %u instructions compared\n", mode * 8, compared);
    CHECK(compared > INSTRUCTIONS / 2);
    uc_close(uc);
    free(m->ours);
    free(m->theirs);
    free(m);
}

TEST(agrees_with_unicorn_in_64_bit_mode)
{
    run_mode(8, UC_MODE_64);
}

TEST(agrees_with_unicorn_in_32_bit_mode)
{
    run_mode(4, UC_MODE_32);
}

TEST(agrees_with_unicorn_in_real_mode)
{
    run_mode(2, UC_MODE_16);
}
