/* The control world: the first program in ring 3, which starts the guests and owns the console. */
#include "user/control/control.h"
#include "user/control/machine/power.h"
#include "user/control/os.h"

static struct control control;

__attribute__((noreturn)) void world_main(unsigned slot);
__attribute__((noreturn)) void world_main(unsigned slot)
{
    uint64_t deadline = NEVER;

    (void)slot; /* this world has one thread */
    control_start(&control);
    while (control_turn(&control, &deadline) == CONTROL_RUN)
        os_call(SYS_PARK, deadline, 0, 0);
    control_finish(&control);
    if (control.quit == CONTROL_REBOOT)
        power_reset(&control.mux);
    else
        power_off(&control.mux);
    __builtin_trap();
}
