/* The two 8259A interrupt controllers of a PC, after Intel's 8259A datasheet, with the chipset's ELCR. The world's lock
 * protects them. */
#ifndef USER_DEVICES_PC_PIC_H
#define USER_DEVICES_PC_PIC_H

#include "abi/types.h"

/* Put them on the bus, as firmware leaves them: vectors 08h and 70h, all inputs masked, SCI level triggered. */
void pic_init(void);

/* Set an input, 0..15. Input 2 is the cascade and not a line: it is ignored. */
void pic_set(unsigned line, bool level);

/* The master's INTR output. */
bool pic_intr(void);

/*
 * An interrupt acknowledge cycle. Returns the vector. If there is nothing to acknowledge, the vector is that of the
 * master's input 7, and nothing goes into service.
 */
uint8_t pic_acknowledge(void);

#endif
