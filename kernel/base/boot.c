#include "kernel/base/boot.h"

#include "kernel/base/log.h"

struct bootinfo boot;
struct acpi_info acpi;

static const void *early_read(uint64_t address, uint64_t size)
{
    return address && address < BOOT_EARLY_END && size < BOOT_EARLY_END - address ? (const void *)address : NULL;
}

void boot_read(enum boot_protocol protocol, uint64_t information)
{
    int err = protocol == BOOT_PVH
                  ? bootinfo_pvh(&boot, information, early_read)
                  : bootinfo_multiboot2(&boot, (const void *)information, BOOT_EARLY_END - information);

    if (err)
        log_line(LOG_WARNING, "boot information: cut off or malformed: going on with what came before");

    if (boot.regions_lost)
        log_line(LOG_WARNING, "boot information: memory regions behind the first %u are ignored: %u", BOOTINFO_REGIONS,
                 boot.regions_lost);

    if (boot.modules_lost)
        log_line(LOG_WARNING, "boot information: boot modules behind the first %u are ignored: %u", ABI_MAX_MODULES,
                 boot.modules_lost);
}
