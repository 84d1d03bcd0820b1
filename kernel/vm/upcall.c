/* Upcalls: root asks the device world, on the vCPU's thread, and does what the answer says. */
#include "kernel/base/log.h"
#include "kernel/vm/vcpu.h"
#include "kernel/worlds/user.h"
#include "lib/breakpoints.h"
#include "lib/string.h"

enum { RFLAGS_TF = 1 << 8, RFLAGS_RF = 1 << 16, DR6_HITS = 0xf, DR6_BS = 1 << 14, DR6_BT = 1 << 15 };

/* Injects the debug trap behind an instruction that root or the device world has done: of a single step, a task switch
 * or a breakpoint. */
static void inject_trap(struct vcpu *v, uint32_t dr6)
{
    backend->add_dr6(v, dr6 & (DR6_HITS | DR6_BS | DR6_BT));
    vcpu_inject_exception(v, VECTOR_DB, false, 0);
}

/* Does what the flags of an answer ask for: OK, or E_INTR: the VM ends. */
__attribute__((noinline)) static int carry_out(struct vcpu *v, enum abi_upcall_kind kind, uint32_t flags)
{
    const struct abi_reply *r = &v->page->reply;
    const struct abi_regs *regs = &v->page->regs;

    if (flags & ABI_REPLY_END) {
        vm_end(v->vm, ABI_END_EMULATION, 0);
        return E_INTR;
    }

    if (flags & ABI_REPLY_REGS) {
        memcpy(v->gpr, regs->gpr, sizeof v->gpr);
        backend->set_rip(v, regs->rip);
        backend->set_rflags(v, regs->rflags);
        backend->set_cr2(v, regs->cr2);
    }
    if ((flags & ABI_REPLY_TASK) && kind == ABI_UPCALL_TASK_SWITCH)
        backend->switch_task(v, regs, r->pdpte);
    if ((flags & ABI_REPLY_SYSTEM) && kind == ABI_UPCALL_EMULATE)
        backend->set_system(v, regs);

    if ((flags & ABI_REPLY_EXCEPTION) && (r->vector & 31) == VECTOR_DB)
        inject_trap(v, r->value);
    else if (flags & ABI_REPLY_EXCEPTION)
        vcpu_inject_exception(v, (uint8_t)(r->vector & 31), flags & ABI_REPLY_ERROR_CODE, r->error_code);
    if (flags & ABI_REPLY_SHADOW)
        backend->set_shadow(v);
    return OK;
}

static inline __attribute__((always_inline)) int enter_world(struct vcpu *v, enum abi_upcall_kind kind)
{
    struct thread *t = v->thread;

    /* vm_end() pokes each thread once. This thread may have been poked before, and slept since then. */
    if (atomic_load(&v->vm->ending))
        return E_INTR;

    v->page->upcall.kind = kind;
    t->upcall_ticks = t->se.run_ticks;
    if (user_enter(WORLD_IMAGE_BASE, v->world_rsp, t->slot))
        return E_INTR;

    uint32_t flags = v->page->reply.flags;
    return flags ? carry_out(v, kind, flags) : OK;
}

int vcpu_enter_world(struct vcpu *v, enum abi_upcall_kind kind)
{
    return enter_world(v, kind);
}

bool vcpu_ask_length(struct vcpu *v)
{
    if (vcpu_upcall(v, ABI_UPCALL_LENGTH) || (v->page->reply.flags & ABI_REPLY_EXCEPTION))
        return false;

    uint32_t told = v->page->reply.length;
    if (told < 1 || told > 15) {
        log_vm_line(v->vm->id, LOG_ERROR, "guest %s: its device world found an instruction of %u bytes",
                    v->vm->config.name, told);
        vm_end(v->vm, ABI_END_WORLD_CRASH, 0);
        return false;
    }

    v->exit.instruction_length = (uint8_t)told;
    return true;
}

/* Moves RIP behind the instruction. hits: the breakpoints that the instruction has met, as bits of DR6. These and a
 * single step make one trap behind the instruction. False: as vcpu_ask_length(). */
static __attribute__((noinline)) bool skip(struct vcpu *v, uint32_t hits)
{
    if (!vcpu_find_length(v))
        return false;

    backend->set_rip(v, backend->get_rip(v) + v->exit.instruction_length);
    uint64_t rflags = backend->get_rflags(v);
    if (rflags & RFLAGS_RF) /* each instruction clears RF when it is done (SDM Vol. 3, 18.3.1.1) */
        backend->set_rflags(v, rflags & ~(uint64_t)RFLAGS_RF);

    uint32_t dr6 = hits | (rflags & RFLAGS_TF ? DR6_BS : 0);
    if (dr6)
        inject_trap(v, dr6);
    return true;
}

bool vcpu_skip_slowly(struct vcpu *v)
{
    return skip(v, 0);
}

/* As skip(), for an IN or OUT whose port may have a breakpoint (SDM Vol. 3, 18.2.4). */
static __attribute__((noinline)) bool skip_watched(struct vcpu *v)
{
    enum { CR4_DE = 1 << 3 };
    const struct abi_io *access = &v->exit.u.io.access;
    struct abi_regs *regs = &v->page->regs;

    backend->get_regs(v, regs);
    bool on = regs->cr4 & CR4_DE;
    return skip(v, on ? breakpoint_hits(regs->dr7, regs->dr, access->port, access->size, BREAK_ON_IO) : 0);
}

void vcpu_do_io(struct vcpu *v)
{
    static const uint32_t masks[] = {[1] = 0xff, [2] = 0xffff, [4] = 0xffffffff};
    const struct exit *e = &v->exit;
    struct abi_page *page = v->page;
    uint64_t *rax = &v->gpr[ABI_RAX];

    if (e->u.io.string) {
        memset(&page->upcall.u, 0, sizeof page->upcall.u);
        (void)!vcpu_upcall(v, ABI_UPCALL_EMULATE);
        return;
    }

    page->upcall.u.io.access = e->u.io.access;
    page->upcall.u.io.value = (uint32_t)*rax & masks[e->u.io.access.size];
    if (enter_world(v, ABI_UPCALL_IO))
        return;

    uint32_t value = page->reply.value;
    bool done = e->u.io.watched ? skip_watched(v) : vcpu_skip(v);
    if (!done || e->u.io.access.write)
        return;

    if (e->u.io.access.size == 1)
        *(uint8_t *)rax = (uint8_t)value;
    else if (e->u.io.access.size == 2)
        *(uint16_t *)rax = (uint16_t)value;
    else
        *rax = value; /* clears the upper half of RAX */
}
