#include "kernel/worlds/user.h"

#include "kernel/base/asm.h"
#include "kernel/base/percpu.h"
#include "kernel/cpu/trap.h"
#include "kernel/threads/schedule.h"
#include "lib/string.h"

static_assert(offsetof(struct thread, user_rsp0) == 0 && offsetof(struct thread, vcpu) == 8 &&
                  offsetof(struct percpu, kernel_rsp) == 8 && offsetof(struct percpu, user_rsp) == 16 &&
                  offsetof(struct percpu, current) == 32 && offsetof(struct percpu, tss.rsp) == 76 &&
                  offsetof(struct percpu, tss.ist[PERCPU_IST_HANDLED]) == 132,
              "kernel/worlds/user.asm and kernel/cpu/trap.asm know");

void user_return(void)
{
    struct thread *t = current_thread();

    /* This comes before the look at `leave`: thread_poke() does not interrupt a thread that is off its CPU. */
    if (thread_should_yield())
        schedule(true);

    if (t->leave || (t->world && atomic_load(&t->world->ending)))
        user_leave(E_INTR);
}

void user_zero(uint64_t address, uint64_t size)
{
    bool smap = read_cr4() >> 21 & 1;

    if (smap)
        __asm__ volatile("stac" ::: "memory");
    memset((void *)address, 0, size);
    if (smap)
        __asm__ volatile("clac" ::: "memory");
}

/* What an exception in ring 3 means, for the end of the line in the log. */
static const char *meaning(uint64_t vector)
{
    enum { VECTOR_NM = 7, VECTOR_MC = 18 };

    switch (vector) {
    case VECTOR_NM:
        return ": x87, MMX, SSE and AVX registers are guests', and no world may use them";
    case VECTOR_MC:
        return ": a machine check: what it did is lost to an error of the hardware";
    default:
        return "";
    }
}

static void fault(const struct trap_frame *f)
{
    enum { VECTOR_PF = 14 };
    struct thread *t = current_thread();

    t->world->crashed(t, f, f->vector == VECTOR_PF ? read_cr2() : 0, meaning(f->vector));
}

void user_init(void)
{
    trap_register_user_fault(fault);
}
