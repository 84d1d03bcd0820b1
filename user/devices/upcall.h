/* Upcalls: root asks the guest's device world on a vCPU's thread. The question is a struct abi_upcall, the answer a
 * struct abi_reply. */
#ifndef USER_DEVICES_UPCALL_H
#define USER_DEVICES_UPCALL_H

#include "abi/abi.h"

/*
 * Serve the upcall in the calling thread's page, and fill in its reply. slot: the caller's own. To be called after
 * machine_init and guest_memory_init, without the world's lock.
 */
void upcall_serve(struct abi_page *page, unsigned slot);

#endif
