#include "lib/string.h"
#include "user/lib/log.h"
#include "user/loader/elf.h"

extern const uint8_t dsdt_start[], dsdt_end[];

int loader_load(struct loader *l, struct abi_regs *bsp)
{
    uint32_t rsdp = acpi_tables_build(l);
    size_t length = strlen(l->cmdline);

    if (!rsdp) {
        l->message("ACPI: tables for %u vCPUs do not fit below 1 MiB: use fewer", l->vcpus);
        return E_RANGE;
    }
    if (length >= PAGE_SIZE) {
        l->message("cmdline: %zu characters: shorten it to %u", length, (unsigned)PAGE_SIZE - 1);
        return E_RANGE;
    }
    mp_tables_build(l);
    bios_data_build(l);
    l->taken_count = 0;
    switch (image_kind(l->image.data, l->image.size)) {
    case IMAGE_LINUX:
        return linux_load(l, rsdp, bsp);
    case IMAGE_PVH:
        return pvh_load(l, rsdp, bsp);
    case IMAGE_MULTIBOOT:
        return multiboot_load(l, bsp);
    default:
        l->message("%s: neither a Linux bzImage nor a PVH or multiboot1 ELF file: %s", l->image.name,
                   image_advice(l->image.data, l->image.size));
        return E_FORMAT;
    }
}

static struct loader_module module_of(const struct abi_info *info, int32_t n, const char *arguments)
{
    const struct abi_module *module = &info->modules[n < 0 ? 0 : n];

    if (n < 0 || !module->address)
        return (struct loader_module){.name = n < 0 ? "" : module->name, .arguments = arguments};
    return (struct loader_module){(const uint8_t *)module->address, module->size, module->name, arguments};
}

/* Of what CPUID says here, the vendor, family and these features are the guest's too. */
static void put_cpu(struct loader *l)
{
    enum { FPU = 1 << 0, CX8 = 1 << 8, APIC = 1 << 9, SIGNATURE = 0xfff };
    uint32_t eax = 1, ebx, ecx = 0, edx;

    __asm__("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    l->cpu_signature = eax & SIGNATURE;
    l->cpu_features = (edx & (FPU | CX8)) | APIC;
}

int guest_load(const struct abi_info *info, struct abi_regs *bsp)
{
    const struct abi_vm_config *c = &info->config;
    struct loader l = {.ram = (uint8_t *)WORLD_RAM_BASE,
                       .ram_low = info->ram_low,
                       .ram_high = info->ram_high,
                       .image = module_of(info, c->image, ""),
                       .initrd = module_of(info, c->initrd, ""),
                       .cmdline = c->cmdline,
                       .vcpus = c->vcpus,
                       .lapic = c->lapic,
                       .dsdt = dsdt_start,
                       .dsdt_size = (uint32_t)(dsdt_end - dsdt_start),
                       .message = world_log,
                       .module_count = MIN(c->module_count, (uint32_t)LOADER_MODULES)};

    for (uint32_t i = 0; i < l.module_count; i++)
        l.modules[i] = module_of(info, c->modules[i], c->args + c->module_args[i]);
    put_cpu(&l);
    return loader_load(&l, bsp);
}
