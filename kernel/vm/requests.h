/*
 * What other CPUs may ask of a vCPU: the one table. X(name, wakes, waited):
 * - name: the request. It needs a handler serve_NAME in kernel/vm/serve.c, or root does not link.
 * - wakes: the mp_states in which the request wakes a parked vCPU.
 * - waited: WAITED if the asker may wait until the vCPU is outside of the guest.
 *
 * The order of the rows is the order of the bits in the state word, and the order of serving. The models in
 * tests/model/ are generated from this table, too.
 *
 * - TEARDOWN: the vCPU's thread ends.
 * - PAUSE, RESUME: stop executing the guest, go on.
 * - INIT, SIPI: SDM Vol. 3, 9.4.
 * - APIC: what the CPU may do of the LAPIC's work has changed (kernel/vm/inhibit.h).
 * - TIMER: the LAPIC timer's deadline has come.
 * - NMI: an edge. One is latched, and another one behind it.
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

/* HALTED: HLT with RFLAGS.IF = 1. HALTED_MASKED: HLT with RFLAGS.IF = 0, which only an NMI, INIT or TEARDOWN ends. */
enum mp_state { MP_RUNNABLE, MP_UNINITIALIZED, MP_WAIT_FOR_SIPI, MP_HALTED, MP_HALTED_MASKED, MP_PAUSED, MP_STATES };

#endif
