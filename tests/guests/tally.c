/* Says again and again how much it got done in `ms` milliseconds of the TSC, by its own count: what others take from
 * its time slices shows there, and in no figure of the hypervisor's. */
#include "tests/guests/lib/guest.h"

const char guest_name[] = "tally";

#define LEAF_TIMING 0x40000010 /* EAX: the TSC's kHz */

void guest_main(void)
{
    uint64_t window = (uint64_t)cpuid(LEAF_TIMING, 0).eax * guest_option("ms", 100);

    for (;;) {
        uint64_t begin = rdtsc(), work = 0;

        while (rdtsc() - begin < window)
            work++;
        print("tally: did %lu\n", work);
    }
}
