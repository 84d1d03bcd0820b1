#include "kernel/worlds/control.h"

#include "kernel/base/boot.h"
#include "kernel/base/log.h"
#include "kernel/base/panic.h"
#include "kernel/base/serial.h"
#include "kernel/base/trap_frame.h"
#include "kernel/worlds/user.h"

struct world *control_world;

void control_wake(void)
{
    if (control_world)
        thread_wake(control_world->worker);
}

static void crashed(UNUSED struct thread *t, const struct trap_frame *f, uint64_t address, const char *meaning)
{
    panic("control crashed: exception %lu (error code %lx) at %lx, address %lx%s", f->vector, f->error_code, f->rip,
          address, meaning);
}

static void control_main(UNUSED void *arg)
{
    uint64_t stack = WORLD_STACKS_BASE + WORLD_STACK_STRIDE;

    user_enter(WORLD_IMAGE_BASE, stack - 8, ABI_SLOT_WORKER);
    panic("control has left");
}

bool control_start(const struct thread_owner *owner)
{
    static struct sched_group control_group;
    sched_group_init(&control_group, ABI_MAX_VMS, SCHED_MAX_WEIGHT, SCHED_NO_LIMIT);

    struct world *w = world_create(NULL, 1);
    struct thread *t = w ? thread_create(control_main, NULL, &control_group, NULL) : NULL;
    if (!t)
        return false;

    w->worker = t;
    w->crashed = crashed;
    t->owner = owner;

    w->info->rsdp = acpi.rsdp;
    for (uint32_t i = 0; i < boot.module_count; i++)
        if (world_map_module(w, i))
            return false;

    pt_check_wx(w->pt, "control");

    t->world = w;
    t->cr3 = page_to_pa(w->pt).v;
    control_world = w;

    serial_enable_input();
    w->info->log_from = log_hand_over();
    control_wake();
    return true;
}
