#include "kernel/worlds/world.h"

#include "abi/world.h"
#include "kernel/base/asm.h"
#include "kernel/base/boot.h"
#include "kernel/base/panic.h"
#include "kernel/base/percpu.h"
#include "kernel/base/time.h"
#include "lib/string.h"

extern const uint8_t device_image[], control_image[];

static const struct world_header *header_of(const struct world *w)
{
    return (const struct world_header *)((w->vm ? device_image : control_image) + WORLD_HEADER_OFFSET);
}

static unsigned order_for(uint64_t bytes)
{
    unsigned order = 0;
    while ((PAGE_SIZE << order) < bytes)
        order++;
    return order;
}

/*
 * Text and constants are mapped from root's image, and all worlds of the same kind share these pages. Each world has
 * its own copy of the data.
 */
static int map_program(struct world *w)
{
    const struct world_header *h = header_of(w);
    const uint8_t *image = w->vm ? device_image : control_image;
    uint64_t text = h->text_end - WORLD_IMAGE_BASE, rodata = h->rodata_end - h->text_end;
    uint64_t data = ALIGN_UP(h->bss_end - h->rodata_end, PAGE_SIZE);
    paddr_t at = pa((uint64_t)image - KERNEL_BASE);

    ASSERT(memcmp(h->magic, WORLD_HEADER_MAGIC, sizeof h->magic) == 0);

    if (pt_map(w->pt, WORLD_IMAGE_BASE, at, text, PT_USER | PT_EXEC) ||
        pt_map(w->pt, h->text_end, pa(at.v + text), rodata, PT_USER))
        return E_NOMEM;

    if (data == 0)
        return OK;

    w->data_order = order_for(data);
    w->data = page_alloc(w->data_order);
    if (!w->data)
        return E_NOMEM;

    memcpy(w->data, image + text + rodata, h->data_end - h->rodata_end);
    return pt_map(w->pt, h->rodata_end, page_to_pa(w->data), data, PT_USER | PT_WRITE);
}

static int map_slot(struct world *w, uint32_t slot)
{
    uint64_t stack = WORLD_STACKS_BASE + slot * WORLD_STACK_STRIDE + WORLD_STACK_STRIDE - WORLD_STACK_SIZE;

    w->pages[slot] = page_alloc(0);
    w->stacks[slot] = page_alloc(order_for(WORLD_STACK_SIZE));
    if (!w->pages[slot] || !w->stacks[slot])
        return E_NOMEM;

    if (pt_map(w->pt, WORLD_PAGES_BASE + slot * PAGE_SIZE, page_to_pa(w->pages[slot]), PAGE_SIZE, PT_USER | PT_WRITE))
        return E_NOMEM;
    return pt_map(w->pt, stack, page_to_pa(w->stacks[slot]), WORLD_STACK_SIZE, PT_USER | PT_WRITE);
}

static int map_info(struct world *w)
{
    w->info = page_alloc(order_for(ABI_INFO_PAGES * PAGE_SIZE));
    if (!w->info)
        return E_NOMEM;

    w->info->tsc_hz = tsc_hz();
    w->info->boot_tsc = boot_wall_tsc();
    w->info->boot_wall_s = boot_wall_seconds();
    w->info->cpu_count = cpu_count();
    w->info->module_count = boot.module_count;

    for (uint32_t i = 0; i < boot.module_count; i++) {
        w->info->modules[i].size = boot.modules[i].size;
        memcpy(w->info->modules[i].name, boot.modules[i].name, ABI_MODULE_NAME_SIZE);
    }

    return pt_map(w->pt, WORLD_INFO_BASE, page_to_pa(w->info), ABI_INFO_PAGES * PAGE_SIZE, PT_USER);
}

static int map_console(struct world *w)
{
    w->console = page_alloc(order_for(sizeof *w->console));
    if (!w->console)
        return E_NOMEM;

    return pt_map(w->pt, WORLD_CONSOLE_BASE, page_to_pa(w->console), sizeof *w->console, PT_USER | PT_WRITE);
}

struct world *world_create(struct vm *vm, uint32_t slots)
{
    static_assert(sizeof(struct world) <= 2 * PAGE_SIZE, "fits two pages");

    struct world *w = page_alloc(1);
    if (!w)
        return NULL;

    w->vm = vm;
    w->slots = slots;
    w->pt = pt_create();

    int err = w->pt ? map_program(w) : E_NOMEM;
    err = err ? err : map_info(w);
    err = err || !vm ? err : map_console(w);
    for (uint32_t slot = 0; slot < slots && !err; slot++)
        err = map_slot(w, slot);

    if (!err)
        return w;
    world_destroy(w);
    return NULL;
}

void world_destroy(struct world *w)
{
    if (!w)
        return;

    thread_destroy(w->worker);
    for (uint32_t slot = 0; slot < w->slots; slot++) {
        page_free(w->pages[slot], 0);
        page_free(w->stacks[slot], order_for(WORLD_STACK_SIZE));
    }

    page_free(w->console, order_for(sizeof *w->console));
    page_free(w->info, order_for(ABI_INFO_PAGES * PAGE_SIZE));
    page_free(w->data, w->data_order);
    pt_destroy(w->pt);
    page_free(w, 1);
}

static uint64_t console_address(uint32_t vm)
{
    return WORLD_CONSOLE_BASE + vm * sizeof(struct abi_console);
}

int world_map_console(struct world *control, uint32_t vm, const struct abi_console *console)
{
    return pt_map(control->pt, console_address(vm), page_to_pa(console), sizeof *console, PT_USER | PT_WRITE);
}

void world_unmap_console(struct world *control, uint32_t vm)
{
    pt_unmap(control->pt, console_address(vm), sizeof(struct abi_console));

    /*
     * Control has one thread, the caller, so only this CPU's TLB can have the entry: another CPU's was flushed when the
     * thread left that CPU.
     */
    write_cr3(read_cr3());
}

int world_map_module(struct world *w, uint32_t module)
{
    const struct boot_module *m = &boot.modules[module];
    if (w->info->modules[module].address || m->size == 0 || m->base % PAGE_SIZE)
        return OK;

    uint64_t at = WORLD_MODULES_BASE;
    for (uint32_t i = 0; i < module; i++)
        at += ALIGN_UP(boot.modules[i].size, LARGE_PAGE_SIZE) + LARGE_PAGE_SIZE;
    at += m->base % LARGE_PAGE_SIZE; /* so that large pages can be used */

    int err = pt_map(w->pt, at, pa(m->base), ALIGN_UP(m->size, PAGE_SIZE), PT_USER);
    if (!err)
        w->info->modules[module].address = at;
    return err;
}
