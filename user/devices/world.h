/* The entry point of a device world. */
#ifndef USER_DEVICES_WORLD_H
#define USER_DEVICES_WORLD_H

/* Called by user/lib/start.asm on a fresh stack: slot 0 loads and runs the machine, another serves one upcall. */
__attribute__((noreturn)) void world_main(unsigned slot);

#endif
