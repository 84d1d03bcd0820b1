/*
 * Markers: NOPs by which tests/bench/count.c, a plugin of QEMU's, knows where a row of a measurement begins and ends.
 * To the CPU they are `nopl disp32(%rax)` (SDM Vol. 2, NOP), and on a machine without the plugin nothing else.
 */
#ifndef GUEST_MARK_H
#define GUEST_MARK_H

#define MARK_LENGTH 7
#define MARK_OPCODE "\x0f\x1f\x80" /* then a displacement of 32 bits */
#define MARK_BASE   0x4c500000     /* displacement of row 0, which is no row: it ends the one that was begun */
#define MARK_ROWS   0x10000

/* Row n begins, for all CPUs; n is a constant from 1 to MARK_ROWS - 1. */
#define mark_begin(n) __asm__ volatile("nopl %c0(%%rax)" : : "i"(MARK_BASE + (n)) : "memory")

/* The row that was begun ends. */
#define mark_end() __asm__ volatile("nopl %c0(%%rax)" : : "i"(MARK_BASE) : "memory")

#endif
