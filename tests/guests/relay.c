/*
 * Two CPUs hand an NMI to each other, and each sleeps in HLT with interrupts off until it comes: at many moments both
 * are about to halt, and yet one is always about to wake. The handler does nothing that would leave the guest.
 */
#include "tests/guests/lib/apic.h"

#define ROUNDS 8000

const char guest_name[] = "relay";

static volatile uint32_t turn; /* APIC ID of who may go on */

void relay_wait(const volatile uint32_t *value, uint32_t wanted);
extern const char relay_hlt[];

/* Until *value is wanted. An NMI between the look and HLT begins it anew: on_nmi(). */
__asm__(".text\n"
        "relay_wait: cmp %esi, (%rdi)\n"
        "je 1f\n"
        "relay_hlt: hlt\n"
        "jmp relay_wait\n"
        "1: ret\n");

static void on_nmi(struct trap *t)
{
    if (t->rip >= (uint64_t)relay_wait && t->rip <= (uint64_t)relay_hlt)
        t->rip = (uint64_t)relay_wait;
}

static void hand_over(uint32_t to)
{
    turn = to;
    lapic_ipi(to, ICR_ASSERT | ICR_NMI);
}

static void ap(unsigned index)
{
    __asm__ volatile("cli");
    for (unsigned i = 0; i < ROUNDS && index == 1; i++) {
        relay_wait(&turn, cpu_apic_id(1));
        hand_over(cpu_apic_id(0));
    }
    for (;;)
        __asm__ volatile("hlt");
}

void guest_main(void)
{
    tsc_hz();
    trap_set(VECTOR_NMI, on_nmi);
    lapic_init(false);
    smp_start(ap);
    __asm__ volatile("cli");
    for (unsigned i = 0; i < ROUNDS; i++) {
        hand_over(cpu_apic_id(1));
        relay_wait(&turn, cpu_apic_id(0));
    }
    print("relay: %u rounds\n", ROUNDS);
}
