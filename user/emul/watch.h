/*
 * Breakpoints on what an emulated instruction accesses. They come behind it, as a trap: what it hits is gathered in
 * e->hits, for DR6. Ask watch_is_on() first.
 */
#ifndef USER_EMUL_WATCH_H
#define USER_EMUL_WATCH_H

#include "lib/breakpoints.h"
#include "user/emul/state.h"

static inline bool watch_is_on(const struct emul *e) { return e->regs->dr7 & DR7_ENABLED; }

void watch_memory(struct emul *e, uint64_t linear, unsigned size, bool write);
void watch_port(struct emul *e, uint16_t port, unsigned size);

#endif
