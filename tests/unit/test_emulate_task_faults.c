/* Task switches that end in exceptions, in the old task's context or in the new one's. */
// links: user/emul/decode.c user/emul/tables.c user/emul/alu.c user/emul/memory.c user/emul/operands.c
// links: user/emul/walk.c user/emul/stack.c user/emul/one_byte.c user/emul/group.c user/emul/two_byte.c
// links: user/emul/vector.c user/emul/watch.c user/emul/coverage.c user/emul/bits.c user/emul/frame.c
// links: user/emul/segment.c user/emul/gate.c
// links: user/emul/system.c
// links: user/emul/string.c user/emul/io.c user/emul/step.c user/emul/task.c user/emul/descriptor.c lib/format.c
#include "tests/unit/task_machine.h"

/* ---- The old task goes on: nothing but CR2 may have changed */

static struct abi_regs before;
static uint8_t ram_before[sizeof(machine_ram)];

static void check_untouched(unsigned vector, int64_t error_code)
{
    check_fault(vector, error_code);
    CHECK(!result.switched);
    before.cr2 = regs.cr2;
    CHECK_EQ(memcmp(&before, &regs, sizeof(regs)), 0);
    CHECK_EQ(memcmp(ram_before, machine_ram, sizeof(machine_ram)), 0);
}

static void remember(void)
{
    before = regs;
    memcpy(ram_before, machine_ram, sizeof(machine_ram));
}

/* SDM Vol. 3, table 8-1: of a bad TSS selector or type, IRET makes #TS, the others #GP. */
TEST(the_new_tss)
{
    static const struct {
        uint16_t attr, limit;
        uint8_t source, vector;
    } cases[] = {
        {0x8b, 0x67, ABI_TASK_JMP, VECTOR_GP},  /* busy */
        {0x8b, 0x67, ABI_TASK_CALL, VECTOR_GP}, /* busy */
        {0x8b, 0x67, ABI_TASK_GATE, VECTOR_GP}, /* busy */
        {0x83, 0x2b, ABI_TASK_JMP, VECTOR_GP},  /* busy, 16 bits */
        {0x89, 0x67, ABI_TASK_IRET, VECTOR_TS}, /* not busy */
        {0x82, 0x67, ABI_TASK_JMP, VECTOR_GP},  /* an LDT */
        {0x8c, 0x67, ABI_TASK_JMP, VECTOR_GP},  /* a call gate */
        {0x9b, 0x67, ABI_TASK_IRET, VECTOR_TS}, /* code */
        {0x09, 0x67, ABI_TASK_JMP, VECTOR_NP},  /* not present */
        {0x0b, 0x67, ABI_TASK_IRET, VECTOR_NP}, /* not present */
        {0x89, 0x66, ABI_TASK_JMP, VECTOR_TS},  /* too short */
        {0x81, 0x2a, ABI_TASK_CALL, VECTOR_TS}, /* too short */
        {0x8b, 0x66, ABI_TASK_IRET, VECTOR_TS}, /* too short */
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        start_tasks();
        poke_descriptor(GDT, SEL_NEW, NEW_TSS, cases[i].limit, cases[i].attr);
        remember();
        switch_by(cases[i].source);
        check_untouched(cases[i].vector, SEL_NEW | (cases[i].source == ABI_TASK_GATE));
    }
}

TEST(the_new_tss_selector)
{
    static const struct {
        uint16_t selector;
        uint8_t source, vector;
        uint32_t code;
    } cases[] = {
        {0, ABI_TASK_JMP, VECTOR_GP, 0},
        {3, ABI_TASK_IRET, VECTOR_TS, 0},
        {SEL_NEW | 4, ABI_TASK_JMP, VECTOR_GP, SEL_NEW | 4}, /* in the LDT */
        {SEL_NEW | 7, ABI_TASK_IRET, VECTOR_TS, SEL_NEW | 4},
        {GDT_LIMIT + 1, ABI_TASK_JMP, VECTOR_GP, GDT_LIMIT + 1},
        {0xfffb, ABI_TASK_IRET, VECTOR_TS, 0xfff8},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        start_tasks();
        remember();
        switch_task((struct abi_task_switch){.selector = cases[i].selector, .source = cases[i].source, .length = 7});
        check_untouched(cases[i].vector, cases[i].code);
    }
    start_tasks();
    regs.gdtr.limit = SEL_NEW + 6;
    remember();
    switch_by(ABI_TASK_JMP);
    check_untouched(VECTOR_GP, SEL_NEW);
    start_tasks(); /* RPL is no affair of a task switch's */
    CHECK_EQ(switch_task((struct abi_task_switch){.selector = SEL_NEW | 3, .source = ABI_TASK_JMP}), EMUL_DONE);
    CHECK_EQ(regs.tr.selector, SEL_NEW | 3);
}

TEST(an_old_tss_that_is_too_short)
{
    start_tasks();
    regs.tr.limit = 0x5e;
    remember();
    switch_by(ABI_TASK_JMP);
    check_untouched(VECTOR_TS, SEL_OLD);
    regs.tr.limit = 0x5f;
    CHECK_EQ(switch_by(ABI_TASK_JMP), EMUL_DONE);
    start_tasks();
    regs.tr.attr = 0x83;
    regs.tr.limit = 0x28;
    remember();
    switch_by(ABI_TASK_JMP);
    check_untouched(VECTOR_TS, SEL_OLD);
}

TEST(modes_without_tasks)
{
    start_tasks();
    regs.cr0 = 0;
    CHECK_EQ(switch_by(ABI_TASK_JMP), EMUL_UNHANDLED);
    CHECK(result.reason != NULL);
    start_tasks();
    regs.efer = EFER_LMA;
    CHECK_EQ(switch_by(ABI_TASK_JMP), EMUL_UNHANDLED);
}

/* ---- Faults in the new task (SDM Vol. 3, table 8-1) */

TEST(segments_of_the_new_task)
{
    static const struct {
        uint16_t field, selector, attr; /* attr of the descriptor SEL_TEST; 0: there is none */
        uint8_t vector;
        uint16_t code;
    } cases[] = {
        {T32_LDT, SEL_LDT | 4, 0, VECTOR_TS, SEL_LDT | 4}, /* an LDT in the LDT */
        {T32_LDT, 0x50, 0, VECTOR_TS, 0x50},               /* beyond the limit */
        {T32_LDT, SEL_DATA, 0, VECTOR_TS, SEL_DATA},       /* no LDT */
        {T32_LDT, SEL_TEST, 0x02, VECTOR_TS, SEL_TEST},    /* not present */
        {T32_CS, 0, 0, VECTOR_TS, 0},
        {T32_CS, SEL_IN_LDT, 0, VECTOR_TS, SEL_IN_LDT}, /* there is no LDT */
        {T32_CS, 0x50, 0, VECTOR_TS, 0x50},             /* beyond the limit */
        {T32_CS, SEL_DATA, 0, VECTOR_TS, SEL_DATA},     /* data */
        {T32_CS, SEL_NEW, 0, VECTOR_TS, SEL_NEW},       /* a system segment */
        {T32_CS, SEL_CODE | 3, 0, VECTOR_TS, SEL_CODE}, /* DPL 0, RPL 3 */
        {T32_CS, SEL_TEST, 0xcfe, VECTOR_TS, SEL_TEST}, /* conforming: DPL 3 > RPL 0 */
        {T32_CS, SEL_TEST, 0xc1a, VECTOR_NP, SEL_TEST}, /* not present */
        {T32_SS, 0, 0, VECTOR_TS, 0},
        {T32_SS, SEL_CODE, 0, VECTOR_TS, SEL_CODE},     /* code */
        {T32_SS, SEL_TEST, 0xc90, VECTOR_TS, SEL_TEST}, /* read-only */
        {T32_SS, SEL_TEST, 0xcf2, VECTOR_TS, SEL_TEST}, /* DPL 3, CPL 0 */
        {T32_SS, SEL_DATA | 3, 0, VECTOR_TS, SEL_DATA}, /* RPL 3, CPL 0 */
        {T32_SS, SEL_TEST, 0xc12, VECTOR_SS, SEL_TEST}, /* not present */
        {T32_SS, 0x50, 0, VECTOR_TS, 0x50},             /* beyond the limit */
        {T32_DS, SEL_TEST, 0xc98, VECTOR_TS, SEL_TEST}, /* execute-only */
        {T32_ES, SEL_TEST, 0xc12, VECTOR_NP, SEL_TEST}, /* not present */
        {T32_FS, SEL_DATA | 3, 0, VECTOR_TS, SEL_DATA}, /* DPL 0, RPL 3 */
        {T32_GS, 0x50, 0, VECTOR_TS, 0x50},             /* beyond the limit */
        {T32_GS, SEL_OLD, 0, VECTOR_TS, SEL_OLD},       /* a system segment */
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        start_tasks();
        if (cases[i].attr)
            poke_descriptor(GDT, SEL_TEST, 0, 0xfffff, cases[i].attr);
        set_new(cases[i].field, cases[i].selector);
        switch_by(ABI_TASK_JMP);
        check_new_task(cases[i].vector, cases[i].code);
        CHECK_EQ(cases[i].field == T32_LDT ? regs.ldtr.attr : 0, 0);
        if (cases[i].field < T32_LDT && cases[i].field != T32_CS) {
            CHECK_EQ(regs.seg[(cases[i].field - T32_ES) / 4].selector, cases[i].selector);
            CHECK_EQ(regs.seg[(cases[i].field - T32_ES) / 4].attr, 0);
        }
    }
}

TEST(segments_that_are_good_enough)
{
    static const struct {
        uint16_t field, selector, attr;
    } cases[] = {
        {T32_CS, SEL_TEST, 0xc9e},     /* conforming, DPL 0 */
        {T32_DS, SEL_TEST, 0xc9a},     /* readable code */
        {T32_DS, SEL_TEST | 3, 0xc9e}, /* conforming code, any RPL */
        {T32_DS, SEL_TEST, 0xc90},     /* read-only */
        {T32_DS, SEL_TEST | 3, 0xcf2}, /* DPL 3 */
        {T32_SS, SEL_TEST, 0xc96},     /* expand-down */
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        start_tasks();
        poke_descriptor(GDT, SEL_TEST, 0, 0xfffff, cases[i].attr);
        set_new(cases[i].field, cases[i].selector);
        CHECK_EQ(switch_by(ABI_TASK_JMP), EMUL_DONE);
        CHECK_EQ(regs.seg[(cases[i].field - T32_ES) / 4].attr, cases[i].attr | 1);
    }
}

/* CS is loaded before SS, SS before the others: SDM Vol. 3, table 8-1. */
TEST(the_first_fault_counts)
{
    start_tasks();
    set_new(T32_LDT, SEL_DATA);
    set_new(T32_CS, 0);
    switch_by(ABI_TASK_JMP);
    check_new_task(VECTOR_TS, SEL_DATA);
    start_tasks();
    set_new(T32_CS, SEL_CODE | 3);
    set_new(T32_SS, SEL_NEW);
    switch_by(ABI_TASK_JMP);
    check_new_task(VECTOR_TS, SEL_CODE);
    CHECK_EQ(regs.cpl, 3);
    CHECK_EQ(regs.seg[ABI_CS].attr, 0xfb);
    start_tasks();
    set_new(T32_SS, SEL_NEW);
    set_new(T32_ES, SEL_OLD);
    switch_by(ABI_TASK_JMP);
    check_new_task(VECTOR_TS, SEL_NEW);
    CHECK_EQ(regs.seg[ABI_CS].attr, 0xc9b);
}

TEST(eip_beyond_the_limit)
{
    start_tasks();
    poke_descriptor(GDT, SEL_CODE, 0, CODE + 0xff, 0x49a);
    switch_by(ABI_TASK_JMP);
    check_new_task(VECTOR_GP, 0);
    start_tasks();
    poke_descriptor(GDT, SEL_CODE, 0, CODE + 0x100, 0x49a);
    CHECK_EQ(switch_by(ABI_TASK_JMP), EMUL_DONE);
}

TEST(no_room_for_the_error_code)
{
    start_tasks();
    poke_descriptor(GDT, SEL_DATA, 0, STACK - 2, 0x492);
    switch_by_event(3, 17, 0); /* #AC is benign */
    check_fault(VECTOR_SS, 1);
    CHECK(result.switched);
    CHECK_EQ(regs.gpr[ABI_RSP], STACK);
}

/* ---- Faults in the delivery of something (SDM Vol. 3, 7.13 and table 7-5) */

TEST(external_events_set_ext)
{
    static const uint8_t external[] = {1, 0, 1, 1, 0, 1, 0}; /* by type; 1 is none */

    for (uint8_t type = 0; type < ARRAY_SIZE(external); type++) {
        start_tasks();
        poke_descriptor(GDT, SEL_NEW, NEW_TSS, 0x67, 0x09);
        switch_by_event(type, 1, -1);
        if (type != 1)
            check_fault(VECTOR_NP, SEL_NEW | external[type]);
    }
}

TEST(double_faults)
{
    static const struct {
        uint8_t type, vector;
        bool is_double;
    } cases[] = {{3, 0, true},   {3, 1, false},  {3, 6, false}, {3, 7, false}, {3, 9, false},  {3, 10, true},
                 {3, 11, true},  {3, 12, true},  {3, 13, true}, {3, 14, true}, {3, 16, false}, {3, 17, false},
                 {0, 13, false}, {4, 13, false}, {2, 2, false}, {6, 3, false}};

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        for (unsigned in_new = 0; in_new < 2; in_new++) {
            start_tasks();
            if (in_new)
                set_new(T32_SS, SEL_OLD);
            else
                poke_descriptor(GDT, SEL_NEW, NEW_TSS, 0x67, 0x8b);
            switch_by_event(cases[i].type, cases[i].vector, -1);
            CHECK_EQ(result.status, EMUL_FAULT);
            CHECK_EQ(result.switched, in_new);
            CHECK_EQ(result.vector, cases[i].is_double ? VECTOR_DF : in_new ? VECTOR_TS : VECTOR_GP);
            CHECK(result.has_error_code);
            CHECK_EQ(result.error_code == 0, cases[i].is_double);
            CHECK(!result.shutdown);
        }
    }
    start_tasks();
    set_new(T32_SS, SEL_OLD);
    switch_by_event(3, VECTOR_DF, 0);
    CHECK(result.shutdown);
}

/* A misaligned stack of a user task's: #AC is benign. */
TEST(no_double_fault_by_ac)
{
    start_tasks();
    set_new(T32_CS, SEL_USER_CODE);
    for (unsigned i = T32_ES; i <= T32_GS; i += i == T32_ES ? 8 : 4)
        set_new(i, SEL_USER_DATA);
    set_new(T32_EFLAGS, 2 | (uint32_t)RFLAGS_AC);
    set_new(T32_ESP, STACK + 1);
    regs.cr0 |= CR0_AM;
    switch_by_event(3, VECTOR_DF, 0);
    check_fault(VECTOR_AC, 0);
    CHECK(result.switched);
    CHECK(!result.shutdown);
}
