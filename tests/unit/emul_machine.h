/* A small machine for the emulator's tests: RAM, page tables, a logged MMIO region and logged ports. */
#ifndef TESTS_UNIT_EMUL_MACHINE_H
#define TESTS_UNIT_EMUL_MACHINE_H

#include "tests/unit/test.h"
#include "user/emul/emul.h"
#include "user/emul/x86.h"

#define RAM_PAGES 64u
#define MMIO      0xfe000000u /* gpa = linear address; [MMIO, MMIO + 64 KiB) */
#define NOTHING   0xfe100000u /* gpa = linear address where nothing answers */
#define CODE      0x10000u    /* linear = gpa, like all of RAM */
#define DATA      0x20000u
#define STACK     0x30000u
#define TSS       0x38000u
#define TABLES    0x0u /* 6 pages */

struct access {
    char kind; /* 'r', 'w': MMIO; 'i', 'o': port */
    uint64_t address, value;
    unsigned size;
};

static _Alignas(4096) uint8_t machine_ram[RAM_PAGES * 4096];
static struct access machine_log[2048];
static unsigned machine_logged;
static uint64_t machine_mmio_value;
static struct abi_regs regs;
static struct emul_result result;

static void machine_note(char kind, uint64_t address, unsigned size, uint64_t value)
{
    if (machine_logged < ARRAY_SIZE(machine_log))
        machine_log[machine_logged++] = (struct access){kind, address, value, size};
}

static int machine_read(void *ctx, uint64_t gpa, void *dst, uint32_t size)
{
    (void)ctx;
    machine_note('r', gpa, size, 0);
    memset(dst, 0x5a, size);
    if (gpa >= NOTHING)
        return -1;
    memcpy(dst, &machine_mmio_value, size);
    return 0;
}

static int machine_write(void *ctx, uint64_t gpa, const void *src, uint32_t size)
{
    uint64_t value = 0;

    (void)ctx;
    memcpy(&value, src, size);
    machine_note('w', gpa, size, value);
    return 0;
}

static int machine_in(void *ctx, uint16_t port, uint8_t size, uint32_t *value)
{
    (void)ctx;
    machine_note('i', port, size, 0);
    *value = 0x11223300u + machine_logged;
    return 0;
}

static int machine_out(void *ctx, uint16_t port, uint8_t size, uint32_t value)
{
    (void)ctx;
    machine_note('o', port, size, value);
    return 0;
}

static void *machine_page(void *ctx, uint64_t gpa)
{
    (void)ctx;
    return gpa < sizeof(machine_ram) ? machine_ram + (gpa & ~4095ull) : NULL;
}

static struct emul_vector machine_vectors[16];
static uint64_t machine_xcr0;

static uint64_t machine_vector_read(void *ctx, unsigned n, struct emul_vector *value)
{
    (void)ctx;
    *value = machine_vectors[n];
    return machine_xcr0;
}

static void machine_vector_write(void *ctx, unsigned n, const struct emul_vector *value)
{
    (void)ctx;
    machine_vectors[n] = *value;
}

static const struct emul_ops machine_ops = {machine_read,
                                            machine_write,
                                            machine_in,
                                            machine_out,
                                            machine_page,
                                            40,
                                            {~0u, ~0u, ~0u, ~0u, ~0u, ~0u, ~0u},
                                            machine_vector_read,
                                            machine_vector_write};

static inline void poke(uint64_t address, uint64_t value, unsigned size)
{
    memcpy(machine_ram + address, &value, size);
}

static inline uint64_t peek(uint64_t address, unsigned size)
{
    uint64_t value = 0;

    memcpy(&value, machine_ram + address, size);
    return value;
}

/* The page table entry of a linear address in RAM, in the tables of start_64(). */
static inline uint64_t pte_of(uint64_t linear) { return TABLES + 0x3000 + linear / 4096 * 8; }

static inline void start(unsigned mode)
{
    uint16_t code = mode == 8 ? 0xa9b : mode == 4 ? 0xc9b : 0x09b, data = mode == 2 ? 0x093 : 0xc93;

    memset(machine_ram, 0, sizeof(machine_ram));
    memset(&regs, 0, sizeof(regs));
    memset(&result, 0, sizeof(result));
    machine_logged = 0;
    machine_mmio_value = 0x8877665544332211;
    for (unsigned i = 0; i < ABI_SEGS; i++)
        regs.seg[i] = (struct abi_segment){8, i == ABI_CS ? code : data, mode == 2 ? 0xffff : ~0u, 0};
    regs.cr0 = CR0_PE;
    regs.rip = CODE;
    regs.rflags = 2;
    regs.cr4 = BIT(9) | BIT(18); /* OSFXSR, OSXSAVE */
    regs.gpr[ABI_RSP] = STACK;
    machine_xcr0 = 7;
}

/* 64-bit mode: RAM by 4 KiB pages with all rights, the 4th GiB with MMIO by 2 MiB pages for the supervisor. */
static inline void start_64(void)
{
    start(8);
    poke(TABLES, (TABLES + 0x1000) | 7, 8);
    poke(TABLES + 0x1000, (TABLES + 0x2000) | 7, 8);
    poke(TABLES + 0x1018, (TABLES + 0x4000) | 7, 8);
    poke(TABLES + 0x2000, (TABLES + 0x3000) | 7, 8);
    for (unsigned i = 0; i < 512; i++) {
        poke(TABLES + 0x3000 + 8 * i, (i * 0x1000) | 7, 8);
        poke(TABLES + 0x4000 + 8 * i, (0xc0000000 + i * 0x200000) | 0x83, 8);
    }
    regs.cr3 = TABLES;
    regs.cr0 |= CR0_PG | CR0_WP;
    regs.cr4 |= CR4_PAE;
    regs.efer = EFER_LMA | EFER_NXE;
}

/* Real mode: every segment at `base`. */
static inline void start_real(uint32_t base)
{
    start(2);
    regs.cr0 = 0;
    for (unsigned i = 0; i < ABI_SEGS; i++)
        regs.seg[i] = (struct abi_segment){(uint16_t)(base >> 4), 0x93, 0xffff, base};
    regs.rip = 0x100;
    regs.gpr[ABI_RSP] = 0x8000;
}

/* Write an instruction in hex to linear address `at`, without regard to tables. Its length. */
static inline unsigned assemble(uint64_t at, const char *hex)
{
    unsigned n = 0, value;

    for (; hex[2 * n]; n++) {
        sscanf(hex + 2 * n, "%2x", &value);
        machine_ram[at + n] = (uint8_t)value;
    }
    return n;
}

/* Execute it at CS:RIP, fetched from memory. */
static inline enum emul_status step(const char *hex)
{
    uint64_t base = regs.efer & EFER_LMA && regs.seg[ABI_CS].attr & ABI_SEG_L ? 0 : regs.seg[ABI_CS].base;

    assemble((uint32_t)(base + regs.rip), hex);
    return emul_step(&machine_ops, NULL, &regs, NULL, 0, &result);
}

static inline void check_fault(unsigned vector, int64_t error_code)
{
    CHECK_EQ(result.status, EMUL_FAULT);
    CHECK_EQ(result.vector, vector);
    CHECK_EQ(result.has_error_code, error_code >= 0);
    if (error_code >= 0)
        CHECK_EQ(result.error_code, error_code);
}

static inline void check_access(unsigned n, char kind, uint64_t address, unsigned size, uint64_t value)
{
    CHECK(n < machine_logged);
    CHECK_EQ(machine_log[n].kind, kind);
    CHECK_EQ(machine_log[n].address, address);
    CHECK_EQ(machine_log[n].size, size);
    CHECK_EQ(machine_log[n].value, value);
}

#endif
