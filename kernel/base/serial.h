/* COM1, a 16550A at 0x3f8 (datasheet PC16550D), 115200 baud, 8N1. Output is polled, input comes by interrupt. */
#ifndef KERNEL_BASE_SERIAL_H
#define KERNEL_BASE_SERIAL_H

#include "abi/types.h"

#define SERIAL_IRQ 4

/* Finds out whether there is a UART, and sets it up. Without one, output is thrown away and input never comes. */
void serial_init(void);

/* Writes as many bytes as the transmitter takes at once. Returns how many. One caller at a time. */
uint32_t serial_try_write(const char *text, uint32_t size);
/*
 * Writes all bytes. Waits while the transmitter is full, but not for ever: if that lasts too long, the rest is lost.
 * One caller at a time.
 */
void serial_write(const char *text, uint32_t size);

/* Takes bytes that have come in, at most size. Returns how many. One caller at a time. */
uint32_t serial_read(char *out, uint32_t size);

/* Switches the receive interrupt on. */
void serial_enable_input(void);
/* The handler of that interrupt: moves bytes to the input ring. True: at least one byte has come. */
bool serial_interrupt(void);

#endif
