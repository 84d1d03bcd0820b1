/*
 * HLT with interrupts off. By default every CPU halts so, which nothing ends any more: a hypervisor may say that the
 * guest is over. With `nmi=1` an AP wakes the BSP by an NMI, which HLT does not mask, and the guest ends well.
 */
#include "tests/guests/lib/apic.h"

const char guest_name[] = "halt";

static volatile uint32_t nmis, asleep, stay;

static void on_nmi(struct trap *t)
{
    (void)t;
    __atomic_add_fetch(&nmis, 1, __ATOMIC_SEQ_CST);
}

/* Interrupts that come meanwhile must not wake it: this one would. */
static void ap(unsigned index)
{
    if (index == 1 && !stay) {
        while (!asleep)
            pause();
        delay_us(50000);
        lapic_ipi(cpu_apic_id(0), ICR_ASSERT | ICR_FIXED | 0x40);
        delay_us(50000);
        check("NMIs before one was sent", 0, nmis);
        check("the BSP is still asleep", 1, asleep);
        lapic_ipi(cpu_apic_id(0), ICR_ASSERT | ICR_NMI);
    }
    for (;;)
        __asm__ volatile("cli; hlt");
}

void guest_main(void)
{
    unsigned cpus;

    tsc_hz();
    stay = !guest_option("nmi", 0);
    trap_set(VECTOR_NMI, on_nmi);
    lapic_init(false);
    cpus = smp_start(ap);
    print("halt: %u CPUs halt\n", cpus);
    asleep = 1;
    __asm__ volatile("hlt" : : : "memory"); /* IF is 0 */
    asleep = 2;
    check("NMIs", 1, nmis);
    check("the interrupt that IF holds back", 1, lapic_bit(APIC_IRR, 0x40));
}
