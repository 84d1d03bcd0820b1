/*
 * The registers of a VGA that nobody looks at: they keep what a text-mode kernel writes, and the retrace bits change,
 * so that nothing waits for ever. Its text memory at B8000h is plain RAM. World's lock.
 */
#ifndef USER_DEVICES_PC_VGA_H
#define USER_DEVICES_PC_VGA_H

/* All registers zero; on the bus. */
void vga_init(void);

#endif
