/*
 * Hardware task switches (SDM Vol. 3, chapter 8) in 32-bit protected mode (task.asm): JMP, CALL, IRET, task gates in
 * the GDT and, for INT, for an exception with an error code, for an interrupt, an NMI and a double fault, in the IDT;
 * with each kind of paging; to virtual-8086 mode and from it. quirks=1: leave out what QEMU gets wrong, with and
 * without hypervisor.
 */
#include "tests/guests/lib/apic.h"

const char guest_name[] = "task";

/* As in task.inc, and those that only the tables name. */
enum {
    SEL_CODE64 = 0x08,
    SEL_DATA = 0x10,
    SEL_CODE32 = 0x18,
    SEL_CODE16 = 0x20,
    SEL_MAIN = 0x28,
    SEL_T1 = 0x30,
    SEL_T16 = 0x38,
    SEL_GP = 0x40,
    SEL_INT = 0x48,
    SEL_EXTERNAL = 0x50,
    SEL_BAD = 0x58,
    SEL_TRAP = 0x60,
    SEL_DF = 0x68,
    SEL_NMI = 0x70,
    SEL_LDT = 0x78,
    SEL_ABSENT = 0x80,
    SEL_GATE = 0x88,
    SEL_V86 = 0x90,
    SEL_UD = 0x98,
    SEL_IN_LDT = 0x0c, /* its second one */
    VECTOR_INT = 0x61,
    VECTOR_EXTERNAL = 0x62,
};
enum paging { NONE, NONPAE, PAE, PAGINGS };

/* Types with P (SDM Vol. 3, 3.4.5.1 and 3.5). */
enum { TSS16 = 0x81, LDT = 0x82, TASK_GATE = 0x85, TSS32 = 0x89, GATE32 = 0x8e };
#define BUSY_BIT  0x200u
#define TYPE_FREE 0x900u
#define FLAG_NT   0x4000u
#define FLAG_VM   0x20000u
#define DR6_BT    0x8000u

#define PDE_PRESENT 0x083u /* writable, large */
#define PDE_USER    0x004u
#define PDE_DEVICES 0x09bu /* not cached */

#define SECOND_GIB 0x40000000u /* what is seen there, tells page tables apart: a page at 0, or this one */
#define OTHER_PAGE 0x800000u
#define RESULTS    128
#define MARKER     0x9000u /* RAM that nobody uses; in task.inc plus a GiB */
#define V86_CODE   0x8000u
#define UD2        0x0b0fu
#define STACK_SIZE 512
#define T1_EAX     0x1a2b3c4du
#define T1_EDX     0x5e6f7081u
#define T1_EDI     0x92a3b4c5u
#define T16_AX     0x1616

struct tss32 {
    uint32_t link, stacks[6], cr3, eip, eflags, eax, ecx, edx, ebx, esp, ebp, esi, edi;
    uint32_t es, cs, ss, ds, fs, gs, ldt;
    uint16_t trap, io_map;
};
struct tss16 {
    uint16_t link, stacks[6], ip, flags, ax, cx, dx, bx, sp, bp, si, di, es, cs, ss, ds, ldt;
};
struct __attribute__((packed)) pointer {
    uint16_t limit;
    uint64_t base;
};

/* In the order of task.asm's task_entries. */
enum { T1, T_INT, T_GP, T_EXTERNAL, T_NMI, T_BAD, T_TRAP, T_DF, T_UD, TASKS, ON_DB = TASKS, ON_NP, T16_AGAIN, T16_END };

void task_run(void);
extern const uint32_t task_entries[];
extern const uint32_t task_t16_code;
extern uint32_t task_paging, task_cr3, task_trap, task_results[], task_ints, task_externals, task_nmis, task_np_eip;
extern uint64_t page_tables[];

uint64_t task_gdt[20];
struct tss32 task_main_tss, task_t1_tss, task_v86_tss, task_ud_tss;
struct tss16 task_t16_tss;
struct pointer task_gdt_pointer = {sizeof(task_gdt) - 1, (uintptr_t)task_gdt}, task_idt_pointer;

static struct tss32 others[TASKS];
static bool quirks;
static uint64_t idt[VECTOR_EXTERNAL + 1], ldt[2];
static uint8_t stacks[TASKS + 1][STACK_SIZE] __attribute__((aligned(16)));
static uint32_t directories[2][1024] __attribute__((aligned(4096)));
static uint64_t pointers[2][4] __attribute__((aligned(32))), second_gib[2][512] __attribute__((aligned(4096)));

static uint32_t address(const volatile void *p)
{
    return (uint32_t)(uintptr_t)p;
}

static uint64_t descriptor(uint32_t base, uint32_t limit, unsigned access, unsigned flags)
{
    return (limit & 0xffff) | (uint64_t)(base & 0xffffff) << 16 | (uint64_t)access << 40 |
           (uint64_t)(limit >> 16 & 0xf) << 48 | (uint64_t)flags << 52 | (uint64_t)(base >> 24) << 56;
}

static uint64_t task_gate(uint16_t selector)
{
    return (uint64_t)selector << 16 | (uint64_t)TASK_GATE << 40;
}

static uint64_t interrupt_gate(uint32_t entry)
{
    return (entry & 0xffff) | (uint64_t)SEL_CODE32 << 16 | (uint64_t)GATE32 << 40 | (uint64_t)(entry >> 16) << 48;
}

static void make_tss(struct tss32 *tss, unsigned task, uint32_t cr3)
{
    *tss = (struct tss32){.cr3 = cr3,
                          .eip = task_entries[task],
                          .eflags = 2,
                          .esp = address(stacks[task]) + STACK_SIZE,
                          .es = SEL_DATA,
                          .cs = SEL_CODE32,
                          .ss = SEL_DATA,
                          .ds = SEL_DATA,
                          .fs = SEL_DATA,
                          .gs = SEL_DATA,
                          .io_map = sizeof(*tss)};
}

static void make_tasks(uint32_t cr3, uint32_t other_cr3)
{
    static const uint16_t selectors[TASKS] = {SEL_T1,  SEL_INT,  SEL_GP, SEL_EXTERNAL, SEL_NMI,
                                              SEL_BAD, SEL_TRAP, SEL_DF, SEL_UD};

    memset(&task_main_tss, 0, sizeof(task_main_tss));
    task_main_tss.cr3 = cr3;
    task_gdt[SEL_MAIN / 8] = descriptor(address(&task_main_tss), sizeof(struct tss32) - 1, TSS32, 0);
    for (unsigned i = 0; i < TASKS; i++) {
        struct tss32 *tss = i == T1 ? &task_t1_tss : i == T_UD ? &task_ud_tss : &others[i];

        make_tss(tss, i, i == T1 ? other_cr3 : cr3);
        task_gdt[selectors[i] / 8] = descriptor(address(tss), sizeof(*tss) - 1, TSS32, 0);
    }
    task_t1_tss.eax = T1_EAX;
    task_t1_tss.edx = T1_EDX;
    task_t1_tss.edi = T1_EDI;
    task_t1_tss.ldt = SEL_LDT;
    task_t1_tss.ds = SEL_IN_LDT;
    task_v86_tss = (struct tss32){.cr3 = cr3, .eflags = FLAG_VM | 2, .eax = T1_EAX, .esp = 0x1000, .cs = V86_CODE >> 4};
    task_gdt[SEL_V86 / 8] = descriptor(address(&task_v86_tss), sizeof(struct tss32) - 1, TSS32, 0);
    others[T_BAD].gs = SEL_ABSENT;
    others[T_TRAP].trap = 1;
    task_t16_tss = (struct tss16){
        .flags = 2, .ax = T16_AX, .sp = STACK_SIZE, .es = SEL_DATA, .cs = SEL_CODE16, .ss = SEL_DATA, .ds = SEL_DATA};
    task_gdt[SEL_T16 / 8] = descriptor(address(&task_t16_tss), sizeof(struct tss16) - 1, TSS16, 0);
}

static void make_descriptors(void)
{
    memset(task_gdt, 0, sizeof(task_gdt));
    memset(idt, 0, sizeof(idt));
    task_gdt[SEL_CODE64 / 8] = descriptor(0, 0xfffff, 0x9b, 0xa);
    task_gdt[SEL_DATA / 8] = descriptor(0, 0xfffff, 0x92, 0xc); /* not accessed yet, nor are these two */
    task_gdt[SEL_CODE32 / 8] = descriptor(0, 0xfffff, 0x9a, 0xc);
    task_gdt[SEL_CODE16 / 8] = descriptor(task_t16_code, task_entries[T16_END], 0x9a, 0);
    task_gdt[SEL_LDT / 8] = descriptor(address(ldt), sizeof(ldt) - 1, LDT, 0);
    task_gdt[SEL_ABSENT / 8] = descriptor(0, 0xfffff, 0x12, 0xc);
    task_gdt[SEL_GATE / 8] = task_gate(SEL_T1);
    ldt[SEL_IN_LDT / 8] = descriptor(0, 0xfffff, 0x92, 0xc);
    idt[VECTOR_DB] = interrupt_gate(task_entries[ON_DB]);
    idt[VECTOR_UD] = task_gate(SEL_UD);
    idt[VECTOR_NMI] = task_gate(SEL_NMI);
    idt[VECTOR_DF] = task_gate(SEL_DF);
    idt[VECTOR_NP] = interrupt_gate(task_entries[ON_NP]);
    idt[VECTOR_GP] = task_gate(SEL_GP);
    idt[VECTOR_INT] = task_gate(SEL_INT);
    idt[VECTOR_EXTERNAL] = task_gate(SEL_EXTERNAL);
    task_idt_pointer = (struct pointer){sizeof(idt) - 1, (uintptr_t)idt};
}

/* The first 4 GiB as they are, but for the page that starts the second GiB. */
static void make_page_tables(void)
{
    const uint64_t *long_pointers = (const uint64_t *)(uintptr_t)(page_tables[0] & ~0xfffull);

    for (unsigned k = 0; k < 2; k++) {
        for (uint32_t i = 0; i < 1024; i++)
            directories[k][i] = i << 22 | (i < 768 ? PDE_PRESENT : PDE_DEVICES);
        directories[k][0] |= PDE_USER;
        directories[k][SECOND_GIB >> 22] = (k ? OTHER_PAGE : 0) | PDE_PRESENT;
        for (unsigned i = 0; i < 4; i++)
            pointers[k][i] = (long_pointers[i] & ~0xfffull) | 1;
        second_gib[k][0] = (k ? OTHER_PAGE : 0) | PDE_PRESENT;
        pointers[k][1] = address(second_gib[k]) | 1;
    }
}

static void compare(const char *name)
{
    bool paging = task_paging != NONE;
    uint32_t mine = paging ? 1 : 0, its = paging ? 2 : 0;
    uint32_t trap = task_trap, v86 = task_paging != PAE;
    const struct {
        const char *what;
        uint32_t value;
    } wanted[] = {
        {"page tables of the first task", mine},
        /* back from JMP */
        {"EAX", 0x11111111},
        {"ECX", 0x22222222},
        {"EDX", 0x33333333},
        {"EBX", 0x44444444},
        {"EBP", 0x55555555},
        {"ESI", 0x66666666},
        {"EDI", 0x77777777},
        {"CF", 1},
        {"ESP", 0},
        {"TR", SEL_MAIN},
        {"type of a TSS that was left by JMP", TYPE_FREE},
        {"type of the current TSS", TYPE_FREE | BUSY_BIT},
        {"page tables behind JMP", mine},
        {"NT behind JMP", 0},
        /* back from CALL */
        {"NT behind IRET", 0},
        {"type of a TSS that was left by IRET", TYPE_FREE},
        {"page tables behind IRET", mine},
        {"TR behind the second CALL", SEL_MAIN},
        {"INT", 2},
        {"TR behind #GP", SEL_MAIN},
        {"TR behind an NMI", SEL_MAIN},
        {"IP of the 16-bit task", task_entries[T16_END]},
        {"TR behind the 16-bit task", SEL_MAIN},
        {"TR behind a gate", SEL_MAIN},
        {"TR behind #NP", SEL_MAIN},
        {"TR behind virtual-8086 mode", SEL_MAIN},
        {"TR behind #DF", SEL_MAIN},
        {"ESP behind #DF", 0},
        /* T1, by JMP */
        {"EAX of a new task", T1_EAX},
        {"EDX of a new task", T1_EDX},
        {"EDI of a new task", T1_EDI},
        {"TR of a new task", SEL_T1},
        {"CR0.TS", 8},
        {"DS from the LDT", SEL_IN_LDT},
        {"DR7", 8}, /* the global one is left */
        {"LDTR", SEL_LDT},
        {"page tables of a new task", its},
        {"NT behind JMP to a task", 0},
        /* T1, by CALL */
        {"NT behind CALL", FLAG_NT},
        {"page tables behind CALL", its},
        {"back link", SEL_MAIN},
        {"type of the calling TSS", TYPE_FREE | BUSY_BIT},
        {"behind its IRET", 0x1234},
        {"TR behind a gate's CALL", SEL_T1},
        {"error code of #GP", 0xfff8},
        {"EIP of #GP", 0},
        {"NMIs during an NMI", 1},
        {"error code of #DF", 0},
        {"back link to virtual-8086 mode", v86 * SEL_V86},
        {"IP of virtual-8086 mode", 0},
        {"EFLAGS.VM", v86 * FLAG_VM},
        {"EAX of virtual-8086 mode", v86 * T1_EAX},
        {"CS of virtual-8086 mode", v86 * V86_CODE >> 4},
        {"error code of #NP", SEL_ABSENT},
        {"TR of #NP", SEL_BAD},
        {"GS of #NP", SEL_ABSENT},
        {"DR6", trap * DR6_BT},
        {"EIP of the T flag's trap", 0},
        {"TR of the T flag's trap", trap * SEL_TRAP},
        {"AX of the 16-bit task", T16_AX},
        {"TR of the 16-bit task", SEL_T16},
        {"FS of the 16-bit task", 0},
        {"SP of the 16-bit task", STACK_SIZE},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(wanted); i++)
        if (task_results[i] != wanted[i].value) {
            print("task: %s\n", name);
            fail(wanted[i].what, wanted[i].value, task_results[i]);
        }
    check("results", 0, task_results[ARRAY_SIZE(wanted)]);
    check("external interrupts", 1, task_externals);
    if (!quirks)
        check("EIP of #NP", task_entries[T_BAD], task_np_eip); /* QEMU: that of the JMP */
}

static void run(enum paging paging)
{
    uint32_t cr3[2];

    for (unsigned i = 0; i < 2; i++)
        cr3[i] = paging == PAE ? address(pointers[i]) : address(directories[i]);
    make_descriptors();
    make_tasks(cr3[0], cr3[1]);
    memset(task_results, 0, RESULTS * sizeof(task_results[0]));
    task_ints = task_externals = task_nmis = 0;
    task_paging = paging;
    task_cr3 = cr3[0];
    task_run();
    trap_init(0); /* its TSS, GDT and IDT */
}

void guest_main(void)
{
    static const char *const names[PAGINGS] = {"no paging", "32-bit paging", "PAE paging"};

    lapic_init(false);
    make_page_tables();
    quirks = guest_option("quirks", 0);
    task_trap = !quirks; /* QEMU does not know the T flag */
    *(volatile uint16_t *)V86_CODE = UD2;
    *(volatile uint32_t *)MARKER = 1;
    *(volatile uint32_t *)(MARKER + OTHER_PAGE) = 2;
    for (unsigned i = 0; i < PAGINGS; i++) {
        run((enum paging)i);
        compare(names[i]);
        print("task: %s\n", names[i]);
    }
}
