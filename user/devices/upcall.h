/* What root asks of a guest's device world on a vCPU's thread: struct abi_upcall in, struct abi_reply out. */
#ifndef USER_DEVICES_UPCALL_H
#define USER_DEVICES_UPCALL_H

#include "abi/abi.h"

/*
 * Serve the upcall in the calling thread's page and fill in its reply; slot is the caller's own. After machine_init and
 * guest_memory_init; without the world's lock.
 */
void upcall_serve(struct abi_page *page, unsigned slot);

#endif
