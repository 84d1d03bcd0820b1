/* COM1, a 16550A at 0x3f8 (datasheet PC16550D), 115200 8N1: output polled, input by interrupt. */
#ifndef KERNEL_BASE_SERIAL_H
#define KERNEL_BASE_SERIAL_H

#include "abi/types.h"

#define SERIAL_IRQ 4

/* Finds out whether there is one; without, output is thrown away and input never comes. */
void serial_init(void);

/* As many bytes as the transmitter takes at once: how many. Callers exclude each other. */
uint32_t serial_try_write(const char *text, uint32_t size);
/* All of them; waits for a full transmitter, but not for ever. Callers exclude each other. */
void serial_write(const char *text, uint32_t size);

/* Bytes that have come in, at most size. One caller at a time. */
uint32_t serial_read(char *out, uint32_t size);

/* Switch the receive interrupt on, and its handler: moves bytes to the input ring; true: there is something new. */
void serial_enable_input(void);
bool serial_interrupt(void);

#endif
