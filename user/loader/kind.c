#include "lib/bytes.h"
#include "user/loader/elf.h"

enum { BOOT_FLAG = 0x1fe, HEADER = 0x202, LINUX_MIN = 0x280 };
enum { MULTIBOOT_MAGIC = 0x1badb002, MULTIBOOT_SEARCH = 8192 };

bool multiboot_find(const void *image, uint64_t size, uint32_t *header)
{
    const uint8_t *p = image;
    uint64_t end = MIN(size, (uint64_t)MULTIBOOT_SEARCH);

    for (uint32_t at = 0; at + 12 <= end; at += 4) {
        uint32_t flags = get32(p + at + 4);

        if (get32(p + at) == MULTIBOOT_MAGIC && (uint32_t)(MULTIBOOT_MAGIC + flags + get32(p + at + 8)) == 0 &&
            (!(flags & MULTIBOOT_HAS_ADDRESSES) || at + 32 <= end)) {
            *header = at;
            return true;
        }
    }
    return false;
}

const char *image_advice(const void *image, uint64_t size)
{
    static const struct {
        uint8_t magic[6];
        uint8_t length;
        const char *advice;
    } packed[] = {
        {{0x1f, 0x8b}, 2, "it is compressed; unpack it with gunzip"},
        {{0xfd, '7', 'z', 'X', 'Z', 0}, 6, "it is compressed; unpack it with unxz"},
        {{0x28, 0xb5, 0x2f, 0xfd}, 4, "it is compressed; unpack it with unzstd"},
        {{'B', 'Z', 'h'}, 3, "it is compressed; unpack it with bunzip2"},
        {{0x04, 0x22, 0x4d, 0x18}, 4, "it is compressed; unpack it with unlz4"},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(packed); i++) {
        if (size >= packed[i].length && memcmp(image, packed[i].magic, packed[i].length) == 0)
            return packed[i].advice;
    }
    return "name one";
}

enum image_kind image_kind(const void *image, uint64_t size)
{
    const uint8_t *p = image;
    uint32_t value;
    struct elf elf;

    if (size >= LINUX_MIN && p[BOOT_FLAG] == 0x55 && p[BOOT_FLAG + 1] == 0xaa && memcmp(p + HEADER, "HdrS", 4) == 0)
        return IMAGE_LINUX;
    if (elf_open(&elf, image, size) && elf_note(&elf, ELF_NOTE_PVH_OWNER, ELF_NOTE_PVH_ENTRY, &value))
        return IMAGE_PVH;
    return multiboot_find(image, size, &value) ? IMAGE_MULTIBOOT : IMAGE_UNKNOWN;
}
