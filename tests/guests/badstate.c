/*
 * State that a CPU refuses, and instructions that it does not know or that are not a guest's: each faults as the
 * manuals say, with the right error code. Single step and NMIs across instructions that a hypervisor executes.
 * `quirks=1`: leave out what QEMU gets wrong, with and without hypervisor.
 */
#include "tests/guests/lib/apic.h"
#include "tests/guests/lib/window.h"

const char guest_name[] = "badstate";

#define NOT_CANONICAL 0x8000000000000000ull
#define RESERVED_CR3  BIT(51)
#define MSR_PAT       0x277
#define MSR_LSTAR     0xc0000082
#define MSR_CSTAR     0xc0000083
#define MSR_FS_BASE   0xc0000100
#define MSR_GS_BASE   0xc0000101
#define MSR_KERNEL_GS 0xc0000102
#define MSR_VM_HSAVE  0xc0010117
#define EFER_NXE      BIT(11)
#define EFER_SVME     BIT(12)
#define CR0_AM        BIT(18)
#define CR4_VMXE      BIT(13)
#define CR4_RESERVED  BIT(31)
#define DR6_BS        BIT(14)
#define DR6_BD        BIT(13)
#define DR7_GD        BIT(13)
#define DR7_FIXED     0x400ull
#define IDT_FLAG      2 /* of an error code: the index is one of the IDT */

/* Descriptors for SELECTOR_OWN. */
#define DATA_NOT_PRESENT 0x00cf13000000ffffull
#define DATA_READ_ONLY   0x00cf91000000ffffull
#define CODE_NO_LONG     0x00ef9b000000ffffull /* L and D both: reserved (SDM Vol. 3, 3.4.5) */
#define TSS_BUSY         0x00008b0000000067ull
#define TSS_NOT_PRESENT  0x0000090000000067ull

extern uint64_t gdt[];

/* One instruction, its argument in RAX. */
#define INSTRUCTION(name, text)                                                                                        \
    static void name(void *argument)                                                                                   \
    {                                                                                                                  \
        __asm__ volatile(text : "+a"(argument) : : "rcx", "rdx", "memory", "cc");                                      \
    }

INSTRUCTION(to_cr0, "mov %%rax, %%cr0")
INSTRUCTION(to_cr3, "mov %%rax, %%cr3")
INSTRUCTION(to_cr4, "mov %%rax, %%cr4")
INSTRUCTION(to_cr8, "mov %%rax, %%cr8")
INSTRUCTION(to_dr7, "mov %%rax, %%dr7")
INSTRUCTION(from_dr7, "mov %%dr7, %%rax")
INSTRUCTION(to_cr1, ".byte 0x0f, 0x22, 0xc8")
INSTRUCTION(from_cr5, ".byte 0x0f, 0x20, 0xe8")
INSTRUCTION(from_cr15, ".byte 0x44, 0x0f, 0x20, 0xf8")
INSTRUCTION(from_dr4, ".byte 0x0f, 0x21, 0xe0")
INSTRUCTION(load, "mov (%%rax), %%rdx")
INSTRUCTION(store, "mov %%rdx, (%%rax)")
INSTRUCTION(push_at, "mov %%rsp, %%rdx; mov %%rax, %%rsp; push %%rcx; mov %%rdx, %%rsp")
INSTRUCTION(jump, "jmp *%%rax")
INSTRUCTION(return_to, "push %%rax; ret")
INSTRUCTION(to_ds, "mov %%eax, %%ds")
INSTRUCTION(to_ss, "mov %%eax, %%ss")
INSTRUCTION(to_tr, "ltr %%ax")
INSTRUCTION(to_ldtr, "lldt %%ax")
INSTRUCTION(far_jump, "push %%rax; lea 1f(%%rip), %%rdx; push %%rdx; lretq; 1:")
INSTRUCTION(int_32, "int $32")
INSTRUCTION(int_200, "int $200")
INSTRUCTION(undefined, "ud2")
INSTRUCTION(locked, ".byte 0xf0, 0x89, 0xc0")
INSTRUCTION(too_long, ".byte 0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x90")
INSTRUCTION(vmrun, ".byte 0x0f, 0x01, 0xd8")
INSTRUCTION(vmload, ".byte 0x0f, 0x01, 0xda")
INSTRUCTION(vmsave, ".byte 0x0f, 0x01, 0xdb")
INSTRUCTION(stgi, ".byte 0x0f, 0x01, 0xdc")
INSTRUCTION(clgi, ".byte 0x0f, 0x01, 0xdd")
INSTRUCTION(skinit, ".byte 0x0f, 0x01, 0xde")
INSTRUCTION(invlpga, ".byte 0x0f, 0x01, 0xdf")
INSTRUCTION(vmlaunch, ".byte 0x0f, 0x01, 0xc2")
INSTRUCTION(vmresume, ".byte 0x0f, 0x01, 0xc3")
INSTRUCTION(vmxoff, ".byte 0x0f, 0x01, 0xc4")
INSTRUCTION(vmxon, ".byte 0xf3, 0x0f, 0xc7, 0x30")
INSTRUCTION(vmptrld, ".byte 0x0f, 0xc7, 0x30")
INSTRUCTION(vmclear, ".byte 0x66, 0x0f, 0xc7, 0x30")
INSTRUCTION(vmptrst, ".byte 0x0f, 0xc7, 0x38")
INSTRUCTION(vmread, ".byte 0x0f, 0x78, 0xc0")
INSTRUCTION(vmwrite, ".byte 0x0f, 0x79, 0xc0")
INSTRUCTION(invept, ".byte 0x66, 0x0f, 0x38, 0x80, 0x00")
INSTRUCTION(invvpid, ".byte 0x66, 0x0f, 0x38, 0x81, 0x00")
INSTRUCTION(rsm, "rsm")
INSTRUCTION(monitor, "xor %%ecx, %%ecx; monitor")
INSTRUCTION(mwait, "xor %%ecx, %%ecx; mwait")
INSTRUCTION(rdpmc, "mov $0x3fff, %%ecx; rdpmc")
INSTRUCTION(wbinvd, "wbinvd")

enum { QUIRK = 1, RFLAGS_RF = 1 << 16 };

struct bad {
    const char *what;
    void (*f)(void *argument);
    uint64_t argument;
    int vector;
    uint32_t error;
    unsigned flags;
};

static bool quirks;
static uint64_t memory[64] __attribute__((aligned(4096)));

static void one(const struct bad *b)
{
    int vector;

    if (quirks && (b->flags & QUIRK))
        return;
    vector = catch_trap(b->f, (void *)b->argument);
    check(b->what, (uint64_t)b->vector, (uint64_t)vector);
    if (vector != NO_TRAP && b->error != trap_caught()->error_code) {
        print("badstate: %s\n", b->what);
        fail("error code", b->error, trap_caught()->error_code);
    }
}

static void all(const struct bad *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        one(&list[i]);
}

/* SDM Vol. 2, MOV to control registers; Vol. 3, 2.5. */
static void control_registers(void)
{
    uint64_t cr0 = read_cr0(), cr3 = read_cr3(), cr4 = read_cr4();
    const struct bad list[] = {
        {"CR0.PE cleared under paging", to_cr0, cr0 & ~CR0_PE, VECTOR_GP, 0, QUIRK},
        {"CR0.PG cleared in 64-bit mode", to_cr0, cr0 & ~CR0_PG, VECTOR_GP, 0, QUIRK},
        {"CR0.NW without CD", to_cr0, cr0 | CR0_NW, VECTOR_GP, 0, QUIRK},
        {"CR0, bit 32", to_cr0, cr0 | BIT(32), VECTOR_GP, 0, QUIRK},
        {"CR0.CD and back", to_cr0, cr0 | CR0_CD, NO_TRAP, 0, 0},
        {"CR0 as it was", to_cr0, cr0, NO_TRAP, 0, 0},
        {"CR3, bits that no address has", to_cr3, cr3 | RESERVED_CR3, VECTOR_GP, 0, QUIRK},
        {"CR4.PAE cleared in 64-bit mode", to_cr4, cr4 & ~CR4_PAE, VECTOR_GP, 0, QUIRK},
        {"CR4, reserved bit 31", to_cr4, cr4 | CR4_RESERVED, VECTOR_GP, 0, QUIRK},
        {"CR4.VMXE", to_cr4, cr4 | CR4_VMXE, VECTOR_GP, 0, QUIRK},
        {"CR8, bit 4", to_cr8, 16, VECTOR_GP, 0, QUIRK},
        {"MOV to CR1", to_cr1, 0, VECTOR_UD, 0, 0},
        {"MOV from CR5", from_cr5, 0, VECTOR_UD, 0, 0},
        {"MOV from CR15", from_cr15, 0, VECTOR_UD, 0, 0},
        {"DR7, bit 32", to_dr7, BIT(32), VECTOR_GP, 0, QUIRK},
    };

    all(list, ARRAY_SIZE(list));
    write_cr4(cr4 | CR4_DE);
    one(&(struct bad){"MOV from DR4 under CR4.DE", from_dr4, 0, VECTOR_UD, 0, 0});
    write_cr4(cr4);
    check("CR0 behind it all", cr0, read_cr0());
    check("CR3 behind it all", cr3, read_cr3());
    check("CR4 behind it all", cr4, read_cr4());
}

static void msr(const char *what, uint32_t number, uint64_t value, int vector)
{
    check(what, (uint64_t)vector, (uint64_t)try_wrmsr(number, value));
    /* A fault's frame has RF (SDM Vol. 3, 18.3.1.1): also one that the hypervisor raises. */
    if (vector != NO_TRAP && !quirks)
        check("RFLAGS.RF in the frame", RFLAGS_RF, trap_caught()->rflags & RFLAGS_RF);
}

/* The LAPIC's: SDM Vol. 3, 11.12.5. */
static void msrs(void)
{
    static const uint32_t addresses[] = {MSR_LSTAR, MSR_CSTAR, MSR_FS_BASE, MSR_GS_BASE, MSR_KERNEL_GS};
    uint64_t efer = rdmsr(MSR_EFER), base = rdmsr(MSR_APICBASE), pat = rdmsr(MSR_PAT), value;

    for (unsigned i = 0; i < ARRAY_SIZE(addresses); i++) {
        value = rdmsr(addresses[i]);
        if (!quirks)
            msr("an address that is not canonical", addresses[i], NOT_CANONICAL, VECTOR_GP);
        check("the MSR behind it", value, rdmsr(addresses[i]));
        msr("a canonical address", addresses[i], 0xffff800000000000, NO_TRAP);
        wrmsr(addresses[i], value);
    }
    msr("EFER.LME cleared under paging", MSR_EFER, efer & ~EFER_LME, VECTOR_GP);
    msr("EFER, reserved bit 63", MSR_EFER, efer | BIT(63), VECTOR_GP);
    msr("EFER.SVME", MSR_EFER, efer | EFER_SVME, VECTOR_GP);
    msr("EFER.NXE", MSR_EFER, efer | EFER_NXE, NO_TRAP);
    msr("EFER as it was", MSR_EFER, efer, NO_TRAP);
    check("EFER behind it all", efer, rdmsr(MSR_EFER));
    check("VM_HSAVE_PA", VECTOR_GP, (uint64_t)try_rdmsr(MSR_VM_HSAVE, &value));
    msr("PAT with type 2", MSR_PAT, (pat & ~0xffull) | 2, VECTOR_GP);
    msr("PAT with type 8", MSR_PAT, pat | 8ull << 56, VECTOR_GP);
    check("PAT behind it", pat, rdmsr(MSR_PAT));
    msr("x2APIC mode without being enabled", MSR_APICBASE, (base & ~APICBASE_ENABLE) | APICBASE_X2APIC, VECTOR_GP);
    msr("APIC_BASE, reserved bit", MSR_APICBASE, base | BIT(0), VECTOR_GP);
    msr("APIC_BASE, bits that no address has", MSR_APICBASE, base | BIT(51), VECTOR_GP);
    check("APIC_BASE behind it", base, rdmsr(MSR_APICBASE));
}

/* SDM Vol. 3, 6.15, for each of the exceptions. */
static void addresses(void)
{
    const struct bad list[] = {
        {"a load from no canonical address", load, NOT_CANONICAL, VECTOR_GP, 0, 0},
        {"a store to no canonical address", store, NOT_CANONICAL, VECTOR_GP, 0, 0},
        {"PUSH to no canonical address", push_at, NOT_CANONICAL, VECTOR_SS, 0, QUIRK},
        {"JMP to no canonical address", jump, NOT_CANONICAL, VECTOR_GP, 0, QUIRK},
        {"RET to no canonical address", return_to, NOT_CANONICAL, VECTOR_GP, 0, QUIRK},
        {"a load from a page that is not there", load, 0x7fff00000000, VECTOR_PF, 0, 0},
        {"a store to one", store, 0x7fff00000000, VECTOR_PF, 2, 0},
        {"a jump to one", jump, 0x7fff00000000, VECTOR_PF, 0, 0},
        {"an entry with reserved bits", load, (uintptr_t)window_raw(RESERVED_CR3 | PTE_P | PTE_W, 0), VECTOR_PF, 9,
         QUIRK},
    };

    all(list, ARRAY_SIZE(list));
}

static void descriptor(uint64_t low)
{
    gdt[SELECTOR_OWN / 8] = low;
    gdt[SELECTOR_OWN / 8 + 1] = 0;
}

static void segments(void)
{
    const struct {
        uint64_t descriptor;
        struct bad bad;
    } list[] = {
        {DATA_NOT_PRESENT, {"DS that is not present", to_ds, SELECTOR_OWN, VECTOR_NP, SELECTOR_OWN, 0}},
        {DATA_NOT_PRESENT, {"SS that is not present", to_ss, SELECTOR_OWN, VECTOR_SS, SELECTOR_OWN, 0}},
        {DATA_READ_ONLY, {"SS that is read-only", to_ss, SELECTOR_OWN, VECTOR_GP, SELECTOR_OWN, 0}},
        {0, {"SS that is code", to_ss, SELECTOR_CODE64, VECTOR_GP, SELECTOR_CODE64, 0}},
        {0, {"DS that is a null descriptor", to_ds, SELECTOR_OWN, VECTOR_GP, SELECTOR_OWN, 0}},
        {0, {"DS beyond the GDT", to_ds, 0xfff0, VECTOR_GP, 0xfff0, 0}},
        {0, {"DS from no LDT", to_ds, 0x14, VECTOR_GP, 0x14, 0}},
        {TSS_BUSY, {"LTR of a busy TSS", to_tr, SELECTOR_OWN, VECTOR_GP, SELECTOR_OWN, 0}},
        {TSS_NOT_PRESENT, {"LTR that is not present", to_tr, SELECTOR_OWN, VECTOR_NP, SELECTOR_OWN, 0}},
        {0, {"LTR of data", to_tr, SELECTOR_DATA, VECTOR_GP, SELECTOR_DATA, 0}},
        {0, {"LLDT of data", to_ldtr, SELECTOR_DATA, VECTOR_GP, SELECTOR_DATA, 0}},
        {0, {"a far jump to data", far_jump, SELECTOR_DATA, VECTOR_GP, SELECTOR_DATA, 0}},
        {CODE_NO_LONG, {"a far jump to code with L and D", far_jump, SELECTOR_OWN, VECTOR_GP, SELECTOR_OWN, QUIRK}},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(list); i++) {
        descriptor(list[i].descriptor);
        one(&list[i].bad);
    }
    descriptor(0);
}

/* Not offered by CPUID, or by EFER.SVME and CR4.VMXE: #UD (APM Vol. 3; SDM Vol. 3, chapter 30). */
static void instructions(void)
{
    static void (*const unknown[])(void *) = {undefined, locked,  vmrun,    vmload,   vmsave, stgi,    clgi,
                                              skinit,    invlpga, vmlaunch, vmresume, vmxoff, vmxon,   vmptrld,
                                              vmclear,   vmptrst, vmread,   vmwrite,  invept, invvpid, rsm};

    for (unsigned i = 0; i < ARRAY_SIZE(unknown); i++) {
        int vector = catch_trap(unknown[i], memory);

        if (vector != VECTOR_UD) {
            print("badstate: instruction %u of the unknown ones\n", i);
            fail("exception of an unknown instruction", VECTOR_UD, (uint64_t)vector);
        }
    }
    if (!(cpuid(1, 0).ecx & BIT(3))) {
        one(&(struct bad){"MONITOR", monitor, (uintptr_t)memory, VECTOR_UD, 0, 0});
        one(&(struct bad){"MWAIT", mwait, 0, VECTOR_UD, 0, 0});
    }
    one(&(struct bad){"RDPMC of no counter", rdpmc, 0, VECTOR_GP, 0, 0});
    one(&(struct bad){"WBINVD", wbinvd, 0, NO_TRAP, 0, 0});
    one(&(struct bad){"an instruction of 16 bytes", too_long, 0, VECTOR_GP, 0, 0});
}

struct __attribute__((packed)) pointer {
    uint16_t limit;
    uint64_t base;
};

/* A gate that is not present, and one that is beyond the limit (SDM Vol. 3, 6.15, #NP and #GP). */
static void gates(void)
{
    static uint64_t idt[512];
    struct pointer old, new = {sizeof(idt) - 1, (uintptr_t)idt};

    __asm__ volatile("sidt %0" : "=m"(old));
    memcpy(idt, (const void *)old.base, sizeof(idt));
    idt[2 * 200] &= ~BIT(47);
    __asm__ volatile("lidt %0" : : "m"(new));
    one(&(struct bad){"INT by a gate that is not present", int_200, 0, VECTOR_NP, 200 * 8 + IDT_FLAG, 0});
    new.limit = 32 * 16 - 1;
    __asm__ volatile("lidt %0" : : "m"(new));
    one(&(struct bad){"INT beyond the IDT", int_32, 0, VECTOR_GP, 32 * 8 + IDT_FLAG, 0});
    trap_load_idt();
}

/* ---- Single step ------------------------------------------------------------------------------------------------- */

#define STEPS 5 /* the instruction, NOP, PUSHF, AND, POPF */

static volatile unsigned steps;
static volatile uint64_t stepped_to, step_dr6;

static uint64_t read_dr6(void)
{
    uint64_t value;

    __asm__ volatile("mov %%dr6, %0" : "=r"(value));
    return value;
}

static void write_dr6(uint64_t value)
{
    __asm__ volatile("mov %0, %%dr6" : : "r"(value));
}

static void on_db(struct trap *t)
{
    if (steps++ == 0) {
        stepped_to = t->rip;
        step_dr6 = read_dr6();
    }
    write_dr6(0);
}

/* A trap behind each instruction, with DR6.BS (SDM Vol. 3, 17.3.1.4): behind each element of a REP, too. */
#define STEP(text, rax, rcx, rdx, extra)                                                                               \
    do {                                                                                                               \
        uint64_t after, a = (rax), c = (rcx), d = (rdx), to = (uintptr_t)memory;                                       \
        steps = 0;                                                                                                     \
        __asm__ volatile("pushfq; orq $0x100, (%%rsp); lea 1f(%%rip), %0; popfq; " text                                \
                         "; 1: nop; pushfq; andq $~0x100, (%%rsp); popfq"                                              \
                         : "=&r"(after), "+a"(a), "+c"(c), "+d"(d), "+D"(to)                                           \
                         :                                                                                             \
                         : "rbx", "memory", "cc");                                                                     \
        check("single steps: " text, STEPS + (extra), steps);                                                          \
        if (!(extra))                                                                                                  \
            check("RIP at the first: " text, after, stepped_to);                                                       \
        check("DR6.BS at the first: " text, DR6_BS, step_dr6 &DR6_BS);                                                 \
    } while (0)

#define VECTOR_HELD 0x55
static volatile unsigned held, steps_before;

static void on_held(struct trap *t)
{
    (void)t;
    held++;
    steps_before = steps;
    lapic_eoi();
}

/* The step's trap comes before the interrupt that the instruction lets in (SDM Vol. 3, table 7-2). */
static void step_before_interrupt(void)
{
    trap_set(VECTOR_HELD, on_held);
    to_cr8((void *)15);
    irq_on();
    lapic_ipi(cpu_apic_id(0), ICR_ASSERT | VECTOR_HELD);
    STEP("mov %%rax, %%cr8", 0, 0, 0, 0);
    irq_off();
    check("the interrupt behind CR8", 1, held);
    check("steps before it", 1, steps_before);
}

static void single_step(void)
{
    trap_set(VECTOR_DB, on_db);
    STEP("nop", 0, 0, 0, 0);
    STEP("cpuid", 0, 0, 0, 0);
    STEP("in %%dx, %%al", 0, 0, 0x80, 0);
    STEP("out %%al, %%dx", 0, 0, 0x80, 0);
    STEP("rdmsr", 0, MSR_APICBASE, 0, 0);
    STEP("wrmsr", 0x8, 0x174, 0, 0);
    STEP("movl (%%rdx), %%eax", 0, 0, LAPIC_BASE + APIC_LVR, 0);
    STEP("movl %%eax, (%%rdx)", LVT_MASKED, 0, LAPIC_BASE + APIC_LVTT, 0);
    STEP("wbinvd", 0, 0, 0, 0);
    STEP("mov %%rax, %%cr8", 0, 0, 0, 0);
    STEP("insb", 0, 0, 0x80, 0);
    STEP("rep insb", 0, 3, 0x80, 2);
    step_before_interrupt();
    trap_set(VECTOR_DB, NULL);
}

static void debug_registers(void)
{
    to_dr7((void *)(DR7_FIXED | DR7_GD));
    one(&(struct bad){"MOV from DR7 under DR7.GD", from_dr7, 0, VECTOR_DB, 0, 0});
    check("DR6.BD", DR6_BD, read_dr6() & DR6_BD);
    write_dr6(0);
    to_dr7((void *)DR7_FIXED);
}

/* ---- NMIs -------------------------------------------------------------------------------------------------------- */

static volatile uint32_t nmis, depth;

static void send_nmi(void)
{
    lapic_ipi(cpu_apic_id(0), ICR_ASSERT | ICR_NMI);
}

/* The second one waits for the IRET of the first (SDM Vol. 3, 6.7.1), whatever exits meanwhile. */
static void on_nmi(struct trap *t)
{
    (void)t;
    check("NMI within an NMI's handler", 0, depth);
    depth = 1;
    if (++nmis == 1) {
        send_nmi();
        for (unsigned i = 0; i < 100; i++)
            cpuid(0, 0);
        check("the NMI that has to wait", 1, nmis);
    }
    depth = 0;
}

static void nmi(void)
{
    trap_set(VECTOR_NMI, on_nmi);
    send_nmi();
    if (!wait_for(&nmis, 2, 2000))
        fail("NMIs", 2, nmis);
    trap_set(VECTOR_NMI, NULL);
}

/* What a back end of this or that kind answers by ending the guest, and a CPU by #GP: one of them, by number. */
static void invalid(uint64_t number)
{
    print("badstate: invalid %lu\n", number);
    if (number == 1)
        one(&(struct bad){"CR3, bits that no address has", to_cr3, read_cr3() | RESERVED_CR3, VECTOR_GP, 0, 0});
    else if (number == 2)
        one(&(struct bad){"CR4, reserved bit 31", to_cr4, read_cr4() | CR4_RESERVED, VECTOR_GP, 0, 0});
    else
        one(&(struct bad){"CR0, bit 32", to_cr0, read_cr0() | BIT(32), VECTOR_GP, 0, 0});
    cpuid(0, 0); /* an exit and an entry */
}

void guest_main(void)
{
    quirks = guest_option("quirks", 0);
    lapic_init(false);
    if (guest_option("invalid", 0)) {
        invalid(guest_option("invalid", 0));
        return;
    }
    control_registers();
    msrs();
    addresses();
    segments();
    instructions();
    gates();
    print("badstate: registers, MSRs, addresses, segments, instructions, gates\n");
    if (!quirks)
        debug_registers();
    single_step();
    nmi();
    print("badstate: single step, NMIs\n");
}
