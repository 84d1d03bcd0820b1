/* Pages, stacks and address spaces. What has been freed is used again as late as possible, and known as freed. */
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/core/core.h"

#define ARENA_PAGES 8192
#define ORDERS      6
#define STACK_SIZE  (128ull << 10)
#define STACKS      256

static uint8_t arena[ARENA_PAGES][PAGE_SIZE] __attribute__((aligned(1 << 18)));
static uint8_t freed[ARENA_PAGES];
static uint32_t next_page, used_pages;
static struct {
    uint32_t page[ARENA_PAGES], first, last;
} queue[ORDERS]; /* freed blocks, oldest first */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static uint8_t *stacks;
static uint16_t free_stacks[STACKS];
static uint32_t free_stack_count;

void memory_init(void)
{
    if (!stacks)
        stacks = mmap(NULL, STACKS * STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (stacks == MAP_FAILED)
        core_fail("no memory for stacks");
    memset(freed, 0, sizeof freed);
    memset(queue, 0, sizeof queue);
    next_page = used_pages = 0;
    free_stack_count = STACKS;
    for (uint32_t i = 0; i < STACKS; i++)
        free_stacks[i] = (uint16_t)i;
}

uint64_t memory_pages(void)
{
    return used_pages;
}

bool memory_is_freed(const void *address)
{
    uint64_t offset = (uint64_t)address - (uint64_t)arena;
    return offset < sizeof arena && __atomic_load_n(&freed[offset / PAGE_SIZE], __ATOMIC_RELAXED);
}

void *page_alloc(unsigned order)
{
    uint32_t n = 1u << order, at;
    pthread_mutex_lock(&lock);
    if (next_page + n <= ARENA_PAGES) {
        at = next_page;
        next_page += n;
    } else if (queue[order].first != queue[order].last) {
        at = queue[order].page[queue[order].first++ % ARENA_PAGES];
    } else {
        core_fail("the arena is full");
    }
    for (uint32_t i = 0; i < n; i++)
        __atomic_store_n(&freed[at + i], 0, __ATOMIC_RELAXED);
    used_pages += n;
    pthread_mutex_unlock(&lock);
    return memset(arena[at], 0, n * PAGE_SIZE);
}

void page_free(void *pages, unsigned order)
{
    if (!pages)
        return;
    uint32_t n = 1u << order, at = (uint32_t)(((uint64_t)pages - (uint64_t)arena) / PAGE_SIZE);
    if (memory_is_freed(pages))
        core_fail("page %p is freed twice", pages);
    memset(pages, 0xdb, n * PAGE_SIZE); /* a write, for ThreadSanitizer */
    pthread_mutex_lock(&lock);
    for (uint32_t i = 0; i < n; i++)
        __atomic_store_n(&freed[at + i], 1, __ATOMIC_RELAXED);
    queue[order].page[queue[order].last++ % ARENA_PAGES] = at;
    used_pages -= n;
    pthread_mutex_unlock(&lock);
}

uint64_t kstack_alloc(void)
{
    pthread_mutex_lock(&lock);
    if (!free_stack_count)
        core_fail("no stack left");
    uint8_t *stack = stacks + free_stacks[--free_stack_count] * STACK_SIZE;
    pthread_mutex_unlock(&lock);
    core_stack_made(stack);
    return (uint64_t)stack + STACK_SIZE;
}

void kstack_free(uint64_t top)
{
    if (!top)
        return;
    uint8_t *stack = (uint8_t *)(top - STACK_SIZE);
    core_stack_gone(stack);
    pthread_mutex_lock(&lock);
    free_stacks[free_stack_count++] = (uint16_t)((uint64_t)(stack - stacks) / STACK_SIZE);
    pthread_mutex_unlock(&lock);
}

/* The first bytes of a thread's stack are the harness' own; NULL: a CPU's idle thread. */
struct core_stack *core_stack_of(const struct thread *t)
{
    return t->kstack ? (struct core_stack *)(t->kstack - STACK_SIZE) : NULL;
}

struct mem_counts mem_counts(void)
{
    return (struct mem_counts){.pool_total = sizeof arena, .pool_free = sizeof arena - used_pages * PAGE_SIZE};
}

/* ---- Address spaces: nobody looks into them */

int frames_alloc(uint64_t bytes, struct frame_extent *out, uint32_t max)
{
    (void)max;
    out[0] = (struct frame_extent){.base = pa(0x40000000), .size = bytes};
    return 1;
}

void frames_free(const struct frame_extent *extents, uint32_t count)
{
    (void)extents;
    (void)count;
}

paddr_t paging_root(void)
{
    return pa(0);
}

int pt_map(uint64_t *pt, uint64_t va, paddr_t to, uint64_t size, uint32_t flags)
{
    (void)pt, (void)va, (void)to, (void)size, (void)flags;
    return OK;
}

void pt_check_wx(const uint64_t *pt, const char *whose)
{
    (void)pt, (void)whose;
}

void kstack_sync(void)
{
}

/* ---- Worlds */

struct world *control_world;

struct world *world_create(struct vm *vm, uint32_t slots)
{
    struct world *w = page_alloc(2);
    static_assert(sizeof(struct world) <= 4 * PAGE_SIZE && ABI_INFO_PAGES <= 8, "fits");
    w->vm = vm;
    w->slots = slots;
    w->pt = page_alloc(0);
    w->info = page_alloc(3);
    for (uint32_t i = 0; i < slots; i++)
        w->pages[i] = page_alloc(0);
    return w;
}

void world_destroy(struct world *w)
{
    if (!w)
        return;
    for (uint32_t i = 0; i < w->slots; i++)
        page_free(w->pages[i], 0);
    thread_destroy(w->worker);
    page_free(w->info, 3);
    page_free(w->pt, 0);
    page_free(w, 2);
}

int world_map_console(struct world *control, uint32_t vm, const struct abi_console *console)
{
    (void)control, (void)vm, (void)console;
    return OK;
}

void world_unmap_console(struct world *control, uint32_t vm)
{
    (void)control, (void)vm;
}

int world_map_module(struct world *w, uint32_t module)
{
    (void)w, (void)module;
    return OK;
}
