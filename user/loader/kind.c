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

/* What images come in, by the bytes at an offset. Stored in one of them, an image may look like one itself. */
struct package {
    uint8_t magic[6];
    uint8_t length;
    uint16_t offset;
    const char *advice;
};

static const struct package packages[] = {
    {{0x1f, 0x8b}, 2, 0, "it is compressed (gzip); unpack it with gunzip"},
    {{0xfd, '7', 'z', 'X', 'Z', 0}, 6, 0, "it is compressed (xz); unpack it with unxz"},
    {{0x28, 0xb5, 0x2f, 0xfd}, 4, 0, "it is compressed (zstd); unpack it with unzstd"},
    {{'B', 'Z', 'h'}, 3, 0, "it is compressed (bzip2); unpack it with bunzip2"},
    {{0x04, 0x22, 0x4d, 0x18}, 4, 0, "it is compressed (lz4); unpack it with unlz4"},
    {{0x02, 0x21, 0x4c, 0x18}, 4, 0, "it is compressed (lz4, the old form); unpack it with unlz4"},
    {{0x5d, 0, 0}, 3, 0, "it is compressed (lzma); unpack it with unlzma"},
    {{0x89, 'L', 'Z', 'O'}, 4, 0, "it is compressed (lzo); unpack it with lzop -d"},
    {{'P', 'K', 3, 4}, 4, 0, "it is a zip archive; take the image out with unzip"},
    {{'u', 's', 't', 'a', 'r'}, 5, 257, "it is a tar archive; take the image out with tar -x"},
};

static const struct package *find_package(const uint8_t *image, uint64_t size)
{
    for (unsigned i = 0; i < ARRAY_SIZE(packages); i++) {
        const struct package *p = &packages[i];

        if (size >= (uint64_t)p->offset + p->length && memcmp(image + p->offset, p->magic, p->length) == 0)
            return p;
    }
    return NULL;
}

static bool has_linux_header(const uint8_t *image, uint64_t size)
{
    return size >= HEADER + 4 && image[BOOT_FLAG] == 0x55 && image[BOOT_FLAG + 1] == 0xaa &&
           memcmp(image + HEADER, "HdrS", 4) == 0;
}

const char *image_advice(const void *image, uint64_t size)
{
    const struct package *package = find_package(image, size);

    if (package)
        return package->advice;
    if (has_linux_header(image, size))
        return "it is a Linux kernel that is cut off; copy it again";
    if (elf_is_cut_off(image, size))
        return "it is an ELF file that is cut off; copy it again";
    return "name one";
}

enum image_kind image_kind(const void *image, uint64_t size)
{
    uint32_t value;
    struct elf elf;

    if (find_package(image, size))
        return IMAGE_UNKNOWN;
    if (size >= LINUX_MIN && has_linux_header(image, size))
        return IMAGE_LINUX;
    if (elf_open(&elf, image, size) && elf_note(&elf, ELF_NOTE_PVH_OWNER, ELF_NOTE_PVH_ENTRY, &value))
        return IMAGE_PVH;
    return multiboot_find(image, size, &value) ? IMAGE_MULTIBOOT : IMAGE_UNKNOWN;
}
