/*
 * The registers of a VGA without a display. They keep what a text-mode kernel writes. The retrace bits change at each
 * read, so that no kernel waits for them for ever. The text memory at B8000h is plain RAM. The world's lock protects
 * it.
 */
#ifndef USER_DEVICES_PC_VGA_H
#define USER_DEVICES_PC_VGA_H

/* Put it on the bus. All registers are zero, but for two: the miscellaneous output register says color, and the DAC
 * mask is FFh. */
void vga_init(void);

#endif
