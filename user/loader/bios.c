/*
 * What kernels read of a PC's BIOS data area at 0x400, and the extended one that it names (IBM PS/2 BIOS Interface
 * Technical Reference, section 3). There is no BIOS, and so neither a disk, nor a screen, nor a keyboard of its.
 */
#include "lib/bytes.h"
#include "user/devices/platform.h"
#include "user/loader/loader.h"

enum { COM1_PORT = 0x400, EBDA_SEGMENT = 0x40e, EQUIPMENT = 0x410, BASE_MEMORY_KIB = 0x413 };
enum { EQUIPMENT_FPU = 1 << 1, EQUIPMENT_ONE_COM = 1 << 9 };
enum { EBDA = LOW_RAM_END, EBDA_END = 0xa0000 };

void bios_data_build(const struct loader *l)
{
    put16(l->ram + COM1_PORT, PLATFORM_COM1);
    put16(l->ram + EBDA_SEGMENT, EBDA >> 4);
    put16(l->ram + EQUIPMENT, EQUIPMENT_FPU | EQUIPMENT_ONE_COM);
    put16(l->ram + BASE_MEMORY_KIB, EBDA >> 10);
    l->ram[EBDA] = (EBDA_END - EBDA) >> 10; /* its first byte is its size in KiB */
}
