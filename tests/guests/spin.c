/* Never ends by itself: the BSP jumps to itself with interrupts off, the others spin with PAUSE. */
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
    lapic_init(false);
    print("spin: %u CPUs spin\n", smp_start(ap));
    __asm__ volatile("1: jmp 1b");
}
