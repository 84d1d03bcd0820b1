/* Task switches that go well: what is saved, what is loaded, flags and descriptors, for each source and width. */
// links: user/emul/decode.c user/emul/tables.c user/emul/alu.c user/emul/memory.c user/emul/operands.c
// links: user/emul/walk.c user/emul/stack.c user/emul/one_byte.c user/emul/group.c user/emul/two_byte.c
// links: user/emul/vector.c user/emul/watch.c user/emul/coverage.c user/emul/bits.c user/emul/frame.c
// links: user/emul/segment.c user/emul/gate.c
// links: user/emul/system.c
// links: user/emul/string.c user/emul/io.c user/emul/step.c user/emul/task.c user/emul/descriptor.c lib/format.c
#include "tests/unit/task_machine.h"

static uint64_t old(unsigned offset, unsigned size)
{
    return peek(OLD_TSS + offset, size);
}

TEST(jmp_saves_the_old_task)
{
    start_tasks();
    regs.rflags = 0x246;
    memset(machine_ram + OLD_TSS, 0xee, 0x68);
    CHECK_EQ(switch_by(ABI_TASK_JMP), EMUL_DONE);
    CHECK(result.switched);
    CHECK_EQ(old(T32_EIP, 4), CODE + 7);
    CHECK_EQ(old(T32_EFLAGS, 4), 0x246);
    for (unsigned i = 0; i < 8; i++)
        CHECK_EQ(old(T32_EAX + 4 * i, 4), 0x100 + i);
    for (unsigned i = 0; i < ABI_SEGS; i++)
        CHECK_EQ(old(T32_ES + 4 * i, 2), 0x1000 + 8 * i);
    /* Not written: link, stacks, CR3, LDT, T, I/O map (8.2.1). */
    for (unsigned i = 0; i < T32_EIP; i++)
        CHECK_EQ(old(i, 1), 0xee);
    CHECK_EQ(old(T32_LDT, 4), 0xeeeeeeee);
    CHECK_EQ(old(T32_TRAP, 4), 0xeeeeeeee);
}

TEST(jmp_loads_the_new_task)
{
    start_tasks();
    set_new(T32_LDT, SEL_LDT);
    set_new(T32_DS, SEL_IN_LDT);
    set_new(T32_GS, 3); /* null */
    CHECK_EQ(switch_by(ABI_TASK_JMP), EMUL_DONE);
    CHECK_EQ(regs.rip, CODE + 0x100);
    CHECK_EQ(regs.rflags, 0x202);
    for (unsigned i = 0; i < 8; i++)
        CHECK_EQ(regs.gpr[i], i == ABI_RSP ? STACK : 0x200 + i);
    CHECK_EQ(regs.tr.selector, SEL_NEW);
    CHECK_EQ(regs.tr.base, NEW_TSS);
    CHECK_EQ(regs.tr.limit, 0x67);
    CHECK_EQ(regs.tr.attr, 0x8b);
    CHECK_EQ(regs.ldtr.selector, SEL_LDT);
    CHECK_EQ(regs.ldtr.base, LDT);
    CHECK_EQ(regs.ldtr.limit, 0xf);
    CHECK_EQ(regs.ldtr.attr, 0x82);
    CHECK_EQ(regs.seg[ABI_CS].selector, SEL_CODE);
    CHECK_EQ(regs.seg[ABI_CS].attr, 0xc9b);
    CHECK_EQ(regs.seg[ABI_CS].limit, 0xffffffff);
    CHECK_EQ(regs.seg[ABI_SS].attr, 0xc93);
    CHECK_EQ(regs.seg[ABI_DS].selector, SEL_IN_LDT);
    CHECK_EQ(regs.seg[ABI_DS].base, DATA);
    CHECK_EQ(regs.seg[ABI_DS].limit, 0xfff);
    CHECK_EQ(regs.seg[ABI_GS].selector, 3);
    CHECK_EQ(regs.seg[ABI_GS].attr, 0);
    CHECK_EQ(regs.cpl, 0);
    CHECK_EQ(regs.cr0, CR0_PE | CR0_TS);
    CHECK_EQ(regs.cr3, 0); /* no paging */
    CHECK_EQ(peek(NEW_TSS + T32_LINK, 4), 0);
    /* What was loaded is marked as accessed. */
    CHECK_EQ(type_of(SEL_CODE), 0x9b);
    CHECK_EQ(type_of(SEL_DATA), 0x93);
    CHECK_EQ(type_of(SEL_USER_DATA), 0xf2);
    CHECK_EQ(peek(LDT + 8 + 5, 1), 0x93);
}

/* SDM Vol. 3, table 8-2. */
TEST(busy_flags_nt_and_the_back_link)
{
    static const struct {
        uint8_t source, before, old_after, new_after;
        uint16_t link;
        bool new_nt, saved_nt;
    } cases[] = {
        {ABI_TASK_JMP, 0x89, 0x89, 0x8b, 0x5555, false, true},
        {ABI_TASK_CALL, 0x89, 0x8b, 0x8b, SEL_OLD, true, true},
        {ABI_TASK_GATE, 0x89, 0x8b, 0x8b, SEL_OLD, true, true},
        {ABI_TASK_IRET, 0x8b, 0x89, 0x8b, 0x5555, false, false},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        start_tasks();
        poke_descriptor(GDT, SEL_NEW, NEW_TSS, 0x67, cases[i].before);
        set_new(T32_LINK, 0xaaaa5555);
        regs.rflags |= RFLAGS_NT;
        CHECK_EQ(switch_by(cases[i].source), EMUL_DONE);
        CHECK_EQ(type_of(SEL_OLD), cases[i].old_after);
        CHECK_EQ(type_of(SEL_NEW), cases[i].new_after);
        CHECK_EQ(peek(NEW_TSS + T32_LINK, 4), 0xaaaa0000 | cases[i].link);
        CHECK_EQ(!!(regs.rflags & RFLAGS_NT), cases[i].new_nt);
        CHECK_EQ(!!(old(T32_EFLAGS, 4) & RFLAGS_NT), cases[i].saved_nt);
        CHECK_EQ(regs.tr.attr, 0x8b);
    }
}

/* An IRET finds NT in the flags of the task that it goes back to, if that is nested itself. */
TEST(iret_leaves_the_new_tasks_nt)
{
    start_tasks();
    poke_descriptor(GDT, SEL_NEW, NEW_TSS, 0x67, 0x8b);
    set_new(T32_EFLAGS, 0x4002);
    CHECK_EQ(switch_by(ABI_TASK_IRET), EMUL_DONE);
    CHECK_EQ(regs.rflags, 0x4002);
}

TEST(reserved_flags_are_not_loaded)
{
    start_tasks();
    set_new(T32_EFLAGS, 0xffffffff & ~(uint32_t)RFLAGS_VM);
    CHECK_EQ(switch_by(ABI_TASK_JMP), EMUL_DONE);
    CHECK_EQ(regs.rflags, 0x3d7fd7);
}

/* Only an instruction has something to be skipped. */
TEST(the_saved_eip)
{
    static const struct {
        uint8_t type;
        uint64_t eip;
    } cases[] = {{0, CODE}, {2, CODE}, {3, CODE}, {4, CODE + 2}, {5, CODE + 2}, {6, CODE + 2}};

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        start_tasks();
        CHECK_EQ(switch_by_event(cases[i].type, 3, -1), EMUL_DONE);
        CHECK_EQ(old(T32_EIP, 4), cases[i].eip);
        CHECK_EQ(regs.gpr[ABI_RSP], STACK);
    }
}

TEST(an_error_code_is_on_the_new_stack)
{
    start_tasks();
    CHECK_EQ(switch_by_event(3, VECTOR_GP, 0x1234), EMUL_DONE);
    CHECK_EQ(regs.gpr[ABI_RSP], STACK - 4);
    CHECK_EQ(peek(STACK - 4, 4), 0x1234);

    start_tasks(); /* of 16 bits on a stack of 16 */
    poke_descriptor(GDT, SEL_NEW, NEW_TSS, 0x2b, 0x81);
    poke_descriptor(GDT, SEL_TEST, DATA, 0xffff, 0x92);
    poke(NEW_TSS + T16_IP, 0x10, 2);
    poke(NEW_TSS + T16_FLAGS, 2, 2);
    poke(NEW_TSS + T16_SP, 0, 2);
    poke(NEW_TSS + T16_CS, SEL_CODE, 2);
    poke(NEW_TSS + T16_SS, SEL_TEST, 2);
    poke(NEW_TSS + T16_ES, 0, 2);
    poke(NEW_TSS + T16_DS, 0, 2);
    poke(NEW_TSS + T16_LDT, 0, 2);
    CHECK_EQ(switch_by_event(3, VECTOR_GP, 0x1234), EMUL_DONE);
    CHECK_EQ(regs.gpr[ABI_RSP], 0xfffe);
    CHECK_EQ(peek(DATA + 0xfffe, 2), 0x1234);
}

TEST(to_a_16_bit_tss)
{
    start_tasks();
    regs.cr0 |= CR0_TS;
    poke_descriptor(GDT, SEL_NEW, NEW_TSS, 0x2b, 0x81);
    memset(machine_ram + NEW_TSS, 0, 0x68);
    poke(NEW_TSS + T16_IP, 0x4321, 2);
    poke(NEW_TSS + T16_FLAGS, 0x8246, 2);
    for (unsigned i = 0; i < 8; i++)
        poke(NEW_TSS + T16_AX + 2 * i, 0x300 + i, 2);
    poke(NEW_TSS + T16_ES, SEL_DATA, 2);
    poke(NEW_TSS + T16_CS, SEL_CODE, 2);
    poke(NEW_TSS + T16_SS, SEL_DATA, 2);
    poke(NEW_TSS + T16_DS, SEL_IN_LDT, 2);
    poke(NEW_TSS + T16_LDT, SEL_LDT, 2);
    CHECK_EQ(switch_by(ABI_TASK_CALL), EMUL_DONE);
    CHECK_EQ(regs.rip, 0x4321);
    CHECK_EQ(regs.rflags, 0x4246); /* NT */
    for (unsigned i = 0; i < 8; i++)
        CHECK_EQ(regs.gpr[i], 0x300 + i);
    CHECK_EQ(regs.seg[ABI_DS].base, DATA);
    CHECK_EQ(regs.seg[ABI_FS].selector, 0); /* it has none */
    CHECK_EQ(regs.seg[ABI_GS].attr, 0);
    CHECK_EQ(regs.tr.attr, 0x83);
    CHECK_EQ(type_of(SEL_NEW), 0x83);
    CHECK_EQ(peek(NEW_TSS, 2), SEL_OLD);
    CHECK_EQ(old(T32_EDI, 4), 0x107);
}

TEST(from_a_16_bit_tss)
{
    start_tasks();
    regs.tr.limit = 0x2b;
    regs.tr.attr = 0x83;
    poke_descriptor(GDT, SEL_OLD, OLD_TSS, 0x2b, 0x83);
    memset(machine_ram + OLD_TSS, 0xee, 0x68);
    CHECK_EQ(switch_by(ABI_TASK_JMP), EMUL_DONE);
    CHECK_EQ(old(T16_IP, 2), (CODE + 7) & 0xffff);
    CHECK_EQ(old(T16_FLAGS, 2), 2);
    CHECK_EQ(old(T16_AX, 2), 0x100);
    CHECK_EQ(old(T16_DI, 2), 0x107);
    CHECK_EQ(old(T16_ES, 2), 0x1000);
    CHECK_EQ(old(T16_DS, 2), 0x1018);
    CHECK_EQ(old(T16_LDT, 2), 0xeeee);
    CHECK_EQ(old(12, 2), 0xeeee);
    CHECK_EQ(type_of(SEL_OLD), 0x81);
    CHECK_EQ(regs.gpr[ABI_RDI], 0x207);
}

TEST(to_a_user_task)
{
    static const unsigned data[] = {T32_ES, T32_SS, T32_DS, T32_FS, T32_GS};

    start_tasks();
    set_new(T32_CS, SEL_USER_CODE);
    for (unsigned i = 0; i < ARRAY_SIZE(data); i++)
        set_new(data[i], SEL_USER_DATA);
    CHECK_EQ(switch_by(ABI_TASK_JMP), EMUL_DONE);
    CHECK_EQ(regs.cpl, 3);
    CHECK_EQ(regs.seg[ABI_CS].attr, 0xcfb);
    CHECK_EQ(regs.seg[ABI_SS].attr, 0xcf3);
}

/* SDM Vol. 3, 21.2: no descriptors, CPL 3. */
TEST(to_virtual_8086_mode)
{
    start_tasks();
    set_new(T32_EFLAGS, 0x20202);
    set_new(T32_EIP, 0x100);
    set_new(T32_CS, 0x1234);
    set_new(T32_SS, 0x8000);
    set_new(T32_FS, 0);
    set_new(T32_LDT, SEL_LDT);
    CHECK_EQ(switch_by(ABI_TASK_JMP), EMUL_DONE);
    CHECK_EQ(regs.cpl, 3);
    CHECK_EQ(regs.rflags, 0x20202);
    CHECK_EQ(regs.seg[ABI_CS].selector, 0x1234);
    CHECK_EQ(regs.seg[ABI_CS].base, 0x12340);
    for (unsigned i = 0; i < ABI_SEGS; i++) {
        CHECK_EQ(regs.seg[i].attr, 0xf3);
        CHECK_EQ(regs.seg[i].limit, 0xffff);
    }
    CHECK_EQ(regs.seg[ABI_FS].base, 0);
    CHECK_EQ(regs.ldtr.base, LDT);
    set_new(T32_EIP, 0x10000);
    poke_descriptor(GDT, SEL_NEW, NEW_TSS, 0x67, 0x89);
    regs.tr.selector = SEL_OLD;
    regs.tr.base = OLD_TSS;
    switch_by(ABI_TASK_JMP);
    check_fault(VECTOR_GP, 0);
}

TEST(the_t_flag)
{
    start_tasks();
    CHECK_EQ(switch_by(ABI_TASK_JMP), EMUL_DONE);
    CHECK(!result.new_task_trap);
    start_tasks();
    set_new(T32_TRAP, 0x00680001);
    CHECK_EQ(switch_by(ABI_TASK_JMP), EMUL_DONE);
    CHECK(result.new_task_trap);
    start_tasks();
    set_new(T32_TRAP, 0x0068fffe); /* the other bits mean nothing */
    CHECK_EQ(switch_by(ABI_TASK_JMP), EMUL_DONE);
    CHECK(!result.new_task_trap);
}
