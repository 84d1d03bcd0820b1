/* The smallest guest: what it was told, and the exit status that it was told. */
#include "tests/guests/lib/guest.h"

const char guest_name[] = "hello";

void guest_main(void)
{
    print("%s: command line \"%s\"\n", guest_name, guest_cmdline());
    print("%s: ok\n", guest_name);
    guest_exit((uint32_t)guest_option("exit", 0));
}
