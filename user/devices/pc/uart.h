/*
 * A 16550A UART as COM1, after the PC16550D datasheet, between the bus and the console rings. It transmits as fast as
 * the console takes bytes. While the console is full, the bytes stay in the FIFO, and THRE and TEMT stay clear. So a
 * driver that obeys THRE and TEMT loses nothing. The world's lock protects it.
 */
#ifndef USER_DEVICES_PC_UART_H
#define USER_DEVICES_PC_UART_H

/* Put it on the bus, in reset state. To be called after irq_init and console_init. */
void uart_init(void);

/* Move bytes: the console may have room for output, or input. */
void uart_poll(void);

#endif
