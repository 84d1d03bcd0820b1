/* How a vCPU serves its requests: one handler for each row of REQUEST_TABLE (kernel/vm/requests.h). They run on the
 * vCPU's own thread and return false if that has to end. */
#include "kernel/base/asm.h"
#include "kernel/base/percpu.h"
#include "kernel/base/time.h"
#include "kernel/vm/fpu.h"
#include "kernel/vm/msr.h"
#include "kernel/vm/pvclock.h"
#include "kernel/vm/vcpu.h"
#include "lib/string.h"

static bool serve_TEARDOWN(UNUSED struct vcpu *v, UNUSED uint8_t vector)
{
    return false;
}

/* word_take() has done everything for PAUSE and RESUME. */
static bool serve_PAUSE(UNUSED struct vcpu *v, UNUSED uint8_t vector)
{
    return true;
}

static bool serve_RESUME(UNUSED struct vcpu *v, UNUSED uint8_t vector)
{
    return true;
}

/* SDM Vol. 3, 11.4.7.3 and 9.4.4: after INIT, every CPU but the BSP waits for a SIPI. The BSP starts at the reset
 * vector. */
static bool serve_INIT(struct vcpu *v, UNUSED uint8_t vector)
{
    if (vcpu_has_lapic(v))
        lapic_init_signal(v->lapic);
    vcpu_reset(v, true);
    if (v->index == 0)
        word_set_mp(&v->word, MP_RUNNABLE);
    return true;
}

static bool serve_SIPI(struct vcpu *v, uint8_t vector)
{
    if (word_mp(atomic_load(&v->word)) != MP_WAIT_FOR_SIPI)
        return true;

    backend->set_start(v, vector);
    word_set_mp(&v->word, MP_RUNNABLE);
    return true;
}

static bool serve_APIC(struct vcpu *v, UNUSED uint8_t vector)
{
    inhibit_apply(v);
    return true;
}

static bool serve_TIMER(struct vcpu *v, UNUSED uint8_t vector)
{
    if (vcpu_has_lapic(v))
        lapic_timer_expire(v->lapic, tsc_now() + v->tsc_offset);
    return true;
}

/* A CPU has one NMI in service, or about to be, and keeps one more behind it. All others are lost (SDM Vol. 3, 7.7.1;
 * APM Vol. 2, 8.2.3). A CPU that has executed nothing since INIT has none in service. It keeps one NMI until it is
 * started (9.4.2). again: 1 if two NMIs were pending, else 0. */
static bool serve_NMI(struct vcpu *v, uint8_t again)
{
    bool in_service = v->nmi_blocked || (v->event.valid && v->event.type == EVENT_NMI);
    bool not_started = v->entries == v->entries_before_reset;

    v->nmi_pending = (uint8_t)MIN(v->nmi_pending + 1 + again, in_service || not_started ? 1 : 2);
    v->windows = true;
    return true;
}

static bool serve_EVENT(struct vcpu *v, UNUSED uint8_t vector)
{
    if (vcpu_has_lapic(v))
        lapic_drain(v->lapic);
    return true;
}

static bool serve_CLOCK(struct vcpu *v, UNUSED uint8_t vector)
{
    pvclock_write(v);
    return true;
}

static bool (*const handlers[REQUESTS])(struct vcpu *, uint8_t) = {
#define X(name, wakes, waited) [REQ_##name] = serve_##name,
    REQUEST_TABLE(X)
#undef X
};

bool vcpu_serve_requests(struct vcpu *v)
{
    uint8_t vector = 0;

    for (enum request r; (r = word_take(&v->word, &vector)) != REQUESTS;) {
        if (!handlers[r](v, vector))
            return false;
        if (word_quiet(&v->word))
            break;
    }
    return true;
}

/*
 * The requests that can be served between two entries. They change nothing but what the next entry brings into the
 * guest, so their order does not matter, neither among them nor towards a request that comes meanwhile. The kick of
 * that request ends the next entry.
 *
 * NMI is not one of them. An INIT that comes between the look and the taking drops the NMI that was seen. A second NMI
 * may come after that INIT, and has to be served after it. Here, it would be taken for the first one.
 */
#define EVENTS (BIT(REQ_TIMER) | BIT(REQ_EVENT) | BIT(REQ_CLOCK))

static __attribute__((noinline)) void serve_others(struct vcpu *v, uint64_t asked)
{
    for (; asked; asked &= asked - 1) {
        enum request r = (enum request)__builtin_ctzll(asked);
        word_take_event(&v->word, r); /* before the handler: an ask that comes meanwhile sets the bit again */
        (void)!handlers[r](v, 0);
    }
}

enum quick vcpu_serve_events(struct vcpu *v)
{
    uint64_t asked = atomic_load_explicit(&v->word, memory_order_relaxed) & WORD_REQUESTS;
    if ((asked & ~EVENTS) || thread_should_yield() || v->eoi_vector >= 0)
        return QUICK_DONE;

    /* EVENT's handler is not called: vcpu_prepare_events() drains the posted vectors. */
    if (asked & BIT(REQ_EVENT))
        word_take_event(&v->word, REQ_EVENT);
    if (asked & ~BIT(REQ_EVENT))
        serve_others(v, asked & ~BIT(REQ_EVENT));
    return vcpu_prepare_events(v, WHERE_GUEST);
}

/* SDM Vol. 3, table 10-1. */
void vcpu_reset(struct vcpu *v, bool init)
{
    enum { CR0_ET = 1 << 4, CR0_NW = 1 << 29, CR0_CD = 1 << 30 };
    struct abi_regs old, r;

    backend->get_regs(v, &old);

    memset(&r, 0, sizeof r);
    for (unsigned i = 0; i < ABI_SEGS; i++)
        r.seg[i] = (struct abi_segment){.attr = ABI_SEG_P | ABI_SEG_S | 3, .limit = 0xffff};
    r.seg[ABI_CS] = (struct abi_segment){
        .selector = 0xf000, .attr = ABI_SEG_P | ABI_SEG_S | 11, .limit = 0xffff, .base = 0xffff0000};
    r.gdtr.limit = r.idtr.limit = 0xffff;
    r.ldtr = (struct abi_segment){.attr = ABI_SEG_P | 2, .limit = 0xffff};
    r.tr = (struct abi_segment){.attr = ABI_SEG_P | 11, .limit = 0xffff};

    r.rip = 0xfff0;
    r.rflags = 2;
    r.cr0 = CR0_ET | (init ? old.cr0 & (CR0_CD | CR0_NW) : 0);
    r.gpr[ABI_RDX] = cpuid(1, 0).eax;
    backend->set_regs(v, &r);
    backend->release(v); /* so the next entry takes a new ASID or VPID, which has no cached translations */

    v->event.valid = v->nmi_blocked = false;
    v->nmi_pending = 0;
    v->entries_before_reset = v->entries;
    msr_init(v);
}
