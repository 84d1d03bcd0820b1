/*
 * The frame of a test guest: it defines guest_name and guest_main(), and includes this. It prints on COM1; its last
 * line is "NAME: ok" or "NAME: FAILED what (expected x, got y)"; its exit status goes to port 0xf4, 0 is success.
 */
#ifndef GUEST_GUEST_H
#define GUEST_GUEST_H

#include "tests/guests/lib/cpu.h"
#include "tests/guests/lib/trap.h"

extern const char guest_name[];

/* Runs on the BSP with interrupts off, LAPIC as the loader left it, both 8259s masked. Returning is success. */
void guest_main(void);

/* The command line, "" if there is none. Under some loaders its first word is the file's name. */
const char *guest_cmdline(void);

/* The number behind `key=` on the command line; otherwise that which is given. */
uint64_t guest_option(const char *key, uint64_t otherwise);

/* %s %c %u %d %x %p, l and ll, a width with or without 0; one line at a time among CPUs. */
__attribute__((format(printf, 1, 2))) void print(const char *format, ...);

/* Set COM1 up for print(): done once before guest_main(). */
void guest_serial_init(void);

/* The guest is over. fail() says "expected x, got y"; from any CPU; the first one counts. */
__attribute__((noreturn)) void guest_exit(uint32_t status);
__attribute__((noreturn)) void fail(const char *what, uint64_t expected, uint64_t got);

/* Fail unless the two are the same. */
static inline void check(const char *what, uint64_t expected, uint64_t got)
{
    if (expected != got)
        fail(what, expected, got);
}

/* The TSC at the guest's first instruction. */
uint64_t guest_began(void);

/* Time: TSC ticks a second, measured with the 8254 when first asked; spinning. */
uint64_t tsc_hz(void);
void tsc_hz_known(uint64_t rate); /* by other means: nothing is measured then */
void delay_us(uint64_t us);

/* Wait until *value is wanted or ms milliseconds are over: whether it is. Interrupts stay as they are. */
bool wait_for(const volatile uint32_t *value, uint32_t wanted, unsigned ms);

void lock_take(volatile uint32_t *lock);
void lock_release(volatile uint32_t *lock);

/* What the compiler calls by itself, too. */
void *memset(void *to, int byte, size_t n);
void *memcpy(void *to, const void *from, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);

#endif
