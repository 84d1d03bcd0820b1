/* What the files of lapic/ offer each other. All for the LAPIC's own thread, except where it says otherwise. */
#ifndef LAPIC_INTERNAL_H
#define LAPIC_INTERNAL_H

#include "lapic/lapic.h"
#include "lapic/regs.h"

/* Logical x2APIC ID: cluster in bits 31:16, one bit of 15:0 in it (11.12.10.2). */
#define X2APIC_LDR(id) ((id) >> 4 << 16 | 1u << ((id)&0xf))

/* lapic.c */
void lapic_set_special(struct lapic *l); /* before what makes it so is stored: lapic_domain.special */
void lapic_reset(struct lapic *l); /* all registers but ID and base to their power-up state, nothing posted left */
void lapic_request(struct lapic *l, uint8_t vector, bool level); /* into the IRR; tells nobody: lapic.h */
void lapic_set_tpr(struct lapic *l, uint32_t tpr);
void lapic_error(struct lapic *l, uint32_t error);  /* logs ESR_*, and interrupts the first time */
void lapic_lint0_sample(struct lapic *l);           /* after EOI or a new LVT LINT0: is a level-triggered LINT0 high? */
bool lapic_lint0_in_service(const struct lapic *l); /* Remote IRR of LVT LINT0; drain first */

/* ipi.c */
void lapic_takes_more(struct lapic *l); /* behind the write of what deliver() and matches() look at */
void lapic_post(struct lapic *l, uint8_t vector, bool level);      /* any CPU */
void lapic_lvt_raise(struct lapic *l, enum lapic_lvt i, bool own); /* any CPU: the LVT entry's source has fired */

/* timer.c */
void timer_notify(struct lapic *l, uint64_t before); /* calls timer_changed if lapic_timer_deadline() is not before */
void timer_write_lvt(struct lapic *l, uint32_t value, uint64_t now);
void timer_write_initial(struct lapic *l, uint32_t value, uint64_t now);
void timer_write_dcr(struct lapic *l, uint32_t value, uint64_t now);
uint32_t timer_current(struct lapic *l, uint64_t now);
uint64_t timer_read_deadline(struct lapic *l, uint64_t now); /* IA32_TSC_DEADLINE */
void timer_write_deadline(struct lapic *l, uint64_t value, uint64_t now);

#endif
