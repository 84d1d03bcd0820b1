/* The entry of a world: user/lib/start.asm calls what the world defines. */
#ifndef USER_LIB_START_H
#define USER_LIB_START_H

/* On the stack of the slot, which is empty, each time that root enters the world on this thread. */
__attribute__((noreturn)) void world_main(unsigned slot);

#endif
