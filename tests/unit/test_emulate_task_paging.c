/* Task switches with paging, and from memory that holds anything. */
// links: user/emul/decode.c user/emul/tables.c user/emul/alu.c user/emul/memory.c user/emul/operands.c
// links: user/emul/walk.c user/emul/stack.c user/emul/one_byte.c user/emul/group.c user/emul/two_byte.c
// links: user/emul/vector.c user/emul/watch.c user/emul/coverage.c user/emul/bits.c user/emul/frame.c
// links: user/emul/segment.c user/emul/gate.c
// links: user/emul/system.c
// links: user/emul/string.c user/emul/io.c user/emul/step.c user/emul/task.c user/emul/descriptor.c lib/format.c
#include "tests/unit/task_machine.h"

/* ---- Paging: 4 KiB pages, all of RAM as it is; the new task has tables of its own at NEW_TABLES */

#define NEW_TABLES 0x2000u

static void make_tables(uint32_t at)
{
    poke(at, (at + 0x1000) | 7, 4);
    for (uint32_t i = 0; i < RAM_PAGES; i++)
        poke(at + 0x1000 + 4 * i, i << 12 | 3, 4);
}

static void start_paging(void)
{
    start_tasks();
    make_tables(TABLES);
    make_tables(NEW_TABLES);
    regs.cr3 = TABLES;
    regs.cr0 |= CR0_PG | CR0_WP;
    set_new(T32_CR3, NEW_TABLES);
}

static void set_page(uint32_t tables, uint32_t linear, uint32_t entry)
{
    poke(tables + 0x1000 + linear / 4096 * 4, entry, 4);
}

/* The TSS is read, and the GDT written, by the old tables; the new task's descriptors come from the new ones. */
TEST(cr3_is_loaded)
{
    start_paging();
    memcpy(machine_ram + DATA, machine_ram + GDT, 0x50);
    set_page(NEW_TABLES, GDT, DATA | 3);
    set_page(NEW_TABLES, NEW_TSS, 0);
    poke_descriptor(DATA, SEL_DATA, 0x12345678, 0xfffff, 0xc92);
    CHECK_EQ(switch_by(ABI_TASK_CALL), EMUL_DONE);
    CHECK_EQ(regs.cr3, NEW_TABLES);
    CHECK_EQ(regs.seg[ABI_DS].base, 0x12345678);
    CHECK_EQ(type_of(SEL_NEW), 0x8b);
    CHECK_EQ(type_of(SEL_DATA), 0x92); /* accessed in the other one */
    CHECK_EQ(peek(DATA + SEL_DATA + 5, 1), 0x93);
    CHECK_EQ(peek(DATA + SEL_NEW + 5, 1), 0x89);
}

TEST(a_16_bit_tss_has_no_cr3)
{
    start_paging();
    poke_descriptor(GDT, SEL_NEW, NEW_TSS, 0x2b, 0x81);
    switch_by(ABI_TASK_JMP);
    CHECK(result.switched);
    CHECK_EQ(regs.cr3, TABLES);
}

TEST(page_faults_of_the_old_task)
{
    static const struct {
        uint32_t page, entry, code, cr2;
        uint8_t source;
    } cases[] = {
        {NEW_TSS, 0, 0, NEW_TSS, ABI_TASK_JMP},
        {NEW_TSS, NEW_TSS | 1, PF_PRESENT | PF_WRITE, NEW_TSS, ABI_TASK_CALL}, /* for the back link */
        {OLD_TSS, OLD_TSS | 1, PF_PRESENT | PF_WRITE, OLD_TSS + T32_EIP, ABI_TASK_JMP},
        {OLD_TSS, 0, PF_WRITE, OLD_TSS + T32_EIP, ABI_TASK_JMP},
        {GDT, 0, 0, GDT + SEL_NEW, ABI_TASK_JMP},
        {GDT, GDT | 1, PF_PRESENT | PF_WRITE, GDT + SEL_OLD + 5, ABI_TASK_JMP},
        {GDT, GDT | 1, PF_PRESENT | PF_WRITE, GDT + SEL_NEW + 5, ABI_TASK_CALL},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        start_paging();
        regs.cpl = 3; /* the accesses are a supervisor's all the same */
        set_page(TABLES, cases[i].page, cases[i].entry);
        switch_by(cases[i].source);
        check_fault(VECTOR_PF, cases[i].code);
        CHECK(!result.switched);
        CHECK_EQ(regs.cr2, cases[i].cr2);
        CHECK_EQ(regs.tr.selector, SEL_OLD);
        CHECK_EQ(regs.cr3, TABLES);
        CHECK_EQ(type_of(SEL_OLD), 0x8b);
        CHECK_EQ(peek(OLD_TSS + T32_EIP, 4), 0);
    }
    start_paging(); /* JMP does not write the new TSS */
    set_page(TABLES, NEW_TSS, NEW_TSS | 1);
    CHECK_EQ(switch_by(ABI_TASK_JMP), EMUL_DONE);
}

TEST(page_faults_of_the_new_task)
{
    start_paging();
    set_page(NEW_TABLES, GDT, 0);
    switch_by(ABI_TASK_JMP);
    check_new_task(VECTOR_PF, 0);
    CHECK_EQ(regs.cr2, GDT + SEL_CODE);
    CHECK_EQ(regs.cr3, NEW_TABLES);
    start_paging();
    set_page(NEW_TABLES, GDT, GDT | 1); /* to mark CS as accessed */
    switch_by(ABI_TASK_JMP);
    check_new_task(VECTOR_PF, PF_PRESENT | PF_WRITE);
    CHECK_EQ(regs.cr2, GDT + SEL_CODE + 5);
    start_paging();
    poke_descriptor(GDT, SEL_CODE, 0, 0xfffff, 0xc9b);
    poke_descriptor(GDT, SEL_DATA, 0, 0xfffff, 0xc93);
    set_page(NEW_TABLES, GDT, GDT | 1); /* which they are already */
    CHECK_EQ(switch_by(ABI_TASK_JMP), EMUL_DONE);
    start_paging();
    set_page(NEW_TABLES, STACK - 4, 0);
    switch_by_event(3, 17, 0);
    check_fault(VECTOR_PF, PF_WRITE);
    CHECK(result.switched);
    CHECK_EQ(regs.cr2, STACK - 4);
    start_paging();
    set_page(NEW_TABLES, STACK - 4, 0);
    switch_by_event(3, VECTOR_PF, 2);
    check_fault(VECTOR_DF, 0);
    start_paging();
    set_page(NEW_TABLES, STACK - 4, 0);
    switch_by_event(3, VECTOR_GP, 2); /* first contributory, then #PF: no double fault */
    check_fault(VECTOR_PF, PF_WRITE);
}

/* Two pages that are no neighbours hold a TSS each. */
TEST(tsss_across_pages)
{
    start_paging();
    poke_descriptor(GDT, SEL_NEW, DATA + 0xff0 - 0x20, 0x67, 0x89);
    regs.tr.base = OLD_TSS + 0xffe - T32_EIP; /* in the middle of EIP */
    set_page(TABLES, DATA + 0x1000, STACK | 3);
    set_page(TABLES, OLD_TSS + 0x1000, 0x28000 | 3);
    memcpy(machine_ram + DATA + 0xff0 - 0x20, machine_ram + NEW_TSS, 0x30);
    memcpy(machine_ram + STACK, machine_ram + NEW_TSS + 0x30, 0x38);
    regs.rip = 0x12345678 - 7;
    CHECK_EQ(switch_by(ABI_TASK_CALL), EMUL_DONE);
    CHECK_EQ(regs.rip, CODE + 0x100);
    CHECK_EQ(regs.gpr[ABI_RDI], 0x207);
    CHECK_EQ(regs.seg[ABI_SS].selector, SEL_DATA);
    CHECK_EQ(peek(DATA + 0xff0 - 0x20, 2), SEL_OLD);
    CHECK_EQ(peek(OLD_TSS + 0xffe, 2), 0x5678);
    CHECK_EQ(peek(0x28000, 2), 0x1234);
    CHECK_EQ(peek(0x28002 + 4, 4), 0x100);

    start_paging();
    regs.tr.base = DATA + 0x1000 - T32_EFLAGS; /* in front of EFLAGS */
    set_page(TABLES, DATA + 0x1000, 0x28000 | 3);
    CHECK_EQ(switch_by(ABI_TASK_CALL), EMUL_DONE);
    CHECK_EQ(peek(DATA + 0xffc, 4), CODE + 7);
    CHECK_EQ(peek(0x28000, 4), 2);
    CHECK_EQ(peek(0x28004, 4), 0x100);
}

/* PDPTEs are loaded with CR3; what is reserved in them is #GP, and CR3 stays (SDM Vol. 3, 4.4.1). */
TEST(pae_paging)
{
    start_tasks();
    regs.cr0 |= CR0_PG;
    regs.cr4 |= CR4_PAE;
    regs.cr3 = TABLES;
    poke(TABLES, 0x1000 | 1, 8);
    poke(0x1000, 0x83, 8);
    set_new(T32_CR3, 0x2020);
    poke(0x2020, 0x1000 | 1, 8);
    poke(0x2028, 0x3000 | 1, 8);
    poke(0x2038, 0x1e6, 8); /* not present: nothing is reserved */
    CHECK_EQ(switch_by(ABI_TASK_JMP), EMUL_DONE);
    CHECK_EQ(regs.cr3, 0x2020);
    CHECK_EQ(result.pdpte[0], 0x1001);
    CHECK_EQ(result.pdpte[1], 0x3001);
    CHECK_EQ(result.pdpte[2], 0);
    CHECK_EQ(result.pdpte[3], 0x1e6);

    start_tasks();
    regs.cr0 |= CR0_PG;
    regs.cr4 |= CR4_PAE;
    regs.cr3 = TABLES;
    poke(TABLES, 0x1000 | 1, 8);
    poke(0x1000, 0x83, 8);
    set_new(T32_CR3, 0x2020);
    poke(0x2020, 0x1000 | 1, 8);
    poke(0x2030, 1ull << 40 | 1, 8); /* maxphyaddr is 40 */
    switch_by(ABI_TASK_JMP);
    check_new_task(VECTOR_GP, 0);
    CHECK_EQ(regs.cr3, TABLES);
    poke_descriptor(GDT, SEL_OLD, OLD_TSS, 0x67, 0x8b);
    poke_descriptor(GDT, SEL_NEW, NEW_TSS, 0x67, 0x89);
    regs.cr3 = 0x2020; /* and are not, where CR3 is the same */
    CHECK_EQ(switch_by(ABI_TASK_JMP), EMUL_DONE);
}

/* ---- Whatever the guest has in its memory: an end, and registers that VM entry takes (SDM Vol. 3, 27.3.1.2) */

static uint32_t random_state;

static uint32_t any(uint32_t below)
{
    random_state = random_state * 1664525 + 1013904223;
    return (random_state >> 8) % below;
}

static void check_limit(const struct abi_segment *seg)
{
    if (seg->attr & ABI_SEG_P) {
        CHECK(!(seg->attr & ABI_SEG_G) || (seg->limit & 0xfff) == 0xfff);
        CHECK((seg->attr & ABI_SEG_G) || seg->limit <= 0xfffff);
    }
}

static void check_entry(void)
{
    unsigned cs = regs.seg[ABI_CS].attr, dpl = cs >> ABI_SEG_DPL_SHIFT & 3;

    CHECK_EQ(regs.rflags & 0xffffffffffc0802aull, 2);
    CHECK(regs.rip <= 0xffffffff);
    CHECK_EQ(regs.tr.attr & 0x97, 0x83);
    CHECK_EQ(regs.tr.selector & 4, 0);
    CHECK(!(regs.ldtr.attr & ABI_SEG_P) || ((regs.ldtr.attr & 0x1f) == 2 && !(regs.ldtr.selector & 4)));
    check_limit(&regs.tr);
    check_limit(&regs.ldtr);
    for (unsigned i = 0; i < ABI_SEGS; i++)
        check_limit(&regs.seg[i]);
    if (regs.rflags & RFLAGS_VM)
        return;
    CHECK_EQ(cs & 0x99, 0x99);
    CHECK(cs & 4 ? dpl <= regs.cpl : dpl == regs.cpl);
    for (unsigned i = 0; i < ABI_SEGS; i++)
        CHECK(!(regs.seg[i].attr & ABI_SEG_P) || (regs.seg[i].attr & 0x11) == 0x11);
}

TEST(anything_in_memory)
{
    unsigned switched = 0, done = 0;

    for (unsigned i = 0; i < 20000; i++) {
        uint32_t n = any(12);

        start_paging();
        regs.cr0 = any(2) ? regs.cr0 : CR0_PE;
        while (n--) {
            static const uint32_t at[] = {NEW_TSS + T32_EFLAGS, NEW_TSS + T32_ES, GDT, LDT,
                                          NEW_TABLES + 0x1000,  TABLES + 0x1000};

            machine_ram[at[any(ARRAY_SIZE(at))] + any(0x60)] ^= (uint8_t)(1u << any(8));
        }
        if (any(4) == 0)
            switch_by_event((uint8_t)any(7), (uint8_t)any(32), any(2) ? -1 : (int)any(0x10000));
        else
            switch_by((uint8_t)any(3));
        CHECK(result.status == EMUL_DONE || result.status == EMUL_FAULT);
        if (!result.switched) {
            CHECK_EQ(regs.tr.selector, SEL_OLD);
            continue;
        }
        switched++;
        done += result.status == EMUL_DONE;
        check_entry();
    }
    CHECK(switched > 5000);
    CHECK(done > 2000);
    CHECK(switched - done > 2000);
}
