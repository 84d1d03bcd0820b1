/*
 * Loads Lapwing for measurements without firmware's disk code and GRUB, whose polling for a disk takes as many
 * instructions as the host's disk takes time: only without them are two runs alike. QEMU's -kernel loads this by
 * multiboot1, with the modules "PATH NAME" that are to be Lapwing's; the first one is Lapwing itself. Enters it as PVH
 * does (Xen's docs/misc/pvh.pandoc, xen/include/public/arch-x86/hvm/start_info.h).
 */
#include <stdint.h>

#define MULTIBOOT_MAGIC 0x2badb002u
#define PVH_MAGIC       0x336ec578u
#define PVH_ENTRY       18 /* XEN_ELFNOTE_PHYS32_ENTRY */
#define MAX_MODULES     32
#define MAX_REGIONS     64
#define BIOS_FIRST      0xe0000u /* where the RSDP is looked for (ACPI, 5.2.5.1) */
#define BIOS_END        0x100000u
#define COM1            0x3f8

enum { PT_LOAD = 1, PT_NOTE = 4 };

struct multiboot_info {
    uint32_t flags, lower, upper, boot_device, cmdline, module_count, modules;
    uint32_t symbols[4];
    uint32_t map_length, map;
};

struct multiboot_module {
    uint32_t start, end, string, reserved;
};

struct multiboot_region {
    uint32_t size; /* of what follows */
    uint64_t base, length;
    uint32_t type;
} __attribute__((packed));

struct elf {
    uint8_t ident[16];
    uint16_t type, machine;
    uint32_t version;
    uint64_t entry, program_offset, section_offset;
    uint32_t flags;
    uint16_t header_size, program_size, program_count;
};

struct elf_program {
    uint32_t type, flags;
    uint64_t offset, vaddr, paddr, file_size, memory_size, align;
};

struct elf_note {
    uint32_t name_size, size, type;
    char name[4];
    uint32_t value;
};

struct pvh_module {
    uint64_t base, size, name, reserved;
};

struct pvh_region {
    uint64_t base, size;
    uint32_t type, reserved;
};

struct pvh_info {
    uint32_t magic, version, flags, module_count;
    uint64_t modules, cmdline, rsdp, map;
    uint32_t map_count, reserved;
};

_Static_assert(sizeof(struct pvh_info) == 56 && sizeof(struct pvh_region) == 24 && sizeof(struct pvh_module) == 32, "");
_Static_assert(sizeof(struct multiboot_region) == 24 && sizeof(struct elf_program) == 56, "");

void load(uint32_t magic, const struct multiboot_info *info);
void leave_to(uint32_t entry, const void *info);

static struct pvh_module modules[MAX_MODULES];
static struct pvh_region regions[MAX_REGIONS];
static struct pvh_info pvh;

static void out8(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static _Noreturn void refuse(const char *why)
{
    while (*why)
        out8(COM1, (uint8_t)*why++);
    for (;;)
        __asm__ volatile("cli; hlt");
}

static void *at(uint64_t address)
{
    return (void *)(uint32_t)address;
}

static void copy(uint8_t *to, const uint8_t *from, uint32_t size)
{
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
}

static void clear(uint8_t *to, uint32_t size)
{
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(size) : "a"(0) : "memory");
}

/* The name that a module's string ends with, behind the path. */
static uint64_t name_of(const char *string)
{
    const char *name = string;

    for (; *string; string++)
        if (*string == ' ')
            name = string + 1;
    return (uint32_t)name;
}

static uint32_t find_rsdp(void)
{
    static const char signature[] = "RSD PTR ";

    for (uint32_t address = BIOS_FIRST; address < BIOS_END; address += 16) {
        const char *text = at(address);
        unsigned n = 0;

        while (n < sizeof signature - 1 && text[n] == signature[n])
            n++;
        if (n == sizeof signature - 1)
            return address;
    }
    refuse("load: no RSDP\n");
}

/* Its segments to where they belong; its PVH entry. */
static uint32_t place(const uint8_t *file)
{
    const struct elf *elf = (const void *)file;
    uint32_t entry = 0;

    for (unsigned i = 0; i < elf->program_count; i++) {
        const struct elf_program *p =
            (const void *)(file + (uint32_t)elf->program_offset + i * (uint32_t)elf->program_size);
        const struct elf_note *note = (const void *)(file + (uint32_t)p->offset);

        if (p->type == PT_NOTE && note->type == PVH_ENTRY)
            entry = note->value;
        if (p->type != PT_LOAD)
            continue;
        copy(at(p->paddr), file + (uint32_t)p->offset, (uint32_t)p->file_size);
        clear(at(p->paddr + p->file_size), (uint32_t)(p->memory_size - p->file_size));
    }
    if (!entry)
        refuse("load: no PVH entry\n");
    return entry;
}

void load(uint32_t magic, const struct multiboot_info *info)
{
    const struct multiboot_module *from = at(info->modules);

    if (magic != MULTIBOOT_MAGIC || info->module_count < 1 || info->module_count > MAX_MODULES)
        refuse("load: not what QEMU's -kernel and -initrd give\n");
    pvh = (struct pvh_info){.magic = PVH_MAGIC, .version = 1, .cmdline = info->cmdline, .rsdp = find_rsdp()};
    for (uint32_t i = 1; i < info->module_count; i++)
        modules[pvh.module_count++] = (struct pvh_module){
            .base = from[i].start, .size = from[i].end - from[i].start, .name = name_of(at(from[i].string))};
    pvh.modules = (uint32_t)modules;
    for (uint32_t offset = 0; offset < info->map_length && pvh.map_count < MAX_REGIONS;) {
        const struct multiboot_region *region = at(info->map + offset);

        regions[pvh.map_count++] =
            (struct pvh_region){.base = region->base, .size = region->length, .type = region->type};
        offset += region->size + sizeof region->size;
    }
    pvh.map = (uint32_t)regions;
    leave_to(place(at(from[0].start)), &pvh);
}
