/*
 * The boundary between root (ring 0) and the worlds (ring 3).
 *
 * No system call takes a pointer. Bulk data goes through the calling thread's own page (abi/page.h). Root has its own
 * mapping of that page. So root never dereferences an address that ring 3 chose.
 */
#ifndef ABI_ABI_H
#define ABI_ABI_H

#include "abi/answers.h"
#include "abi/err.h"
#include "abi/features.h"
#include "abi/info.h"
#include "abi/layout.h"
#include "abi/limits.h"
#include "abi/log.h"
#include "abi/page.h"
#include "abi/ram.h"
#include "abi/regs.h"
#include "abi/ring.h"
#include "abi/syscall.h"
#include "abi/task.h"
#include "abi/types.h"
#include "abi/upcall.h"

#endif
