/* Stands before kernel/base/percpu.h: GS is not ours on the host. */
#ifndef CORE_SHADOW_PERCPU_H
#define CORE_SHADOW_PERCPU_H

#define this_cpu       this_cpu_by_gs
#define current_thread current_thread_by_gs
#include_next "kernel/base/percpu.h"
#undef this_cpu
#undef current_thread

/* A call, never inlined: a thread that slept may be on another CPU behind it. */
struct percpu *this_cpu(void);
static inline struct thread *current_thread(void) { return this_cpu()->current; }

#endif
