/* Never ends by itself: the BSP jumps to itself with interrupts off, the others spin with PAUSE. Needs no LAPIC. */
#include "tests/guests/lib/apic.h"

const char guest_name[] = "spin";

static void ap(unsigned index)
{
    (void)index;
    for (;;)
        pause();
}

void guest_main(void)
{
    unsigned cpus = 1;
    if (lapic_offered()) {
        lapic_init(false);
        cpus = smp_start(ap);
    }
    print("spin: %u CPUs spin\n", cpus);
    __asm__ volatile("1: jmp 1b");
}
