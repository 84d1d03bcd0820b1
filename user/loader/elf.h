/* Executables in ELF's format (System V ABI, chapters 4 and 5), 32 and 64 bits, for x86. Hostile bytes are expected. */
#ifndef USER_LOADER_ELF_H
#define USER_LOADER_ELF_H

#include "user/loader/loader.h"

/* The note that makes an ELF file a PVH image: its descriptor is the physical address of the 32-bit entry. */
#define ELF_NOTE_PVH_OWNER "Xen"
#define ELF_NOTE_PVH_ENTRY 18

struct elf {
    const uint8_t *image;
    uint64_t size;
    bool is64;
    uint64_t headers; /* offset of the program headers; all of them are inside the image */
    uint32_t header_size, header_count;
    uint64_t entry;
};

/* Is it an ELF file of which something that is needed, headers or segments, is not in the file? */
bool elf_is_cut_off(const void *image, uint64_t size);

/* Is it an executable for x86 whose program headers are all there? Then *elf describes it; it refers to the image. */
bool elf_open(struct elf *elf, const void *image, uint64_t size);

/* The first four bytes of the descriptor of the note with this owner and type, in *value; false: there is none. */
bool elf_note(const struct elf *elf, const char *owner, uint32_t type, uint32_t *value);

/*
 * Copies all segments to their physical addresses: OK, and *end is behind the highest one; E_FORMAT, E_NOMEM, E_RANGE
 * after a message.
 */
int elf_load(struct loader *l, const struct elf *elf, uint64_t *end);

/* The entry's physical address: e_entry is a virtual one where a segment has two different addresses. */
uint64_t elf_physical_entry(const struct elf *elf);

#endif
