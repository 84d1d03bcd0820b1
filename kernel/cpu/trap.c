#include "kernel/cpu/trap.h"

#include "kernel/base/asm.h"
#include "kernel/base/backtrace.h"
#include "kernel/base/panic.h"
#include "kernel/base/percpu.h"
#include "kernel/cpu/apic.h"
#include "kernel/cpu/key.h"
#include "kernel/cpu/stray.h"

enum { VECTOR_NMI = 2, VECTOR_DF = 8, VECTOR_MC = 18, FIRST_IRQ = 32, HLT = 0xf4, CR4_SMAP = 1 << 21 };

struct gate { /* SDM Vol. 3, 7.14.1 */
    uint16_t offset_0, selector;
    uint8_t ist, type;
    uint16_t offset_16;
    uint32_t offset_32, reserved;
};
static_assert(sizeof(struct gate) == 16, "IDT gate layout");

static struct gate idt[256];
static void (*irq_handlers[256])(void);
static void (*nmi_handler)(void);
static void (*user_fault)(const struct trap_frame *frame);
static bool (*machine_check)(const struct trap_frame *frame);
extern const uint64_t trap_stubs[256];

static const char *const names[] = {"#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM", "#DF", "9",   "#TS",
                                    "#NP", "#SS", "#GP", "#PF", "15",  "#MF", "#AC", "#MC", "#XM", "#VE", "#CP"};

void trap_dispatch(struct trap_frame *f);
void irq_dispatch(uint8_t vector);

void trap_init(void)
{
    for (unsigned v = 0; v < 256; v++) {
        uint64_t stub = trap_stubs[v];
        idt[v] = (struct gate){.offset_0 = (uint16_t)stub,
                               .selector = SEL_KERNEL_CS,
                               .ist = v == VECTOR_DF    ? 1
                                      : v == VECTOR_NMI ? 2
                                      : v == VECTOR_MC  ? 3
                                                        : 0,
                               .type = 0x8e,
                               .offset_16 = (uint16_t)(stub >> 16),
                               .offset_32 = (uint32_t)(stub >> 32)};
    }

    trap_load();
}

void trap_load(void)
{
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) idtr = {sizeof idt - 1, (uint64_t)idt};

    __asm__ volatile("lidt %0" ::"m"(idtr));
}

void trap_use_smap(void)
{
    extern const uint64_t smap_sites_start[], smap_sites_end[];
    static const uint8_t clac[] = {0x0f, 0x01, 0xca};

    if (!(read_cr4() & CR4_SMAP)) /* without SMAP, CLAC is an invalid opcode */
        return;

    for (const uint64_t *at = smap_sites_start; at < smap_sites_end; at++)
        code_write(*at, clac, sizeof clac);
    (void)cpuid(0, 0);
}

void irq_register(uint8_t vector, void (*handler)(void))
{
    ASSERT(vector >= FIRST_IRQ && !irq_handlers[vector]);
    irq_handlers[vector] = handler;
}

void trap_register_nmi(void (*handler)(void))
{
    nmi_handler = handler;
}

void trap_register_user_fault(void (*handler)(const struct trap_frame *frame))
{
    user_fault = handler;
}

void trap_register_machine_check(bool (*handler)(const struct trap_frame *frame))
{
    machine_check = handler;
}

/*
 * An NMI or #MC can come between STI and HLT. It ends the shadow of STI, so the interrupt that the CPU was to wait for
 * may be served before the HLT. Then nothing would end the HLT, so it is skipped.
 */
static void step_over_hlt(struct trap_frame *f)
{
    if (!trap_from_user(f) && *(const uint8_t *)f->rip == HLT)
        f->rip++;
}

void trap_dispatch(struct trap_frame *f)
{
    if (f->vector == VECTOR_NMI) {
        if (nmi_handler)
            nmi_handler();
        step_over_hlt(f);
        return;
    }

    if (stray_is_interrupt((uint8_t)f->vector, f->error_code == NO_ERROR_CODE)) {
        stray_take((uint8_t)f->vector, this_cpu()->index);
        return;
    }

    if (f->vector == VECTOR_MC && machine_check) {
        if (machine_check(f))
            user_fault(f);
        step_over_hlt(f);
        return;
    }

    if (trap_from_user(f) && f->vector != VECTOR_DF) {
        user_fault(f);
        return;
    }

    uint64_t offset;
    const char *where = symbol_of(f->rip, &offset);
    panic_at(f, "%s (error code %lx) in root, CPU %u, at %016lx %s+0x%lx",
             f->vector < ARRAY_SIZE(names) ? names[f->vector] : "exception", f->error_code, this_cpu()->index, f->rip,
             where, offset);
}

/* The spurious vector takes no EOI (SDM Vol. 3, 11.9). KICK and WAKE have done their work when they have come. */
void irq_dispatch(uint8_t vector)
{
    if (vector == VECTOR_SPURIOUS)
        return;

    void (*handler)(void) = irq_handlers[vector];
    if (handler) {
        apic_eoi();
        handler();
    } else if (vector == VECTOR_KICK || vector == VECTOR_WAKE) {
        apic_eoi();
    } else {
        stray_take(vector, this_cpu()->index);
    }
}
