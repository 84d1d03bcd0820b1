/*
 * A 16550A UART as COM1, after the PC16550D datasheet, between the bus and the console rings. It transmits as fast as
 * the console takes bytes; while that is full the bytes stay in the FIFO and THRE and TEMT stay clear, so a driver that
 * obeys them loses nothing. World's lock.
 */
#ifndef USER_DEVICES_PC_UART_H
#define USER_DEVICES_PC_UART_H

/* Reset state; on the bus, after irq_init and console_init. */
void uart_init(void);

/* The console may have taken or brought something. */
void uart_poll(void);

#endif
