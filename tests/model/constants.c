/* What the models take from the code: the table of requests, its order, and the states. Printed as a Promela
 * include. */
#include <stdio.h>

#include "kernel/vm/word.h"

int main(void)
{
#define X(name, wakes, waited) printf("#define R_" #name " %d\n", REQ_##name);
    REQUEST_TABLE(X)
#undef X
    printf("#define REQUESTS %d\n", REQUESTS);
    printf("#define UNINITIALIZED %d\n#define RUNNABLE %d\n#define WAIT_FOR_SIPI %d\n", MP_UNINITIALIZED, MP_RUNNABLE,
           MP_WAIT_FOR_SIPI);
    printf("#define HALTED %d\n#define HALTED_MASKED %d\n#define PAUSED %d\n", MP_HALTED, MP_HALTED_MASKED, MP_PAUSED);
    printf("#define ROOT %d\n#define GUEST %d\n#define PARKED %d\n#define WAITING %d\n", WHERE_ROOT, WHERE_GUEST,
           WHERE_PARKED, WHERE_WAITING);
    printf("#define NOTHING %d\n#define KICK %d\n#define WAKE %d\n", ASKED_NOTHING, ASKED_KICK, ASKED_WAKE);
#define X(name, wakes, waited) printf("#define WAKES_" #name " %u\n#define WAITED_" #name " %d\n", wakes, waited);
    REQUEST_TABLE(X)
#undef X
    printf("#define WAKES_IN(r) (");
#define X(name, wakes, waited) printf("(r) == R_" #name " -> WAKES_" #name " : (");
    REQUEST_TABLE(X)
#undef X
    printf("0");
#define X(name, wakes, waited) printf(")");
    REQUEST_TABLE(X)
    printf(")\n#define WAITED_MASK (0");
#undef X
#define X(name, wakes, waited) printf(" | WAITED_" #name " << R_" #name);
    REQUEST_TABLE(X)
#undef X
    printf(")\n");
    return 0;
}
