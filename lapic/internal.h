/* What the files of lapic/ offer each other. Only the LAPIC's own thread may call a function, except where "any CPU" is
 * said. */
#ifndef LAPIC_INTERNAL_H
#define LAPIC_INTERNAL_H

#include "lapic/lapic.h"
#include "lapic/regs.h"

/* Logical x2APIC ID: the cluster in bits 31:16, and one bit of 15:0 for the LAPIC in it (11.12.10.2). */
#define X2APIC_LDR(id) ((id) >> 4 << 16 | 1u << ((id)&0xf))

/* lapic.c */

/* Make lapic_domain.special cover this LAPIC. Call this before the store that makes the LAPIC special. */
void lapic_set_special(struct lapic *l);

/* All registers but ID and base get their power-up state; what was posted is dropped. */
void lapic_reset(struct lapic *l);

/* Put the vector into the IRR. No signal is sent: see lapic_domain.signal. */
void lapic_request(struct lapic *l, uint8_t vector, bool level);

void lapic_set_tpr(struct lapic *l, uint32_t tpr);

/* Log ESR_* bits. The first error after a write to the ESR raises the error interrupt. */
void lapic_error(struct lapic *l, uint32_t error);

/* After an EOI or a write to LVT LINT0: raise a level-triggered LINT0 if INTR is high. */
void lapic_lint0_sample(struct lapic *l);

/* The bit Remote IRR of LVT LINT0. Call lapic_drain() first. */
bool lapic_lint0_in_service(const struct lapic *l);

/* ipi.c */

/* Call this after each write to a register that deliver() and matches() look at. */
void lapic_takes_more(struct lapic *l);

/* Any CPU. */
void lapic_post(struct lapic *l, uint8_t vector, bool level);

/* Any CPU: the source of the LVT entry has fired. own: the caller is the LAPIC's own thread, and lapic_pending() will
 * be asked, so a fixed interrupt goes into the IRR without a signal. */
void lapic_lvt_raise(struct lapic *l, enum lapic_lvt i, bool own);

/* timer.c */

/* Call lapic_domain.timer_changed if lapic_timer_deadline() is no longer `before`. */
void timer_notify(struct lapic *l, uint64_t before);

void timer_write_lvt(struct lapic *l, uint32_t value, uint64_t now);
void timer_write_initial(struct lapic *l, uint32_t value, uint64_t now);
void timer_write_dcr(struct lapic *l, uint32_t value, uint64_t now);
uint32_t timer_current(struct lapic *l, uint64_t now);

/* IA32_TSC_DEADLINE. */
uint64_t timer_read_deadline(struct lapic *l, uint64_t now);
void timer_write_deadline(struct lapic *l, uint64_t value, uint64_t now);

#endif
