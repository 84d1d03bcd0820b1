/* Never ends by itself: the BSP jumps to itself with interrupts off, the others spin with PAUSE, or with busy=1 do as
 * the BSP. With newlines=1 the BSP prints empty lines instead, with restart=1 it resets
 * the machine. Needs no LAPIC. */
#include "tests/guests/lib/apic.h"

const char guest_name[] = "spin";

static void ap(unsigned index)
{
    (void)index;
    while (!guest_option("busy", 0))
        pause();
    __asm__ volatile("1: jmp 1b");
}

void guest_main(void)
{
    unsigned cpus = 1;
    if (lapic_offered()) {
        lapic_init(false);
        cpus = smp_start(ap);
    }
    print("spin: %u CPUs spin\n", cpus);
    if (guest_option("restart", 0))
        __asm__ volatile("out %%al, %%dx" ::"a"(6), "d"(0xcf9));
    while (guest_option("newlines", 0))
        print("\n");
    __asm__ volatile("1: jmp 1b");
}
