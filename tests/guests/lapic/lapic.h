/* What the files of the lapic guest offer each other. CPU n is the one with the APIC ID n; CPU 0 runs the checks. */
#ifndef GUEST_LAPIC_H
#define GUEST_LAPIC_H

#include "tests/guests/lib/apic.h"
#include "tests/lapic/steps.h"

#define CPUS 4

/* ---- remote.c: the machine of tests/lapic/steps.h -------------------------------------------------------------- */

/* Handlers of all vectors that are taken. Before any CPU is started. */
void remote_init(void);
/* What an AP runs (smp_start): does as CPU 0 says. */
void remote_ap(unsigned index);
/* CPU n, which was started anew, takes commands again: false, not within 5 s. */
bool remote_alive(unsigned cpu);
/* The next remote_alive() of this CPU asks for a new start. */
void remote_expect_start(unsigned cpu);
/* The CPU sends an IPI that ends what it does: nobody waits for it. */
void remote_send(unsigned cpu, uint32_t destination, uint32_t low);

/* What the CPU reads at that address, 32 bits. */
uint32_t remote_peek(unsigned cpu, uint32_t address);

/* ---- lapic.c ---------------------------------------------------------------------------------------------------- */

/* One check of a case that is in no table. A failure prints a line with the names, and the guest goes on. */
void expect(const char *name, const char *section, const char *what, uint64_t expected, uint64_t got);

/* ---- startup.c, wires.c, lint.c ---------------------------------------------------------------------------------- */

void startup_checks(bool x2apic);
void wire_checks(void);
void moved_checks(void); /* xAPIC mode */

#endif
