/* ELF executables for tests, byte by byte (System V ABI, chapters 4 and 5). */
#ifndef TESTS_UNIT_ELF_IMAGE_H
#define TESTS_UNIT_ELF_IMAGE_H

#include "lib/bytes.h"

enum { ELF_LOAD = 1, ELF_NOTE = 4, ELF_I386 = 3, ELF_X86_64 = 62 };

static uint8_t elf_image[0x10000];
static bool elf_is64;

/* A file of which everything but the header is zero: program headers at 0x100. */
static void elf_start(bool is64, unsigned headers, uint64_t entry)
{
    uint8_t *p = elf_image;

    memset(p, 0, sizeof elf_image);
    elf_is64 = is64;
    memcpy(p, "\177ELF", 4);
    p[4] = is64 ? 2 : 1;
    p[5] = p[6] = 1;
    put16(p + 16, 2);
    put16(p + 18, is64 ? ELF_X86_64 : ELF_I386);
    put32(p + 20, 1);
    put64(p + 24, entry);
    put32(p + (is64 ? 32 : 28), 0x100);
    put16(p + (is64 ? 54 : 42), is64 ? 56 : 32);
    put16(p + (is64 ? 56 : 44), headers);
}

struct elf_part {
    uint32_t type;
    uint64_t offset, virtual_address, physical_address, file_size, memory_size;
};

static void elf_part(unsigned n, struct elf_part s)
{
    uint8_t *p = elf_image + 0x100 + n * (elf_is64 ? 56ull : 32ull);
    const uint64_t fields[] = {s.offset, s.virtual_address, s.physical_address, s.file_size, s.memory_size};

    put32(p, s.type);
    for (unsigned i = 0; i < 5; i++)
        if (elf_is64)
            put64(p + 8 + 8ull * i, fields[i]);
        else
            put32(p + 4 + 4ull * i, fields[i]);
}

/* A note at offset `at`: how many bytes it takes. */
static inline uint32_t elf_put_note(uint32_t at, const char *owner, uint32_t owner_size, uint32_t type, uint64_t value,
                                    uint32_t value_size)
{
    uint8_t *p = elf_image + at;
    uint32_t descriptor = 12 + ALIGN_UP(owner_size, 4u);

    put32(p, owner_size);
    put32(p + 4, value_size);
    put32(p + 8, type);
    memcpy(p + 12, owner, owner_size);
    memcpy(p + descriptor, &value, value_size);
    return descriptor + ALIGN_UP(value_size, 4u);
}

/* Code at 0x1000 with a BSS for `at`, and the note that makes it a PVH image, which starts at at + 0x20. */
static inline void elf_pvh(bool is64, uint64_t at)
{
    elf_start(is64, 2, 0xdeadbeef);
    memset(elf_image + 0x1000, 0xc5, 0x800);
    elf_part(0,
             (struct elf_part){ELF_NOTE, 0x400, 0, 0, elf_put_note(0x400, "Xen", 4, 18, at + 0x20, is64 ? 8 : 4), 0});
    elf_part(1, (struct elf_part){ELF_LOAD, 0x1000, at, at, 0x800, 0x1800});
}

#endif
