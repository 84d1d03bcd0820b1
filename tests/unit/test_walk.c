/*
 * The page walker: against a slow reference on random page tables of every kind, and by hand where the manual gives a
 * clear answer. The reference is written from the tables of SDM Vol. 3, 4.3-4.7, one function per paging mode, and
 * shares nothing with the walker.
 */
// links: user/emul/walk.c
#include "abi/err.h"
#include "tests/unit/test.h"
#include "user/emul/emul.h"
#include "user/emul/x86.h"

#define PAGES 16u
static uint64_t memory[PAGES * 512]; /* guest-physical 0..0xffff; tables live here */
static unsigned accesses;

static void *ram(void *ctx, uint64_t address)
{
    (void)ctx;
    accesses++;
    return address < sizeof(memory) ? (char *)memory + (address & ~0xfffull) : NULL;
}

static struct emul_ops ops = {.ram = ram, .maxphyaddr_bits = 40};

/* ---- The reference */

struct expected {
    bool ok, present, reserved, allowed;
    uint64_t gpa;
    uint64_t touched[5]; /* addresses of the entries, 0-terminated by count */
    unsigned count;
};

static uint64_t entry_at(uint64_t address, unsigned size)
{
    uint64_t value = ~0ull;

    if (address < sizeof(memory))
        memcpy(&value, (char *)memory + address, size);
    return size == 4 ? value & 0xffffffff : value;
}

static bool bits_set(uint64_t value, unsigned from, unsigned to)
{
    for (unsigned i = from; i <= to; i++)
        if ((value >> i) & 1)
            return true;
    return false;
}

static void reference_rights(const struct abi_regs *r, uint32_t access, bool u, bool w, bool x, struct expected *e)
{
    bool fetch = access & WALK_FETCH, write = access & WALK_WRITE;

    e->allowed = true;
    if (access & WALK_USER) {
        if (!u || (write && !w) || (fetch && !x))
            e->allowed = false;
    } else if (fetch) {
        if (!x || (u && (r->cr4 & CR4_SMEP)))
            e->allowed = false;
    } else {
        if (u && (r->cr4 & CR4_SMAP) && (!(r->rflags & RFLAGS_AC) || (access & WALK_IMPLICIT)))
            e->allowed = false;
        if (write && !w && (r->cr0 & CR0_WP))
            e->allowed = false;
    }
    e->ok = e->allowed;
}

/* 4.3. */
static void reference_32(const struct abi_regs *r, uint32_t la, uint32_t access, struct expected *e)
{
    uint64_t pde, pte;
    bool u, w;

    e->touched[e->count++] = (r->cr3 & 0xfffff000) + (la >> 22) * 4;
    pde = entry_at(e->touched[0], 4);
    if (!(pde & 1))
        return;
    e->present = true;
    u = pde & 4;
    w = pde & 2;
    if ((pde & 0x80) && (r->cr4 & CR4_PSE)) {
        if (bits_set(pde, 21, 21) || (ops.maxphyaddr_bits < 40 && bits_set(pde, ops.maxphyaddr_bits - 32 + 13, 20))) {
            e->reserved = true;
            return;
        }
        e->gpa = (pde & 0xffc00000) | (((pde >> 13) & 0xff) << 32) | (la & 0x3fffff);
    } else {
        e->touched[e->count++] = (pde & 0xfffff000) + ((la >> 12) & 0x3ff) * 4;
        pte = entry_at(e->touched[1], 4);
        e->present = pte & 1;
        if (!(pte & 1))
            return;
        u = u && (pte & 4);
        w = w && (pte & 2);
        e->gpa = (pte & 0xfffff000) | (la & 0xfff);
    }
    reference_rights(r, access, u, w, true, e);
}

/* 4.4 (levels 3) and 4.5. */
static void reference_64(const struct abi_regs *r, uint64_t la, unsigned levels, uint32_t access, struct expected *e)
{
    bool pae = levels == 3, u = true, w = true, x = true;
    uint64_t table = pae ? r->cr3 & 0xffffffe0 : r->cr3 & 0xfffffff000ull;

    for (unsigned level = levels; level > 0; level--) {
        unsigned low = 12 + 9 * (level - 1);
        uint64_t index = pae && level == 3 ? (la >> 30) & 3 : (la >> low) & 511;
        uint64_t address = table + 8 * index, v = entry_at(address, 8);
        bool large = level == 2 ? (v >> 7) & 1 : level == 3 && !pae && ((v >> 7) & 1);

        e->touched[e->count++] = address;
        e->present = v & 1;
        if (!e->present)
            return;
        e->reserved = bits_set(v, 40, 51);
        if (pae && level == 3) /* bit 5 is reserved, too, but some CPUs set it as "accessed" */
            e->reserved |= bits_set(v, 52, 63) || bits_set(v, 1, 2) || bits_set(v, 6, 8);
        else if (pae)
            e->reserved |= bits_set(v, 52, 62);
        if (!(r->efer & EFER_NXE) && (v >> 63))
            e->reserved = true;
        if (level >= 4 && ((v >> 7) & 1))
            e->reserved = true;
        if (large && bits_set(v, 13, low - 1))
            e->reserved = true;
        if (e->reserved)
            return;
        if (!(pae && level == 3)) {
            u = u && (v & 4);
            w = w && (v & 2);
            x = x && !(v >> 63);
        }
        table = v & 0xfffffff000ull;
        if (large || level == 1) {
            e->gpa = (table >> low << low) + (la & ((1ull << low) - 1));
            break;
        }
    }
    reference_rights(r, access, u, w, x, e);
}

static uint32_t expected_error(const struct abi_regs *r, uint32_t access, const struct expected *e)
{
    uint32_t code = e->present ? 1 : 0;

    if (access & WALK_WRITE)
        code |= 2;
    if (access & WALK_USER)
        code |= 4;
    if (e->reserved)
        code |= 8;
    if ((access & WALK_FETCH) && ((r->cr4 & CR4_SMEP) || ((r->cr4 & CR4_PAE) && (r->efer & EFER_NXE))))
        code |= 16;
    return code;
}

/* Accessed and dirty bits of the reference: of all entries but PAE's PDPTE, if the walk succeeded. */
static void reference_mark(const struct expected *e, unsigned levels, uint32_t access, uint64_t *copy)
{
    for (unsigned i = levels == 3 ? 1 : 0; e->ok && i < e->count; i++)
        if (e->touched[i] < sizeof(memory))
            ((uint8_t *)copy)[e->touched[i]] |= 0x20 | (i + 1 == e->count && (access & WALK_WRITE) ? 0x40 : 0);
}

/* ---- Random tables */

static uint64_t random_entry(uint64_t *seed, bool wide)
{
    uint64_t r = test_random(seed), v = (r & 0xf000) | 7 | (test_random(seed) & 0x60);

    if (wide && (r >> 16) % 8 == 0)
        v |= 1ull << 63;
    if ((r >> 20) % 6 == 0)
        v |= 0x80; /* large, or PAT */
    if ((r >> 24) % 10 == 0)
        v &= ~2ull;
    if ((r >> 28) % 10 == 0)
        v &= ~4ull;
    if ((r >> 32) % 16 == 0)
        v &= ~1ull;
    if ((r >> 36) % 16 == 0)
        v |= 1ull << ((r >> 56) % (wide ? 64 : 32));
    if ((v & 0x80) && (r >> 40) % 2 == 0)
        v &= ~0xff000ull;
    if (!wide && (r >> 44) % 4 == 0)
        v = (v & 0xfff) | (test_random(seed) & 0xfffff000);
    return v;
}

static void random_tables(uint64_t *seed, unsigned levels)
{
    if (levels == 2)
        for (unsigned i = 0; i < sizeof(memory) / 4; i++) {
            uint32_t v = (uint32_t)random_entry(seed, false);

            memcpy((char *)memory + 4 * i, &v, 4);
        }
    else
        for (unsigned i = 0; i < PAGES * 512; i++)
            memory[i] = random_entry(seed, true);
    for (unsigned i = 0; levels == 3 && i < 4; i++) /* PDPTEs with rights would all be reserved */
        memory[i] &= test_random(seed) % 16 ? ~0x80000000000001c6ull : ~0ull;
}

static struct abi_regs random_regs(uint64_t *seed, unsigned levels)
{
    uint64_t r = test_random(seed);
    struct abi_regs regs = {.cr0 = CR0_PE | CR0_PG};

    regs.cr0 |= r & 1 ? CR0_WP : 0;
    regs.cr3 = levels == 3 ? 0x8 : test_random(seed) & 0xf018; /* with PWT, PCD and other bits that are not the base */
    regs.cr4 = (r & 2 ? CR4_SMEP : 0) | (r & 4 ? CR4_SMAP : 0) | (levels == 5 ? CR4_LA57 : 0) | (r & 8 ? CR4_PSE : 0) |
               (levels > 2 ? CR4_PAE : 0);
    regs.efer = (levels > 3 ? EFER_LMA : 0) | (r & 0x30 ? EFER_NXE : 0);
    regs.rflags = r & 0x40 ? RFLAGS_AC : 0;
    return regs;
}

static uint32_t random_access(uint64_t *seed)
{
    static const uint32_t kinds[] = {0,
                                     WALK_WRITE,
                                     WALK_FETCH,
                                     WALK_USER,
                                     WALK_USER | WALK_WRITE,
                                     WALK_USER | WALK_FETCH,
                                     WALK_IMPLICIT,
                                     WALK_IMPLICIT | WALK_WRITE};

    return kinds[test_random(seed) % ARRAY_SIZE(kinds)];
}

static void check_walk(const struct abi_regs *regs, unsigned levels, uint64_t la, uint32_t access, unsigned *good)
{
    static uint64_t copy[PAGES * 512];
    struct expected e = {0};
    uint64_t gpa = 0;
    uint32_t error = 0;
    int result;

    if (levels == 2)
        reference_32(regs, (uint32_t)la, access, &e);
    else
        reference_64(regs, la, levels, access, &e);
    memcpy(copy, memory, sizeof(memory));
    reference_mark(&e, levels, access, copy);
    result = emul_walk(&ops, NULL, regs, la, access, &gpa, &error);
    CHECK_EQ(result, e.ok ? OK : E_FAULT);
    if (e.ok)
        CHECK_EQ(gpa, e.gpa);
    else
        CHECK_EQ(error, expected_error(regs, access, &e));
    CHECK(memcmp(copy, memory, sizeof(memory)) == 0);
    if (e.ok) { /* once more, with nothing to set */
        gpa = 0;
        CHECK_EQ(emul_walk(&ops, NULL, regs, la, access, &gpa, &error), OK);
        CHECK_EQ(gpa, e.gpa);
        CHECK(memcmp(copy, memory, sizeof(memory)) == 0);
    }
    *good += e.ok;
}

static void random_walks(unsigned levels)
{
    uint64_t seed = levels;
    unsigned good = 0;

    for (unsigned t = 0; t < 300; t++) {
        ops.maxphyaddr_bits = levels == 2 && t % 2 ? 36 : 40;
        random_tables(&seed, levels);
        for (unsigned i = 0; i < 100; i++) {
            struct abi_regs regs = random_regs(&seed, levels);
            uint64_t la = test_random(&seed);

            check_walk(&regs, levels, levels < 4 ? (uint32_t)la : la, random_access(&seed), &good);
        }
    }
    CHECK(good > 3000); /* or the tables are too bad to test anything */
}

TEST(random_32_bit)
{
    random_walks(2);
}

TEST(random_pae)
{
    random_walks(3);
}

TEST(random_4_level)
{
    random_walks(4);
}

TEST(random_5_level)
{
    random_walks(5);
}

/* ---- By hand */

TEST(no_paging_is_identity)
{
    struct abi_regs regs = {.cr0 = CR0_PE};
    uint64_t gpa = 0;
    uint32_t error;

    CHECK_EQ(emul_walk(&ops, NULL, &regs, 0x123456789, WALK_WRITE, &gpa, &error), OK);
    CHECK_EQ(gpa, 0x23456789);
}

TEST(tables_outside_ram_fault)
{
    struct abi_regs regs = {.cr0 = CR0_PE | CR0_PG, .cr4 = CR4_PAE, .efer = EFER_LMA | EFER_NXE, .cr3 = 0x80000000};
    uint64_t gpa = 0;
    uint32_t error = 0;

    ops.maxphyaddr_bits = 40;
    CHECK_EQ(emul_walk(&ops, NULL, &regs, 0x1000, 0, &gpa, &error), E_FAULT);
    CHECK_EQ(error, PF_PRESENT | PF_RESERVED);
}

/* Another CPU changes the page directory entry just after the walk has read it, a number of times. */
static unsigned races;

static void *racing_ram(void *ctx, uint64_t address)
{
    (void)ctx;
    if (address >= 0x3000 && races > 0) {
        races--;
        memory[0x2000 / 8] ^= 0x200;
    }
    return address < sizeof(memory) ? (char *)memory + (address & ~0xfffull) : NULL;
}

TEST(a_table_that_changes_is_walked_again)
{
    struct emul_ops racing = {.ram = racing_ram, .maxphyaddr_bits = 40};
    struct abi_regs regs = {.cr0 = CR0_PE | CR0_PG, .cr4 = CR4_PAE, .efer = EFER_LMA};
    uint64_t gpa = 0;
    uint32_t error = 0;

    memset(memory, 0, sizeof(memory));
    memory[0] = 0x1000 | 7;
    memory[0x1000 / 8] = 0x2000 | 7;
    memory[0x2000 / 8] = 0x3000 | 7;
    memory[0x3000 / 8] = 0x5000 | 7;
    races = 3;
    CHECK_EQ(emul_walk(&racing, NULL, &regs, 0x123, WALK_WRITE, &gpa, &error), OK);
    CHECK_EQ(gpa, 0x5123);
    CHECK_EQ(races, 0);
    CHECK_EQ(memory[0x2000 / 8], 0x3227);
    CHECK_EQ(memory[0x3000 / 8], 0x5067);

    memory[0x2000 / 8] = 0x3007;
    races = 1000000;
    CHECK_EQ(emul_walk(&racing, NULL, &regs, 0x123, WALK_WRITE, &gpa, &error), E_AGAIN);
    CHECK(races > 999900);
}

TEST(a_walk_is_bounded)
{
    struct abi_regs regs = {.cr0 = CR0_PE | CR0_PG, .cr4 = CR4_PAE, .efer = EFER_LMA};
    uint64_t gpa = 0;
    uint32_t error = 0;

    memset(memory, 0, sizeof(memory));
    memory[0] = 7; /* every table is itself */
    accesses = 0;
    CHECK_EQ(emul_walk(&ops, NULL, &regs, 0, 0, &gpa, &error), OK);
    CHECK(accesses <= 12); /* one walk to see that there is a bit to set, which makes the next one look again */
}
