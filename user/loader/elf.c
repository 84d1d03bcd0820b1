#include "user/loader/elf.h"

#include "lib/bytes.h"

enum { HEADER_SIZE = 64 }; /* of the longer kind; no 32-bit executable is shorter */
enum { CLASS = 4, CLASS_32 = 1, CLASS_64 = 2, DATA = 5, DATA_LSB = 1, MACHINE = 18, EM_386 = 3, EM_X86_64 = 62 };
enum { PT_LOAD = 1, PT_NOTE = 4 };

struct segment {
    uint32_t type;
    uint64_t offset, virtual_address, physical_address, file_size, memory_size;
};

/* Is the header that of an executable for x86? Where its program headers are is not looked at. */
static bool read_header(struct elf *elf, const void *image, uint64_t size)
{
    const uint8_t *p = image;

    if (size < HEADER_SIZE || memcmp(p, "\177ELF", 4) != 0 || p[DATA] != DATA_LSB)
        return false;
    *elf = (struct elf){.image = p, .size = size, .is64 = p[CLASS] == CLASS_64};
    if (!elf->is64 && p[CLASS] != CLASS_32)
        return false;
    if (get16(p + MACHINE) != EM_386 && get16(p + MACHINE) != EM_X86_64)
        return false;
    elf->entry = elf->is64 ? get64(p + 24) : get32(p + 24);
    elf->headers = elf->is64 ? get64(p + 32) : get32(p + 28);
    elf->header_size = get16(p + (elf->is64 ? 54 : 42));
    elf->header_count = get16(p + (elf->is64 ? 56 : 44));
    return elf->header_size >= (elf->is64 ? 56 : 32);
}

static bool has_program_headers(const struct elf *elf)
{
    return elf->headers <= elf->size && (uint64_t)elf->header_size * elf->header_count <= elf->size - elf->headers;
}

bool elf_open(struct elf *elf, const void *image, uint64_t size)
{
    return read_header(elf, image, size) && has_program_headers(elf);
}

static struct segment segment_get(const struct elf *elf, uint32_t n)
{
    const uint8_t *p = elf->image + elf->headers + (uint64_t)n * elf->header_size;

    if (elf->is64)
        return (struct segment){get32(p), get64(p + 8), get64(p + 16), get64(p + 24), get64(p + 32), get64(p + 40)};
    return (struct segment){get32(p), get32(p + 4), get32(p + 8), get32(p + 12), get32(p + 16), get32(p + 20)};
}

static bool is_in_file(const struct elf *elf, const struct segment *s)
{
    return s->offset <= elf->size && s->file_size <= elf->size - s->offset;
}

bool elf_is_cut_off(const void *image, uint64_t size)
{
    struct elf elf;

    if (size < 4 || memcmp(image, "\177ELF", 4) != 0)
        return false;
    if (size < HEADER_SIZE)
        return true;
    if (!read_header(&elf, image, size))
        return false;
    if (!has_program_headers(&elf))
        return true;

    for (uint32_t n = 0; n < elf.header_count; n++) {
        struct segment s = segment_get(&elf, n);

        if ((s.type == PT_LOAD || s.type == PT_NOTE) && !is_in_file(&elf, &s))
            return true;
    }
    return false;
}

/* Notes: sizes of owner and descriptor, type, then both, each padded to four bytes. */
static bool find_note(const uint8_t *p, uint64_t size, const char *owner, uint32_t type, uint32_t *value)
{
    uint64_t length = strlen(owner) + 1;

    while (size >= 12) {
        uint64_t owner_size = get32(p), at = 12 + ALIGN_UP(owner_size, 4ull), descriptor_size = get32(p + 4);
        uint64_t next = at + ALIGN_UP(descriptor_size, 4ull);

        if (at > size || descriptor_size > size - at)
            return false;
        if (get32(p + 8) == type && owner_size == length && memcmp(p + 12, owner, length) == 0 &&
            descriptor_size >= 4) {
            *value = get32(p + at);
            return true;
        }
        if (next > size)
            return false;
        p += next;
        size -= next;
    }
    return false;
}

bool elf_note(const struct elf *elf, const char *owner, uint32_t type, uint32_t *value)
{
    for (uint32_t n = 0; n < elf->header_count; n++) {
        struct segment s = segment_get(elf, n);

        if (s.type == PT_NOTE && is_in_file(elf, &s) &&
            find_note(elf->image + s.offset, s.file_size, owner, type, value))
            return true;
    }
    return false;
}

int elf_load(struct loader *l, const struct elf *elf, uint64_t *end)
{
    *end = 0;
    for (uint32_t n = 0; n < elf->header_count; n++) {
        struct segment s = segment_get(elf, n);
        int err;

        if (s.type != PT_LOAD || s.memory_size == 0)
            continue;
        if (!is_in_file(elf, &s)) {
            l->message("%s: an ELF file that is cut off (segment %u): copy it again", l->image.name, n);
            return E_FORMAT;
        }
        if (s.file_size > s.memory_size) {
            l->message("%s: segment %u has more bytes in the file than in memory: link it again", l->image.name, n);
            return E_FORMAT;
        }
        err = loader_place(l, s.physical_address, elf->image + s.offset, s.file_size, s.memory_size);
        if (err)
            return err;
        *end = MAX(*end, s.physical_address + s.memory_size);
    }
    if (*end == 0) {
        l->message("%s: an ELF file with nothing to load: name a kernel", l->image.name);
        return E_FORMAT;
    }
    return OK;
}

uint64_t elf_physical_entry(const struct elf *elf)
{
    for (uint32_t n = 0; n < elf->header_count; n++) {
        struct segment s = segment_get(elf, n);

        if (s.type == PT_LOAD && elf->entry >= s.virtual_address && elf->entry - s.virtual_address < s.memory_size)
            return elf->entry - s.virtual_address + s.physical_address;
    }
    return elf->entry;
}
