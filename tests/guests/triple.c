/* An exception without an IDT: a double fault that cannot be delivered either, so the CPU shuts down; `ap=1`: an AP. */
#include "tests/guests/lib/apic.h"

const char guest_name[] = "triple";

static void down(unsigned index)
{
    static const uint16_t empty[5];

    print("%s: CPU %u is going down\n", guest_name, index);
    __asm__ volatile("lidt %0; ud2" : : "m"(empty));
    fail("still here", 0, 1);
}

/* An AP that shuts down does not come back from there: smp_start() does not say so, time does. */
void guest_main(void)
{
    if (!guest_option("ap", 0))
        down(0);
    lapic_init(false);
    smp_start(down);
    delay_us(2000000);
    fail("still here", 0, 1);
}
