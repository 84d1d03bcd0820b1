/*
 * Rights of pages, and accesses that cross their border, for RAM, where the CPU decides by itself, and for MMIO, where
 * the device world's emulator does: the fault, its error code and address are the same, and nothing is half done (SDM
 * Vol. 3, 4.6 and 4.7). The MMIO is the LAPIC's page with the initial count of its timer, which is masked.
 */
#include "tests/guests/lib/apic.h"
#include "tests/guests/lib/window.h"

const char guest_name[] = "rights";

#define CR4_SMEP  BIT(20)
#define CR4_SMAP  BIT(21)
#define RFLAGS_AC BIT(18)
#define EFER_NXE  BIT(11)
#define PTE_NX    BIT(63)
#define USER_CODE (SELECTOR_OWN | 3)
#define USER_DATA ((SELECTOR_OWN + 8) | 3)
#define CODE_3    0x00affb000000ffffull
#define DATA_3    0x00cff3000000ffffull
#define COUNT     12345u
#define OTHER     54321u
#define MMIO_PAGE LAPIC_BASE
#define ALL       (PTE_P | PTE_W | PTE_PCD | PTE_PWT)
#define RET       0xc3

enum { PF_P = 1, PF_W = 2, PF_U = 4, PF_I = 16 };
enum op { LOAD, STORE, ADD, OPS };

extern uint64_t page_tables[], gdt[];

static uint8_t ram[PAGE] __attribute__((aligned(4096))), user_code[PAGE] __attribute__((aligned(4096)));
static bool smap, smep;

struct access {
    uint8_t *at;
    enum op op;
    bool user, ac;
    uint32_t value;
};

/* As bytes for ring 3, with UD2 behind each: with EAX, at RDI. */
static const uint8_t user_bytes[OPS][8] = {
    {0x8b, 0x07, 0x0f, 0x0b}, {0x89, 0x07, 0x0f, 0x0b}, {0xf0, 0x01, 0x07, 0x0f, 0x0b}};

static void in_ring_3(const struct access *a, uint64_t rip)
{
    __asm__ volatile("pushq %0; pushq $0; pushq %1; pushq %2; pushq %3; iretq"
                     :
                     : "r"((uint64_t)USER_DATA), "r"(RFLAGS_FIXED | (a->ac ? RFLAGS_AC : 0)), "r"((uint64_t)USER_CODE),
                       "r"(rip), "a"(a->value), "D"(a->at)
                     : "memory");
}

static void set_ac(bool ac)
{
    __asm__ volatile("pushfq; andq %0, (%%rsp); orq %1, (%%rsp); popfq"
                     :
                     : "r"(~RFLAGS_AC), "r"(ac ? RFLAGS_AC : 0)
                     : "memory", "cc");
}

static void do_access(void *argument)
{
    struct access *a = argument;
    uint8_t *window_code = (uint8_t *)((uintptr_t)a->at & ~(uintptr_t)(PAGE - 1)) + PAGE;

    if (a->user) {
        in_ring_3(a, (uintptr_t)window_code + sizeof(user_bytes[0]) * a->op);
        return;
    }
    set_ac(a->ac);
    if (a->op == LOAD)
        __asm__ volatile("movl (%1), %0" : "=a"(a->value) : "r"(a->at) : "memory");
    else if (a->op == STORE)
        __asm__ volatile("movl %0, (%1)" : : "a"(a->value), "r"(a->at) : "memory");
    else
        __asm__ volatile("lock addl %0, (%1)" : : "a"(a->value), "r"(a->at) : "memory", "cc");
    set_ac(false);
}

/* SDM Vol. 3, 4.6.1: -1, or the error code. */
static int expected(const struct access *a, uint64_t pte, bool wp, bool smap_on)
{
    bool write = a->op != LOAD, user_page = pte & PTE_U;
    int error = (write ? PF_W : 0) | (a->user ? PF_U : 0);

    if (!(pte & PTE_P))
        return error;
    if (a->user && (!user_page || (write && !(pte & PTE_W))))
        return error | PF_P;
    if (!a->user && smap_on && user_page && !a->ac)
        return error | PF_P;
    if (!a->user && write && wp && !(pte & PTE_W))
        return error | PF_P;
    return -1;
}

/* QEMU's CPU reads first where it is to read and write, and says of a page that may not be read that it was a read. */
static bool is_error(const struct access *a, uint64_t pte, bool smap_on, int error, int got)
{
    struct access load = *a;

    load.op = LOAD;
    return got == error || (a->op == ADD && got == (error & ~PF_W) && expected(&load, pte, false, smap_on) >= 0);
}

static void try_one(struct access a, uint64_t page, uint64_t pte, bool wp, bool smap_on)
{
    volatile uint32_t *plain = (volatile uint32_t *)(page | APIC_TMICT);
    int error = expected(&a, pte, wp, smap_on), vector, good = a.user ? VECTOR_UD : NO_TRAP;
    uint32_t after = a.op == LOAD || error >= 0 ? COUNT : a.op == STORE ? OTHER : COUNT + OTHER;
    uint64_t was = read_cr2();

    *plain = COUNT;
    a.at = window_raw(page | pte, (uintptr_t)user_code | PTE_P | PTE_U) + APIC_TMICT;
    a.value = OTHER;
    write_cr0((read_cr0() & ~CR0_WP) | (wp ? CR0_WP : 0));
    write_cr4((read_cr4() & ~CR4_SMAP) | (smap_on ? CR4_SMAP : 0));
    vector = catch_trap(do_access, &a);
    write_cr4(read_cr4() & ~CR4_SMAP);
    if (vector != (error < 0 ? good : VECTOR_PF) ||
        (error >= 0 && !is_error(&a, pte, smap_on, error, (int)trap_caught()->error_code)) ||
        read_cr2() != (error >= 0 ? (uintptr_t)a.at : was) || *plain != after) {
        print("rights: page 0x%lx, entry 0x%lx, op %u, user %u, AC %u, WP %u, SMAP %u: vector %d, error code 0x%lx\n",
              page, pte, a.op, a.user, a.ac, wp, smap_on, vector, trap_caught()->error_code);
        print("rights: CR2 0x%lx, was 0x%lx; %u, and %u wanted\n", read_cr2(), was, *plain, after);
        fail("error code", (uint64_t)error, trap_caught()->error_code);
    }
    if (error < 0 && a.op == LOAD)
        check("what was read", COUNT, a.user ? (uint32_t)trap_caught()->rax : a.value);
}

static void all_rights(uint64_t page)
{
    for (unsigned n = 0; n < 256 * OPS; n++) {
        struct access a = {.op = (enum op)(n / 256), .user = n & 1, .ac = n & 2};
        uint64_t pte = (n & 4 ? PTE_P : 0) | (n & 8 ? PTE_W : 0) | (n & 16 ? PTE_U : 0) | PTE_PCD | PTE_PWT;

        if ((n & 128) || ((n & 64) && !smap)) /* seven bits of n count */
            continue;
        try_one(a, page, pte, n & 32, n & 64);
    }
    write_cr0(read_cr0() | CR0_WP);
}

/* ---- Across a border: the first page's end, the second's beginning */

struct cross {
    const char *what;
    void (*f)(void *);
    uint64_t first, second; /* entries */
    uint32_t from;          /* offset of the access */
    int error;              /* -1: there is no fault */
    bool at_second;         /* CR2: where the second page begins, else where the access does */
    bool smap;              /* CR4.SMAP is set, where there is one, and RFLAGS.AC clear */
};

static void load_4(void *p)
{
    (void)*(volatile uint32_t *)p;
}

static void store_4(void *p)
{
    *(volatile uint32_t *)p = 0xa1a2a3a4;
}

static void store_8(void *p)
{
    *(volatile uint64_t *)p = 0xa1a2a3a4a5a6a7a8;
}

static void exchange_4(void *p)
{
    __asm__ volatile("xchgl %0, (%1)" : : "r"(0xa1a2a3a4), "r"(p) : "memory");
}

static void far_jump(void *p)
{
    __asm__ volatile("ljmpl *(%0)" : : "r"(p) : "memory");
}

static void load_gdt(void *p)
{
    __asm__ volatile("lgdt (%0)" : : "r"(p) : "memory");
}

static uint8_t *base_of(void *p)
{
    return (uint8_t *)((uintptr_t)p & ~(uintptr_t)(PAGE - 1));
}

/* From the count to the beginning of the second page, and back. */
static void move_to_second(void *p)
{
    __asm__ volatile("movsl" : : "S"(base_of(p) + APIC_TMICT), "D"(base_of(p) + PAGE) : "memory");
}

static void move_from_second(void *p)
{
    __asm__ volatile("movsl" : : "S"(base_of(p) + PAGE), "D"(base_of(p) + APIC_TMICT) : "memory");
}

static void push_to_second(void *p)
{
    __asm__ volatile("mov %%rsp, %%r12; mov %0, %%rsp; pushq (%1); mov %%r12, %%rsp"
                     :
                     : "r"(base_of(p) + PAGE + 8), "r"(base_of(p) + APIC_TMICT)
                     : "r12", "memory");
}

static void pop_from_second(void *p)
{
    __asm__ volatile("mov %%rsp, %%r12; mov %0, %%rsp; popq (%1); mov %%r12, %%rsp"
                     :
                     : "r"(base_of(p) + PAGE), "r"(base_of(p) + APIC_TMICT)
                     : "r12", "memory");
}

static void borders(void)
{
    const uint64_t mmio = MMIO_PAGE | ALL, mmio_ro = mmio & ~PTE_W, memory = (uintptr_t)ram | ALL;
    const struct cross crosses[] = {
        {"load, second absent", load_4, mmio, 0, 0xffe, 0, true, false},
        {"store, second absent", store_4, mmio, 0, 0xffe, PF_W, true, false},
        {"exchange, second absent", exchange_4, mmio, 0, 0xffe, PF_W, true, false},
        {"load, first absent", load_4, 0, mmio, 0xffe, 0, false, false},
        {"store, first absent", store_4, 0, mmio, 0xffe, PF_W, false, false},
        {"store, second not writable", store_8, memory, mmio_ro, 0xffc, PF_W | PF_P, true, false},
        {"exchange, second not writable", exchange_4, memory, mmio_ro, 0xffe, PF_W | PF_P, true, false},
        {"store, RAM second and not writable", store_8, mmio, memory & ~PTE_W, 0xffc, PF_W | PF_P, true, false},
        {"store, first not writable", store_8, mmio_ro, memory, 0xffc, PF_W | PF_P, false, false},
        {"far pointer, second absent", far_jump, mmio, 0, 0xffe, 0, true, false},
        {"LGDT, second absent", load_gdt, mmio, 0, 0xffa, 0, true, false},
        {"MOVS to what is absent", move_to_second, mmio, 0, 0, PF_W, true, false},
        {"MOVS from what is absent", move_from_second, mmio, 0, 0, 0, true, false},
        {"PUSH to what is absent", push_to_second, mmio, 0, 0, PF_W, true, false},
        {"POP from what is absent", pop_from_second, mmio, 0, 0, 0, true, false},
        {"POP to what is not writable", pop_from_second, mmio_ro, memory, APIC_TMICT, PF_W | PF_P, false, false},
        {"load, second a user page", load_4, mmio, memory | PTE_U, 0xffe, PF_P, true, true},
        {"store, second a user page", store_4, mmio, memory | PTE_U, 0xffe, PF_W | PF_P, true, true},
        {"MOVS to a user page", move_to_second, mmio, memory | PTE_U, 0, PF_W | PF_P, true, true},
        {"PUSH to a user page", push_to_second, mmio, memory | PTE_U, 0, PF_W | PF_P, true, true},
        {"load from both", load_4, mmio, memory, 0xffe, -1, false, false},
        {"store to both", store_4, mmio, memory, 0xffe, -1, false, false},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(crosses); i++) {
        const struct cross *c = &crosses[i];
        uint8_t *base = window_raw(c->first, c->second);
        uint64_t at = (uintptr_t)base + (c->at_second ? PAGE : c->from);
        int vector;

        if (c->smap && !smap)
            continue;
        memset(ram, 0x55, PAGE);
        lapic_write(APIC_TMICT, COUNT);
        write_cr4(read_cr4() | (c->smap ? CR4_SMAP : 0));
        vector = catch_trap(c->f, base + c->from);
        write_cr4(read_cr4() & ~CR4_SMAP);
        check(c->what, (uint64_t)(c->error < 0 ? NO_TRAP : VECTOR_PF), (uint64_t)vector);
        check(c->what, COUNT, lapic_read(APIC_TMICT));
        if (c->error < 0)
            continue;
        check(c->what, (uint64_t)c->error, trap_caught()->error_code);
        check(c->what, at, read_cr2());
        for (unsigned k = 0; k < PAGE; k++)
            check(c->what, 0x55, ram[k]);
    }
    check("RAM's part of a store to both", 0x5555a1a2, *(volatile uint32_t *)ram);
}

/* ---- Instructions: the page forbids them before anybody asks what is there */

static void call(void *p)
{
    ((void (*)(void))(uintptr_t)p)();
}

static void user_jump(void *p)
{
    struct access a = {.at = p};

    in_ring_3(&a, (uintptr_t)p);
}

static void fetches(void)
{
    const uint64_t pages[] = {MMIO_PAGE, (uintptr_t)ram};

    memset(ram, RET, PAGE);
    wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_NXE);
    for (unsigned i = 0; i < ARRAY_SIZE(pages); i++) {
        uint8_t *at;

        if (smep) {
            at = window_raw(pages[i] | ALL | PTE_U, 0);
            write_cr4(read_cr4() | CR4_SMEP);
            check("call of a user page, SMEP", VECTOR_PF, (uint64_t)catch_trap(call, at));
            check("its error code", PF_P | PF_I, trap_caught()->error_code);
            write_cr4(read_cr4() & ~CR4_SMEP);
        }
        at = window_raw(pages[i] | ALL | PTE_NX, 0);
        check("call of a page without execution", VECTOR_PF, (uint64_t)catch_trap(call, at));
        check("its error code", PF_P | PF_I, trap_caught()->error_code);
        at = window_raw(pages[i] | ALL, 0);
        check("a supervisor page in ring 3", VECTOR_PF, (uint64_t)catch_trap(user_jump, at));
        check("its error code", PF_P | PF_U | PF_I, trap_caught()->error_code);
    }
}

void guest_main(void)
{
    struct cpuid seven = cpuid(7, 0);

    smep = seven.ebx & BIT(7);
    smap = seven.ebx & BIT(20);
    lapic_init(false);
    lapic_write(APIC_LVTT, LVT_MASKED);
    gdt[SELECTOR_OWN / 8] = CODE_3;
    gdt[SELECTOR_OWN / 8 + 1] = DATA_3;
    memcpy(user_code, user_bytes, sizeof(user_bytes));
    page_tables[0] &= ~PTE_U; /* else SMAP and SMEP were against this program itself */
    write_cr3(read_cr3());
    all_rights((uintptr_t)ram);
    all_rights(MMIO_PAGE);
    borders();
    fetches();
}
