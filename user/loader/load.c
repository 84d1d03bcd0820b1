#include "lib/string.h"
#include "user/lib/log.h"
#include "user/loader/loader.h"

enum { LINUX_HEADER = 0x202, LINUX_MIN = 0x280 };
extern const uint8_t dsdt_start[], dsdt_end[];

enum image_kind image_kind(const void *image, uint64_t size)
{
    const uint8_t *p = image;
    bool linux_image =
        size >= LINUX_MIN && p[0x1fe] == 0x55 && p[0x1ff] == 0xaa && memcmp(p + LINUX_HEADER, "HdrS", 4) == 0;
    return linux_image ? IMAGE_LINUX : IMAGE_UNKNOWN;
}

int loader_load(const struct loader *l, struct abi_regs *bsp)
{
    uint32_t rsdp = acpi_tables_build(l);
    if (!rsdp) {
        l->message("ACPI: tables for %u vCPUs do not fit below 1 MiB: use fewer", l->vcpus);
        return E_RANGE;
    }
    switch (image_kind(l->image, l->image_size)) {
    case IMAGE_LINUX:
        return linux_load(l, rsdp, bsp);
    default:
        l->message("image: not a Linux bzImage: name one");
        return E_FORMAT;
    }
}

int guest_load(const struct abi_info *info, struct abi_regs *bsp)
{
    const struct abi_vm_config *c = &info->config;
    const struct abi_module *image = &info->modules[c->image];
    struct loader l = {.ram = (uint8_t *)WORLD_RAM_BASE,
                       .ram_low = info->ram_low,
                       .ram_high = info->ram_high,
                       .image = (const uint8_t *)image->address,
                       .image_size = image->address ? image->size : 0,
                       .cmdline = c->cmdline,
                       .vcpus = c->vcpus,
                       .lapic = c->lapic,
                       .dsdt = dsdt_start,
                       .dsdt_size = (uint32_t)(dsdt_end - dsdt_start),
                       .message = world_log};
    if (c->initrd >= 0 && info->modules[c->initrd].address) {
        l.initrd = (const uint8_t *)info->modules[c->initrd].address;
        l.initrd_size = info->modules[c->initrd].size;
    }
    return loader_load(&l, bsp);
}
