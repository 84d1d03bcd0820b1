/* The emulator by hand: MMIO, strings, ports, stack, single step, LOCK, and what it does not emulate. */
// links: user/emul/decode.c user/emul/tables.c user/emul/alu.c user/emul/memory.c user/emul/operands.c
// links: user/emul/walk.c user/emul/stack.c user/emul/one_byte.c user/emul/group.c user/emul/two_byte.c
// links: user/emul/vector.c user/emul/watch.c user/emul/coverage.c user/emul/bits.c user/emul/frame.c
// links: user/emul/segment.c user/emul/gate.c
// links: user/emul/system.c
// links: user/emul/descriptor.c
// links: user/emul/string.c user/emul/io.c user/emul/step.c lib/format.c
// libs: -lpthread
#include <pthread.h>

#include "tests/unit/emul_machine.h"

TEST(mmio_reads_and_writes_of_each_size)
{
    static const struct {
        const char *load, *store; /* AL, AX, EAX, RAX and [RBX] */
        unsigned size;
    } moves[] = {{"8a03", "8803", 1}, {"668b03", "668903", 2}, {"8b03", "8903", 4}, {"488b03", "488903", 8}};

    for (unsigned i = 0; i < ARRAY_SIZE(moves); i++) {
        start_64();
        regs.gpr[ABI_RBX] = MMIO + 0x20;
        CHECK_EQ(step(moves[i].load), EMUL_DONE);
        check_access(0, 'r', MMIO + 0x20, moves[i].size, 0);
        CHECK_EQ(regs.gpr[ABI_RAX], machine_mmio_value & (~0ull >> (64 - 8 * moves[i].size)));
        CHECK_EQ(step(moves[i].store), EMUL_DONE);
        check_access(1, 'w', MMIO + 0x20, moves[i].size, regs.gpr[ABI_RAX]);
        CHECK_EQ(machine_logged, 2);
    }
}

/* What the CPU found is taken for a load with that offset in its page, and for nothing else. */
TEST(load_where_the_cpu_has_walked)
{
    static const struct {
        const char *hex;
        uint64_t rbx, gpa, reads; /* address that is read */
    } cases[] = {
        {"8b03", 0xdead000020, MMIO + 0x5020, MMIO + 0x5020},   /* MOV EAX, [RBX]: no table has this address */
        {"0fb603", 0xdead000fff, MMIO + 0x5fff, MMIO + 0x5fff}, /* MOVZX EAX, BYTE [RBX] */
        {"8b03", MMIO + 0x24, MMIO + 0x5020, MMIO + 0x24},      /* another offset */
        {"0303", MMIO + 0x20, MMIO + 0x5020, MMIO + 0x20},      /* ADD EAX, [RBX] */
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        start_64();
        regs.gpr[ABI_RBX] = cases[i].rbx;
        assemble(CODE, cases[i].hex);
        CHECK_EQ(emul_step_read(&machine_ops, NULL, &regs, NULL, 0, cases[i].gpa, &result), EMUL_DONE);
        CHECK_EQ(machine_logged, 1);
        CHECK_EQ(machine_log[0].address, cases[i].reads);
    }
    start_64(); /* across a page's end: two walks, and the first fails */
    regs.gpr[ABI_RBX] = 0xdead000ffe;
    assemble(CODE, "8b03");
    CHECK_EQ(emul_step_read(&machine_ops, NULL, &regs, NULL, 0, MMIO + 0x5ffe, &result), EMUL_FAULT);
    check_fault(VECTOR_PF, 0);
}

TEST(read_modify_write_of_mmio_is_one_read_and_one_write)
{
    start_64();
    regs.gpr[ABI_RBX] = MMIO;
    machine_mmio_value = 0xf0;
    CHECK_EQ(step("f0830b0f"), EMUL_DONE); /* LOCK OR DWORD [RBX], 0Fh */
    CHECK_EQ(machine_logged, 2);
    check_access(0, 'r', MMIO, 4, 0);
    check_access(1, 'w', MMIO, 4, 0xff);
}

TEST(nothing_there_reads_as_ones)
{
    start_64();
    regs.gpr[ABI_RBX] = NOTHING;
    CHECK_EQ(step("8b03"), EMUL_DONE);
    CHECK_EQ(regs.gpr[ABI_RAX], 0xffffffff);
}

TEST(bytes_of_the_cpu_are_used_first)
{
    static const uint8_t bytes[] = {0x8b, 0x03, 0xcc, 0xcc};
    static const uint8_t half[] = {0xc7};

    start_64(); /* memory at RIP is 00 00: not this */
    regs.gpr[ABI_RBX] = MMIO;
    CHECK_EQ(emul_step(&machine_ops, NULL, &regs, bytes, sizeof(bytes), &result), EMUL_DONE);
    CHECK_EQ(result.length, 2);
    CHECK_EQ(regs.gpr[ABI_RAX], 0x44332211);
    CHECK_EQ(regs.rip, CODE + 2);

    start_64(); /* the rest comes from memory */
    regs.gpr[ABI_RBX] = MMIO;
    assemble(CODE, "c70378563412");
    CHECK_EQ(emul_step(&machine_ops, NULL, &regs, half, sizeof(half), &result), EMUL_DONE);
    check_access(0, 'w', MMIO, 4, 0x12345678);
}

TEST(rep_movs_from_mmio)
{
    start_64();
    regs.gpr[ABI_RSI] = MMIO;
    regs.gpr[ABI_RDI] = DATA;
    regs.gpr[ABI_RCX] = 3;
    CHECK_EQ(step("f3a5"), EMUL_DONE);
    CHECK_EQ(machine_logged, 3);
    check_access(2, 'r', MMIO + 8, 4, 0);
    CHECK_EQ(peek(DATA + 8, 8), 0x44332211);
    CHECK_EQ(regs.gpr[ABI_RCX], 0);
    CHECK_EQ(regs.gpr[ABI_RDI], DATA + 12);
}

TEST(a_long_rep_comes_in_pieces)
{
    start_64();
    regs.rflags |= RFLAGS_RF;
    regs.gpr[ABI_RDI] = MMIO;
    regs.gpr[ABI_RCX] = EMUL_STRING_PIECE + 100;
    CHECK_EQ(step("f3aa"), EMUL_AGAIN);
    CHECK_EQ(regs.rip, CODE);
    CHECK_EQ(regs.gpr[ABI_RCX], 100);
    CHECK_EQ(regs.gpr[ABI_RDI], MMIO + EMUL_STRING_PIECE);
    CHECK(!result.single_step);
    CHECK_EQ(step("f3aa"), EMUL_DONE);
    CHECK_EQ(machine_logged, EMUL_STRING_PIECE + 100);
    CHECK_EQ(regs.rip, CODE + 2);
    CHECK(!(regs.rflags & RFLAGS_RF));
}

TEST(a_rep_that_faults_keeps_its_progress)
{
    start_64();
    poke(pte_of(DATA + 0x1000), 0, 8);
    regs.gpr[ABI_RAX] = 0x1111111111111111;
    regs.gpr[ABI_RDI] = DATA + 0xff0;
    regs.gpr[ABI_RCX] = 10;
    step("f348ab");
    check_fault(VECTOR_PF, PF_WRITE);
    CHECK_EQ(regs.cr2, DATA + 0x1000);
    CHECK_EQ(regs.rip, CODE);
    CHECK_EQ(regs.gpr[ABI_RCX], 8);
    CHECK_EQ(regs.gpr[ABI_RDI], DATA + 0x1000);
    CHECK_EQ(peek(DATA + 0xff8, 8), 0x1111111111111111);
}

TEST(single_step)
{
    start_64();
    regs.rflags |= RFLAGS_TF;
    regs.gpr[ABI_RBX] = MMIO;
    CHECK_EQ(step("8b03"), EMUL_DONE);
    CHECK(result.single_step);

    regs.gpr[ABI_RDI] = MMIO;
    regs.gpr[ABI_RCX] = 2;
    CHECK_EQ(step("f3aa"), EMUL_AGAIN); /* one trap for each element */
    CHECK(result.single_step);
    CHECK_EQ(regs.gpr[ABI_RCX], 1);
    CHECK_EQ(step("f3aa"), EMUL_DONE);
    CHECK(result.single_step);

    regs.gpr[ABI_RBX] = 1ull << 63;
    CHECK_EQ(step("8b03"), EMUL_FAULT);
    CHECK(!result.single_step);
}

TEST(repe_and_repne_end_on_zf)
{
    start_64();
    memcpy(machine_ram + DATA, "aaab", 4);
    regs.gpr[ABI_RAX] = 'a';
    regs.gpr[ABI_RDI] = DATA;
    regs.gpr[ABI_RCX] = 100;
    CHECK_EQ(step("f3ae"), EMUL_DONE);
    CHECK_EQ(regs.gpr[ABI_RDI], DATA + 4);
    CHECK_EQ(regs.gpr[ABI_RCX], 96);
    regs.gpr[ABI_RAX] = 'b';
    regs.gpr[ABI_RDI] = DATA;
    CHECK_EQ(step("f2ae"), EMUL_DONE);
    CHECK_EQ(regs.gpr[ABI_RDI], DATA + 4);
}

TEST(ins_and_outs)
{
    start_64();
    regs.gpr[ABI_RDX] = 0x3f8;
    regs.gpr[ABI_RDI] = DATA;
    regs.gpr[ABI_RCX] = 2;
    CHECK_EQ(step("f3666d"), EMUL_DONE); /* REP INSW */
    check_access(0, 'i', 0x3f8, 2, 0);
    CHECK_EQ(peek(DATA, 4), 0x33023301);
    regs.gpr[ABI_RSI] = DATA;
    CHECK_EQ(step("486f"), EMUL_DONE); /* OUTS with REX.W is OUTSD */
    check_access(2, 'o', 0x3f8, 4, 0x33023301);
    CHECK_EQ(regs.gpr[ABI_RSI], DATA + 4);
}

TEST(no_port_is_read_when_the_memory_faults)
{
    start_64();
    poke(pte_of(DATA), DATA | 5, 8); /* read-only */
    regs.gpr[ABI_RDI] = DATA;
    step("6c");
    check_fault(VECTOR_PF, PF_PRESENT | PF_WRITE);
    CHECK_EQ(machine_logged, 0);
}

static void start_user_io(void)
{
    start_64();
    regs.cpl = 3;
    regs.gpr[ABI_RDX] = 0x71;
    regs.gpr[ABI_RSI] = DATA;
    regs.tr = (struct abi_segment){0x40, 0x8b, 0x7f, TSS};
    poke(TSS + 102, 104, 2);
    poke(pte_of(TSS), TSS | 3, 8);
}

TEST(port_rights_of_user_programs)
{
    start_user_io(); /* bit 71h is in byte 104 + 14 */
    CHECK_EQ(step("6e"), EMUL_DONE);
    poke(TSS + 104 + 14, 2, 1);
    step("6e");
    check_fault(VECTOR_GP, 0);
    CHECK_EQ(machine_logged, 1);

    start_user_io();
    poke(TSS + 104 + 15, 1, 1); /* a word at 77h reaches 78h */
    regs.gpr[ABI_RDX] = 0x77;
    CHECK_EQ(step("6e"), EMUL_DONE);
    step("666f");
    check_fault(VECTOR_GP, 0);

    start_user_io(); /* beyond the limit */
    regs.gpr[ABI_RDX] = 0x3f8;
    step("6e");
    check_fault(VECTOR_GP, 0);
    regs.rflags |= RFLAGS_IOPL;
    CHECK_EQ(step("6e"), EMUL_DONE);
}

TEST(push_of_mmio_reads_it_only_if_the_stack_is_there)
{
    start_64();
    regs.gpr[ABI_RBX] = MMIO;
    CHECK_EQ(step("ff33"), EMUL_DONE);
    CHECK_EQ(regs.gpr[ABI_RSP], STACK - 8);
    CHECK_EQ(peek(STACK - 8, 8), machine_mmio_value);
    poke(pte_of(STACK - 16), 0, 8);
    step("ff33");
    check_fault(VECTOR_PF, PF_WRITE);
    CHECK_EQ(regs.cr2, STACK - 16);
    CHECK_EQ(regs.gpr[ABI_RSP], STACK - 8);
    CHECK_EQ(machine_logged, 1);
}

TEST(pop_counts_its_address_with_the_new_rsp)
{
    start_64();
    poke(STACK, 0x1234, 8);
    CHECK_EQ(step("8f0424"), EMUL_DONE); /* POP [RSP] */
    CHECK_EQ(peek(STACK + 8, 8), 0x1234);
    CHECK_EQ(regs.gpr[ABI_RSP], STACK + 8);
}

TEST(call_through_mmio)
{
    start_64();
    machine_mmio_value = 0x12340;
    regs.gpr[ABI_RBX] = MMIO;
    CHECK_EQ(step("ff13"), EMUL_DONE);
    CHECK_EQ(regs.rip, 0x12340);
    CHECK_EQ(peek(STACK - 8, 8), CODE + 2);
    machine_mmio_value = 1ull << 62;
    step("ff13");
    check_fault(VECTOR_GP, 0);
    CHECK_EQ(regs.gpr[ABI_RSP], STACK - 8);
}

TEST(lock_where_it_may_not_be)
{
    static const char *const bad[] = {"f08b03",   "f08903", "f001d8",   "f03903",
                                      "f0833b00", "f0a4",   "f00fa303", "f0f603ff"};
    static const char *const good[] = {"f00103", "f04883030f", "f00fb10b", "f00fc10b", "f08703", "f0ff03", "f0f71b"};

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        start_64();
        regs.gpr[ABI_RBX] = DATA;
        step(bad[i]);
        check_fault(VECTOR_UD, -1);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(good); i++) {
        start_64();
        regs.gpr[ABI_RBX] = DATA;
        CHECK_EQ(step(good[i]), EMUL_DONE);
    }
}

TEST(movbe)
{
    start_64();
    regs.gpr[ABI_RBX] = MMIO;
    CHECK_EQ(step("0f38f003"), EMUL_DONE);
    CHECK_EQ(regs.gpr[ABI_RAX], 0x11223344);
    CHECK_EQ(step("660f38f103"), EMUL_DONE);
    check_access(1, 'w', MMIO, 2, 0x4433);
}

TEST(cmpxchg_leaves_rax_alone_if_it_succeeds)
{
    start_64();
    regs.gpr[ABI_RBX] = DATA;
    regs.gpr[ABI_RAX] = 0xaaaaaaaa00000005;
    regs.gpr[ABI_RCX] = 7;
    poke(DATA, 5, 8);
    CHECK_EQ(step("f00fb10b"), EMUL_DONE);
    CHECK_EQ(peek(DATA, 8), 7);
    CHECK_EQ(regs.gpr[ABI_RAX], 0xaaaaaaaa00000005);
    CHECK(regs.rflags & RFLAGS_ZF);
    CHECK_EQ(step("f00fb10b"), EMUL_DONE);
    CHECK_EQ(regs.gpr[ABI_RAX], 7);
}

TEST(what_is_not_emulated_changes_nothing)
{
    static const char *const others[] = {"660ffe03", "0f5803", "c5fc5803", "62f17c481003", "d903",
                                         "0fae03",   "cf",     "cc",       "0f013b",       "0fa2"};
    struct abi_regs before;
    char text[100];

    for (unsigned i = 0; i < ARRAY_SIZE(others); i++) {
        start_64();
        regs.gpr[ABI_RBX] = MMIO;
        before = regs;
        CHECK_EQ(step(others[i]), EMUL_UNHANDLED);
        CHECK(result.reason != NULL);
        CHECK(memcmp(&before, &regs, sizeof(regs)) == 0);
        CHECK_EQ(machine_logged, 0);
    }
    start_64();
    step("0f5803");
    emul_describe(&result, text, sizeof(text));
    CHECK_STR(text, "MMX or SSE instruction that does more than to move at rip 0x10000, bytes 0f 58 03");
}

#define INCREMENTS 100000

static void *increment(void *arg)
{
    struct abi_regs mine = *(struct abi_regs *)arg;
    static const uint8_t locked_inc[] = {0xf0, 0xff, 0x03}, xadd[] = {0xf0, 0x0f, 0xc1, 0x0b};
    struct emul_result r;

    for (unsigned i = 0; i < INCREMENTS; i++) {
        mine.gpr[ABI_RCX] = 1;
        if (emul_step(&machine_ops, NULL, &mine, i & 1 ? locked_inc : xadd, i & 1 ? 3 : 4, &r) != EMUL_DONE)
            i--; /* EMUL_AGAIN: it lost too often */
    }
    return NULL;
}

/* In the middle of an 8-byte word, beside bytes that nobody may touch. */
TEST(locked_operations_on_ram_are_atomic)
{
    pthread_t threads[2];

    start_64();
    poke(DATA, 0x1100000000000022, 8);
    regs.gpr[ABI_RBX] = DATA + 2;
    for (unsigned i = 0; i < 2; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, increment, &regs), 0);
    for (unsigned i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQ(peek(DATA + 2, 4), 2 * INCREMENTS);
    CHECK_EQ(peek(DATA, 2), 0x22);
    CHECK_EQ(peek(DATA + 6, 2), 0x1100);
}
