/*
 * What other CPUs may ask of a vCPU: the one table. X(name, states in which it wakes a parked vCPU, whether one may
 * wait until the vCPU is outside of the guest). The order is the bit in the state word and the order of serving. Each
 * name needs a handler serve_NAME in kernel/vm/serve.c, or it does not link. tests/model/ is generated from the table too.
 *
 * - TEARDOWN: leave for good.
 * - PAUSE, RESUME: stop executing the guest, go on.
 * - INIT, SIPI: SDM Vol. 3, 9.4.
 * - APIC: whether the CPU may do LAPIC work by itself has changed; kernel/vm/inhibit.h.
 * - TIMER: the LAPIC timer's deadline has come.
 * - NMI: edge; one is latched, and behind it another one.
 * - EVENT: the LAPIC or the 8259s have something.
 * - CLOCK: the paravirtual clock's page has to be written again.
 */
#ifndef KERNEL_VM_REQUESTS_H
#define KERNEL_VM_REQUESTS_H

#define IN(state) (1u << MP_##state)

#define WAITED   true
#define UNWAITED false

#define REQUEST_TABLE(X)                                                                                               \
    X(TEARDOWN, IN(RUNNABLE) | IN(UNINITIALIZED) | IN(WAIT_FOR_SIPI) | IN(HALTED) | IN(HALTED_MASKED) | IN(PAUSED),    \
      UNWAITED)                                                                                                        \
    X(PAUSE, 0, WAITED)                                                                                                \
    X(RESUME, IN(PAUSED), UNWAITED)                                                                                    \
    X(INIT, IN(UNINITIALIZED) | IN(WAIT_FOR_SIPI) | IN(HALTED) | IN(HALTED_MASKED), UNWAITED)                          \
    X(SIPI, IN(WAIT_FOR_SIPI), UNWAITED)                                                                               \
    X(APIC, 0, WAITED)                                                                                                 \
    X(TIMER, IN(HALTED), UNWAITED)                                                                                     \
    X(NMI, IN(HALTED) | IN(HALTED_MASKED), UNWAITED)                                                                   \
    X(EVENT, IN(HALTED), UNWAITED)                                                                                     \
    X(CLOCK, 0, UNWAITED)

enum request {
#define X(name, wakes, waited) REQ_##name,
    REQUEST_TABLE(X)
#undef X
        REQUESTS
};

/* HALTED_MASKED is HLT with interrupts off: only an NMI, INIT or teardown ends it. */
enum mp_state { MP_RUNNABLE, MP_UNINITIALIZED, MP_WAIT_FOR_SIPI, MP_HALTED, MP_HALTED_MASKED, MP_PAUSED, MP_STATES };

#endif
