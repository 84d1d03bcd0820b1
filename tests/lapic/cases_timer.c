/*
 * The APIC timer: SDM Vol. 3, 11.5.4. Its input clock is not the manual's affair; here it is the TSC (lapic/lapic.h). A
 * guest may lose the CPU at any moment, so what has not happened yet is asked only of counts that take very long; such
 * cases run in one of the modes.
 */
#include "tests/lapic/steps.h"

#define DEADLINE_MSR 0x6e0
#define PERIODIC     0x20000
#define TSC_DEADLINE 0x40000
#define MASKED       0x10000
#define LONG         0xffffffffu
#define DIVIDE_1     0xb
#define SOON         150000000 /* but not before the guest has written some more registers */

#define LVT(value)     W(0, REG_LVT_TIMER, value)
#define DCR(value)     W(0, REG_DCR, value)
#define INITIAL(value) W(0, REG_INITIAL, value)

const struct lapic_case cases_timer[] = {
    {"one-shot", "11.5.4", BOTH, 1,
     STEPS(LVT(0x71), DCR(DIVIDE_1), INITIAL(100000), WAIT(110000), TAKE(0, 0x71), EOI(0), R(0, REG_CURRENT, 0),
           R(0, REG_INITIAL, 100000), WAIT(400000), NONE(0))},
    {"one-shot: again by a write", "11.5.4", BOTH, 1,
     STEPS(LVT(0x71), DCR(DIVIDE_1), INITIAL(100000), WAIT(110000), TAKE(0, 0x71), EOI(0), INITIAL(100000),
           WAIT(110000), TAKE(0, 0x71), EOI(0))},
    {"one-shot: it counts down", "11.5.4", BOTH, 1,
     STEPS(LVT(0x71), DCR(0xa), INITIAL(LONG), WAIT(256 * 1000), RANGE(0, REG_CURRENT, 1, LONG - 1000), NONE(0),
           INITIAL(0), R(0, REG_CURRENT, 0))},
    {"a write of 0 stops it", "11.5.4", MODE_X, 1,
     STEPS(LVT(0x71), DCR(DIVIDE_1), INITIAL(SOON), INITIAL(0), R(0, REG_CURRENT, 0), WAIT(SOON + 1000000), NONE(0))},
    {"a write starts it anew", "11.5.4", MODE_X, 1,
     STEPS(LVT(0x71), DCR(DIVIDE_1), INITIAL(SOON), INITIAL(LONG), WAIT(SOON + 1000000), NONE(0),
           RANGE(0, REG_CURRENT, 1, LONG - SOON), INITIAL(0))},
    {"periodic", "11.5.4", BOTH, 1,
     STEPS(LVT(PERIODIC | 0x72), DCR(DIVIDE_1), INITIAL(200000), WAIT(210000), TAKE(0, 0x72), EOI(0), WAIT(210000),
           TAKE(0, 0x72), EOI(0), WAIT(210000), TAKE(0, 0x72), EOI(0), R(0, REG_INITIAL, 200000), INITIAL(0),
           R(0, REG_CURRENT, 0))},
    {"periodic: the count is reloaded", "11.5.4", BOTH, 1,
     STEPS(LVT(PERIODIC | 0x72), DCR(DIVIDE_1), INITIAL(200000), WAIT(450000), RANGE(0, REG_CURRENT, 1, 200000),
           INITIAL(0))},
    {"periodic: it stops by a write of 0", "11.5.4", BOTH, 1,
     STEPS(LVT(PERIODIC | 0x72), DCR(DIVIDE_1), INITIAL(200000), WAIT(210000), TAKE(0, 0x72), EOI(0),
           LVT(PERIODIC | MASKED | 0x72), INITIAL(0), LVT(PERIODIC | 0x72), WAIT(500000), R(0, REG_CURRENT, 0))},
    {"masked: it counts, without interrupt", "11.5.1, 11.5.4", BOTH, 1,
     STEPS(LVT(MASKED | 0x73), DCR(DIVIDE_1), INITIAL(100000), WAIT(200000), R(0, REG_CURRENT, 0), NONE(0), LVT(0x73),
           NONE(0), INITIAL(100000), WAIT(110000), TAKE(0, 0x73), EOI(0))},
    {"unmasked while it counts", "11.5.1, 11.5.4", MODE_X, 1,
     STEPS(LVT(MASKED | 0x73), DCR(DIVIDE_1), INITIAL(SOON), LVT(0x73), WAIT(SOON), TAKE(0, 0x73), EOI(0))},
    {"the vector is that at expiry", "11.5.1", MODE_X, 1,
     STEPS(LVT(0x73), DCR(DIVIDE_1), INITIAL(SOON), LVT(0x93), WAIT(SOON), TAKE(0, 0x93), EOI(0), NONE(0))},
    {"the timer's interrupt is edge-triggered and minds the TPR", "11.5.1, 11.8.3.1", BOTH, 1,
     STEPS(LVT(TSC_DEADLINE | 0x74), W(0, REG_TPR, 0x70), WM(0, DEADLINE_MSR, 1), NONE(0),
           R(0, REG_IRR + 0x30, 1 << 20), R(0, REG_TMR + 0x30, 0), W(0, REG_TPR, 0), TAKE(0, 0x74), EOI(0))},
    {"the timer is the CPU's own", "11.5.4", BOTH, 2,
     STEPS(W(1, REG_LVT_TIMER, 0x75), W(1, REG_DCR, DIVIDE_1), W(1, REG_INITIAL, 100000), WAIT(110000), TAKE(1, 0x75),
           EOI(1), NONE(0), R(0, REG_CURRENT, 0))},
    {"from one-shot to periodic while it counts", "11.5.4", MODE_X, 1,
     STEPS(LVT(0x76), DCR(DIVIDE_1), INITIAL(SOON), LVT(PERIODIC | 0x76), WAIT(SOON), TAKE(0, 0x76), EOI(0), WAIT(SOON),
           TAKE(0, 0x76), EOI(0), INITIAL(0))},

    /* So many ticks of the TSC are so many counts, at least: the divider. The first bound is of a count just
     * written. */
    {"divide by 1, 2, 4, 8", "figure 11-10", BOTH, 1,
     STEPS(LVT(MASKED), DCR(0xb), INITIAL(LONG), WAIT(1280000), RANGE(0, REG_CURRENT, 1, LONG - 1280000), DCR(0),
           INITIAL(LONG), WAIT(1280000), RANGE(0, REG_CURRENT, 1, LONG - 640000), DCR(1), INITIAL(LONG), WAIT(1280000),
           RANGE(0, REG_CURRENT, 1, LONG - 320000), DCR(2), INITIAL(LONG), WAIT(1280000),
           RANGE(0, REG_CURRENT, 1, LONG - 160000))},
    {"divide by 16, 32, 64, 128", "figure 11-10", BOTH, 1,
     STEPS(LVT(MASKED), DCR(3), INITIAL(LONG), WAIT(1280000), RANGE(0, REG_CURRENT, 1, LONG - 80000), DCR(8),
           INITIAL(LONG), WAIT(1280000), RANGE(0, REG_CURRENT, 1, LONG - 40000), DCR(9), INITIAL(LONG), WAIT(1280000),
           RANGE(0, REG_CURRENT, 1, LONG - 20000), DCR(0xa), INITIAL(LONG), WAIT(1280000),
           RANGE(0, REG_CURRENT, 1, LONG - 10000))},
    {"the divider reads back", "11.5.4", BOTH, 1,
     STEPS(DCR(0), R(0, REG_DCR, 0), DCR(3), R(0, REG_DCR, 3), DCR(8), R(0, REG_DCR, 8), DCR(0xb), R(0, REG_DCR, 0xb))},

    {"TSC deadline", "11.5.4.1", BOTH, 1,
     STEPS(LVT(TSC_DEADLINE | 0x77), DEADLINE(0, 200000), WAIT(200000), TAKE(0, 0x77), EOI(0), RM(0, DEADLINE_MSR, 0),
           WAIT(300000), NONE(0))},
    {"TSC deadline in the past", "11.5.4.1", BOTH, 1,
     STEPS(LVT(TSC_DEADLINE | 0x77), WM(0, DEADLINE_MSR, 1), TAKE(0, 0x77), EOI(0), RM(0, DEADLINE_MSR, 0))},
    {"TSC deadline reads back while armed, 0 disarms", "11.5.4.1", BOTH, 1,
     STEPS(LVT(TSC_DEADLINE | 0x77), WM(0, DEADLINE_MSR, 1ull << 62), RM(0, DEADLINE_MSR, 1ull << 62), NONE(0),
           WM(0, DEADLINE_MSR, 0), RM(0, DEADLINE_MSR, 0), WAIT(100000), NONE(0))},
    {"TSC deadline: a new one replaces the old one", "11.5.4.1", MODE_X2, 1,
     STEPS(LVT(TSC_DEADLINE | 0x77), DEADLINE(0, SOON), WM(0, DEADLINE_MSR, 1ull << 62), WAIT(SOON + 1000000), NONE(0),
           RM(0, DEADLINE_MSR, 1ull << 62), WM(0, DEADLINE_MSR, 0))},
    {"TSC deadline: the initial count is ignored", "11.5.4.1", BOTH, 1,
     STEPS(LVT(TSC_DEADLINE | 0x77), DCR(DIVIDE_1), INITIAL(1000), R(0, REG_CURRENT, 0), WAIT(200000), NONE(0))},
    {"TSC deadline: the MSR is ignored in other modes", "11.5.4.1", BOTH, 1,
     STEPS(LVT(0x77), WM(0, DEADLINE_MSR, 1), RM(0, DEADLINE_MSR, 0), WAIT(100000), NONE(0), LVT(PERIODIC | 0x77),
           WM(0, DEADLINE_MSR, 1), RM(0, DEADLINE_MSR, 0), NONE(0), LVT(TSC_DEADLINE | 0x77), NONE(0))},
    {"TSC deadline: leaving the mode disarms", "11.5.4.1", MODE_X2, 1,
     STEPS(LVT(TSC_DEADLINE | 0x77), DEADLINE(0, SOON), LVT(0x77), RM(0, DEADLINE_MSR, 0), WAIT(SOON + 1000000),
           NONE(0), LVT(TSC_DEADLINE | 0x77), RM(0, DEADLINE_MSR, 0), NONE(0))},
    {"TSC deadline: entering the mode disarms", "11.5.4.1", MODE_X2, 1,
     STEPS(LVT(0x77), DCR(DIVIDE_1), INITIAL(SOON), LVT(TSC_DEADLINE | 0x77), R(0, REG_CURRENT, 0),
           WAIT(SOON + 1000000), NONE(0))},
    {"TSC deadline: masked, nothing comes", "11.5.1, 11.5.4.1", BOTH, 1,
     STEPS(LVT(TSC_DEADLINE | MASKED | 0x77), DEADLINE(0, 100000), WAIT(200000), NONE(0), RM(0, DEADLINE_MSR, 0),
           LVT(TSC_DEADLINE | 0x77), NONE(0))},
    {"TSC deadline: a whole-LAPIC reset disarms", "11.4.3", BOTH, 2,
     STEPS(W(1, REG_LVT_TIMER, TSC_DEADLINE | 0x77), WM(1, DEADLINE_MSR, 1ull << 62), WM(1, 0x1b, 0xfee00000),
           WM(1, 0x1b, 0xfee00800), RM(1, DEADLINE_MSR, 0))},
    {0},
};
