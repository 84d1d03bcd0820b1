/* An exception without an IDT: a double fault that cannot be delivered either, so the CPU shuts down. */
#include "tests/guests/lib/guest.h"

const char guest_name[] = "triple";

void guest_main(void)
{
    static const uint16_t empty[5];

    print("%s: going down\n", guest_name);
    __asm__ volatile("lidt %0; ud2" : : "m"(empty));
    fail("still here", 0, 1);
}
