/* The two 8259A interrupt controllers of a PC, after Intel's 8259A datasheet, with the chipset's ELCR. World's lock. */
#ifndef USER_DEVICES_PC_PIC_H
#define USER_DEVICES_PC_PIC_H

#include "abi/types.h"

/* As firmware leaves them: vectors 08h and 70h, everything masked, SCI level triggered. On the bus. */
void pic_init(void);

/* Input 0..15. Input 2 is the cascade and not a line: ignored. */
void pic_set(unsigned line, bool level);

/* The master's INTR output. */
bool pic_intr(void);

/*
 * An interrupt acknowledge cycle: the vector. With nothing to acknowledge it is that of the master's input 7, and
 * nothing goes into service.
 */
uint8_t pic_acknowledge(void);

#endif
