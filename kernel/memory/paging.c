#include "kernel/memory/paging.h"

#include "kernel/base/asm.h"
#include "kernel/base/log.h"
#include "kernel/base/panic.h"
#include "kernel/base/percpu.h"
#include "lib/string.h"

enum { P = 1, W = 2, U = 4, PWT = 8, PCD = 16, PS = 128, G = 256 };
#define NX           BIT(63)
#define ADDRESS_MASK 0x000ffffffffff000ull
#define ENTRIES      512
#define WINDOWS_BASE (DEVICES_BASE + (1ull << 32)) /* one window for each CPU; one page table maps all of them */
#define KERNEL_SLOT  256                           /* the first top-level entry of root's half */

static uint64_t *root;
static bool huge_pages;
static uint64_t device_next = DEVICES_BASE;

static uint64_t *table_of(uint64_t entry)
{
    return pa_to_page(pa(entry & ADDRESS_MASK));
}

static unsigned slot_of(uint64_t va, unsigned level)
{
    return va >> (PAGE_SHIFT + 9 * level) & (ENTRIES - 1);
}

/*
 * The entry for va at `level` (0: of a 4 KiB page). With `alloc`, missing tables on the way are made. NULL: there is no
 * such entry, or no memory.
 */
static uint64_t *entry_of(uint64_t *pt, uint64_t va, unsigned level, bool alloc)
{
    ASSERT(pt);

    for (unsigned l = 3; l > level; l--) {
        uint64_t *e = &pt[slot_of(va, l)];
        if (!(*e & P)) {
            uint64_t *table = alloc ? page_alloc(0) : NULL;
            if (!table)
                return NULL;
            *e = page_to_pa(table).v | P | W | (va < KERNEL_MAPPED_BASE ? U : 0);
        } else if (*e & PS) {
            return NULL;
        }
        pt = table_of(*e);
    }

    return &pt[slot_of(va, level)];
}

static unsigned level_for(uint64_t va, uint64_t to, uint64_t size)
{
    uint64_t both = va | to;

    if (huge_pages && both % HUGE_PAGE_SIZE == 0 && size >= HUGE_PAGE_SIZE)
        return 2;
    return both % LARGE_PAGE_SIZE == 0 && size >= LARGE_PAGE_SIZE ? 1 : 0;
}

int pt_map(uint64_t *pt, uint64_t va, paddr_t to, uint64_t size, uint32_t flags)
{
    uint64_t bits = P | (flags & PT_WRITE ? W : 0) | (flags & PT_USER ? U : G) | (flags & PT_EXEC ? 0 : NX) |
                    (flags & PT_UNCACHED ? PCD | PWT : 0);

    for (uint64_t done = 0; done < size;) {
        unsigned level = level_for(va + done, to.v + done, size - done);
        uint64_t *e = entry_of(pt ? pt : root, va + done, level, true);
        if (!e) {
            pt_unmap(pt, va, done);
            return E_NOMEM;
        }

        ASSERT(!(*e & P));
        *e = (to.v + done) | bits | (level ? PS : 0);
        done += PAGE_SIZE << 9 * level;
    }

    return OK;
}

void pt_unmap(uint64_t *pt, uint64_t va, uint64_t size)
{
    for (uint64_t done = 0; done < size;) {
        uint64_t step = PAGE_SIZE;

        for (unsigned level = 0; level < 3; level++) {
            uint64_t *e = entry_of(pt ? pt : root, va + done, level, false);
            if (e && (*e & P) && (level == 0 || (*e & PS))) {
                *e = 0;
                step = PAGE_SIZE << 9 * level;
                break;
            }
        }

        done += step;
    }
}

uint64_t *pt_create(void)
{
    uint64_t *pt = page_alloc(0);
    if (pt)
        memcpy(pt + KERNEL_SLOT, root + KERNEL_SLOT, (ENTRIES - KERNEL_SLOT) * sizeof *pt);
    return pt;
}

static void free_tables(uint64_t *table, unsigned level, unsigned end)
{
    for (unsigned i = 0; level > 0 && i < end; i++)
        if ((table[i] & P) && !(table[i] & PS))
            free_tables(table_of(table[i]), level - 1, ENTRIES);
    page_free(table, 0);
}

void pt_destroy(uint64_t *pt)
{
    if (pt)
        free_tables(pt, 3, KERNEL_SLOT);
}

static int map_image(const char *from, const char *to, uint32_t flags)
{
    return pt_map(root, (uint64_t)from, pa((uint64_t)from - KERNEL_BASE), (uint64_t)(to - from), flags);
}

bool paging_init(void)
{
    huge_pages = cpuid(0x80000001, 0).edx >> 26 & 1;
    root = page_alloc(0);
    if (!root)
        return false;

    /* The top-level entries of root's half must exist before a world copies them. */
    const uint64_t halves[] = {DIRECT_MAP_BASE, KSTACKS_BASE, DEVICES_BASE};
    for (unsigned i = 0; i < ARRAY_SIZE(halves); i++)
        if (!entry_of(root, halves[i], 2, true))
            return false;

    struct mem_counts m = mem_counts();
    if (!entry_of(root, WINDOWS_BASE, 0, true))
        return false;

    /* The lowest page of the boot stack is not mapped: it is the stack's guard. */
    if (map_image(kernel_start, kernel_text_end, PT_EXEC) || map_image(kernel_text_end, kernel_rodata_end, 0) ||
        map_image(kernel_rodata_end, boot_stack_bottom, PT_WRITE) ||
        map_image(boot_stack_bottom + PAGE_SIZE, kernel_end, PT_WRITE) || map_image(kernel_end, symbols_end, 0) ||
        pt_map(root, DIRECT_MAP_BASE + m.pool_base, pa(m.pool_base), m.pool_total, PT_WRITE))
        return false;

    paging_enable();
    return true;
}

paddr_t paging_root(void)
{
    return page_to_pa(root);
}

void paging_enable(void)
{
    enum { CR0_MP = 2, CR0_EM = 4, CR0_TS = 8, CR0_WP = 1 << 16, CR0_AM = 1 << 18 };
    enum {
        CR4_DE = 1 << 3,
        CR4_PAE = 1 << 5,
        CR4_MCE = 1 << 6,
        CR4_PGE = 1 << 7,
        CR4_OSFXSR = 3 << 9,
        CR4_UMIP = 1 << 11,
        CR4_OSXSAVE = 1 << 18,
        CR4_SMEP = 1 << 20,
        CR4_SMAP = 1 << 21
    };

    wrmsr(0xc0000080, rdmsr(0xc0000080) | 1 << 11); /* EFER.NXE */
    write_cr3(page_to_pa(root).v);
    write_cr0((read_cr0() & ~(uint64_t)(CR0_EM | CR0_TS | 3ull << 29)) | CR0_WP | CR0_MP);

    /* No bit of the firmware's stays set: ring 3 has no WRGSBASE and no RDPMC (docs/security.md). */
    uint64_t cr4 = CR4_DE | CR4_PAE | CR4_PGE | CR4_OSFXSR;
    struct cpuid seven = cpuid(0, 0).eax >= 7 ? cpuid(7, 0) : (struct cpuid){0, 0, 0, 0};
    cr4 |= (seven.ebx >> 7 & 1 ? CR4_SMEP : 0) | (seven.ebx >> 20 & 1 ? CR4_SMAP : 0) |
           (seven.ecx >> 2 & 1 ? CR4_UMIP : 0);
    cr4 |= cpuid(1, 0).ecx >> 26 & 1 ? CR4_OSXSAVE : 0;
    cr4 |= cpuid(1, 0).edx >> 7 & 1 ? CR4_MCE : 0; /* a machine check is then handled, and not a reset */
    write_cr4(cr4);
}

volatile void *map_device(paddr_t base, uint64_t size)
{
    uint64_t offset = base.v % PAGE_SIZE, pages = ALIGN_UP(offset + size, PAGE_SIZE), va = device_next;

    if (pt_map(root, va, pa(base.v - offset), pages, PT_WRITE | PT_UNCACHED))
        return NULL;

    device_next = va + pages + PAGE_SIZE;
    return (volatile void *)(va + offset);
}

void *window_map(paddr_t page, bool write)
{
    static_assert(ABI_MAX_CPUS * 2 <= ENTRIES, "one table");
    uint64_t window = WINDOWS_BASE + this_cpu()->index * 2 * PAGE_SIZE;

    *entry_of(root, window, 0, false) = (page.v & ADDRESS_MASK) | P | NX | (write ? W : 0);
    return (void *)window;
}

void window_unmap(void)
{
    uint64_t window = WINDOWS_BASE + this_cpu()->index * 2 * PAGE_SIZE;
    *entry_of(root, window, 0, false) = 0;
    invlpg((void *)window);
}

static uint64_t check(const uint64_t *table, unsigned level, bool writable, bool executable, uint64_t *violations)
{
    uint64_t pages = 0;

    for (unsigned i = 0; i < ENTRIES; i++) {
        uint64_t e = table[i];
        bool w = writable && (e & W), x = executable && !(e & NX);
        if (!(e & P))
            continue;

        if (level > 0 && !(e & PS)) {
            pages += check(table_of(e), level - 1, w, x, violations);
        } else {
            pages++;
            *violations += w && x;
        }
    }

    return pages;
}

void pt_check_wx(const uint64_t *pt, const char *whose)
{
    uint64_t violations = 0, pages = check(pt ? pt : root, 3, true, true, &violations);

    log_line(violations ? LOG_ERROR
             : pt       ? LOG_DEBUG
                        : LOG_INFO,
             "W^X: %s: %lu pages checked, %lu violations", whose, pages, violations);
}
