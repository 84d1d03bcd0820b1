/*
 * Real mode, protected mode of 16 and 32 bits without paging and with each kind of it, compatibility mode: the same
 * steps in each (real.asm), with the same results. Exceptions and interrupts come by the IVT, by 16-bit and by 32-bit
 * gates.
 */
#include "tests/guests/lib/apic.h"

const char guest_name[] = "real";

#define BLOB 0x50000 /* of real.asm */

#define PIC1      0x20
#define PIC2      0xa0
#define PIT_CH0   0x40
#define PIT_MODE  0x43
#define PIT_TICKS 11932 /* 10 ms */

#define VECTOR_TIMER 0x60
#define VECTOR_INT   0x61
#define PCI_VALUE    0x80000000u
#define PCI_VENDOR   0x8086 /* of the host bridge */
#define TICKS        3
#define RDMSR_SIZE   2

#define PDE_PRESENT 0x083u /* writable, 4 MiB */
#define PDE_DEVICES 0x09bu /* not cached */

enum kind { REAL, BITS16, BITS32 };
enum paging { NONE, NONPAE, PAE, LONG };

struct blob {
    uint32_t kind, paging, cr3, ticks, ints, faults, results[32];
};

static const struct mode {
    const char *name;
    enum kind kind;
    enum paging paging;
} modes[] = {
    {"real mode", REAL, NONE},
    {"16 bits", BITS16, NONE},
    {"32 bits", BITS32, NONE},
    {"16 bits, 32-bit paging", BITS16, NONPAE},
    {"32 bits, 32-bit paging", BITS32, NONPAE},
    {"real mode again", REAL, NONE},
    {"16 bits, PAE paging", BITS16, PAE},
    {"32 bits, PAE paging", BITS32, PAE},
    {"16 bits, compatibility mode", BITS16, LONG},
    {"32 bits, compatibility mode", BITS32, LONG},
};

extern const char real_blob[], real_blob_end[], real_ivt_entries[];
extern uint64_t page_tables[];

void real_run(void);

static volatile struct blob *const blob = (volatile struct blob *)BLOB;
static uint32_t directory[1024] __attribute__((aligned(4096)));
static uint64_t pointers[4] __attribute__((aligned(32)));

/* Compatibility mode's exceptions and interrupts come through the gates of 64-bit mode. */
static void on_tick(struct trap *t)
{
    (void)t;
    blob->ticks++;
    out8(PIC1, 0x20);
}

static void on_int(struct trap *t)
{
    (void)t;
    blob->ints++;
}

static void on_gp(struct trap *t)
{
    t->rip += RDMSR_SIZE;
    blob->faults++;
}

static void start_timer(void)
{
    static const uint8_t words[2][4] = {{0x11, VECTOR_TIMER, 4, 1}, {0x11, VECTOR_TIMER + 8, 2, 1}};
    static const uint16_t ports[2] = {PIC1, PIC2};

    for (unsigned i = 0; i < 2; i++) {
        out8(ports[i], words[i][0]);
        for (unsigned k = 1; k < 4; k++)
            out8(ports[i] + 1, words[i][k]);
        out8(ports[i] + 1, 0xff);
    }
    lapic_write(APIC_LINT0, LVT_EXTINT);
    out8(PIT_MODE, 0x34);
    out8(PIT_CH0, PIT_TICKS & 0xff);
    out8(PIT_CH0, PIT_TICKS >> 8);
}

/* The first 4 GiB as they are, in 4 MiB pages; the PAE directories are those of 64-bit mode. */
static void make_tables(void)
{
    const uint64_t *long_pointers = (const uint64_t *)(uintptr_t)(page_tables[0] & ~0xfffull);

    for (uint32_t i = 0; i < ARRAY_SIZE(directory); i++)
        directory[i] = i << 22 | (i < 768 ? PDE_PRESENT : PDE_DEVICES);
    for (unsigned i = 0; i < ARRAY_SIZE(pointers); i++)
        pointers[i] = (long_pointers[i] & ~0xfffull) | 1;
}

/* Real mode's vectors 13, 60h and 61h (SDM Vol. 3, 20.1.4). */
static void make_ivt(void)
{
    const uint32_t *entries = (const uint32_t *)(const void *)(real_blob + (uintptr_t)real_ivt_entries);
    uintptr_t at[3] = {(uintptr_t)4 * VECTOR_GP, (uintptr_t)4 * VECTOR_TIMER, (uintptr_t)4 * VECTOR_INT};

    for (unsigned i = 0; i < ARRAY_SIZE(at); i++)
        *(volatile uint32_t *)at[i] = entries[i];
}

static void run(const struct mode *m)
{
    memcpy((void *)BLOB, real_blob, (size_t)(real_blob_end - real_blob));
    blob->kind = m->kind;
    blob->paging = m->paging;
    blob->cr3 = (uint32_t)(m->paging == PAE ? (uintptr_t)pointers : (uintptr_t)directory);
    out8(PIC1 + 1, 0xfe);
    real_run();
    out8(PIC1 + 1, 0xff);
}

static void compare(const struct mode *m)
{
    struct cpuid id = cpuid(0, 0);
    uint32_t base = (uint32_t)rdmsr(MSR_APICBASE), version = lapic_read(APIC_LVR), edi = blob->results[10];
    const struct {
        const char *what;
        uint32_t value;
    } wanted[] = {
        {"CPUID", id.ebx},
        {"CPUID with 66", id.ecx},
        {"CPUID with 2E 67 66", id.edx},
        {"RDMSR", base},
        {"RDMSR with 66 64", base},
        {"WRMSR with 67, RDMSR", 0x1234},
        {"IN AX, DX", PCI_VENDOR},
        {"IN EAX, DX", PCI_VALUE},
        {"IN AL, imm8", 0x11223344},
        {"ECX behind REP INSD", 0},
        {"EDI behind REP INSD", edi},
        {"REP INSD", PCI_VALUE},
        {"REP INSD, the other address size", PCI_VALUE},
        {"ESI behind FS OUTSD", BLOB + edi - 12},
        {"FS OUTSD", PCI_VALUE + 4},
        {"MOV from MMIO", version},
        {"ADD to MMIO, OR", 0x10077},
        {"PUSH from MMIO", 0x10077},
        {"FS LODSD from MMIO", 0x10077},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(wanted); i++)
        if (blob->results[i] != wanted[i].value) {
            print("real: %s\n", m->name);
            fail(wanted[i].what, wanted[i].value, blob->results[i]);
        }
    check("INT", 1, blob->ints);
    check("#GP", guest_option("gp", 1), blob->faults);
    if (blob->ticks < TICKS) /* one more may come before the loop turns interrupts off */
        fail("timer interrupts", TICKS, blob->ticks);
    check("EFER.LMA", EFER_LMA, rdmsr(MSR_EFER) & EFER_LMA);
}

void guest_main(void)
{
    trap_set(VECTOR_TIMER, on_tick);
    trap_set(VECTOR_INT, on_int);
    lapic_init(false);
    lapic_write(APIC_LVTT, LVT_MASKED);
    start_timer();
    make_tables();
    make_ivt();
    trap_set(VECTOR_GP, on_gp);
    for (unsigned i = 0; i < ARRAY_SIZE(modes); i++) {
        run(&modes[i]);
        compare(&modes[i]);
        print("real: %s\n", modes[i].name);
    }
}
