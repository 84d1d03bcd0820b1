/* Two neighbouring pages of linear addresses that map any two guest-physical pages. */
#ifndef GUEST_WINDOW_H
#define GUEST_WINDOW_H

#include "tests/guests/lib/guest.h"

#define PAGE 4096u

#define PTE_P   BIT(0)
#define PTE_W   BIT(1)
#define PTE_U   BIT(2)
#define PTE_PWT BIT(3)
#define PTE_PCD BIT(4)

/* Not cached, writable: where the first of the pages is. The lower 12 bits of both are ignored. */
uint8_t *window(uint64_t first, uint64_t second);

/* The two entries as they are given; 0 is not present. */
uint8_t *window_raw(uint64_t first, uint64_t second);

#endif
