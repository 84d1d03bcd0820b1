/* The image of a world: a flat binary, loaded at WORLD_IMAGE_BASE. Its first byte is the entry point. */
#ifndef ABI_WORLD_H
#define ABI_WORLD_H

#include "abi/types.h"

/*
 * The header is at WORLD_HEADER_OFFSET in the image; before it is the jump to the entry code. All four ends are virtual
 * addresses. Mapped are:
 *   [WORLD_IMAGE_BASE, text_end)  read-execute
 *   [text_end, rodata_end)        read-only
 *   [rodata_end, bss_end)         read-write
 * text_end and rodata_end are page-aligned. The file's content ends at data_end; from data_end to bss_end all is zero.
 */
#define WORLD_HEADER_OFFSET 16
#define WORLD_HEADER_MAGIC  "LAPWORLD"

struct world_header {
    char magic[8]; /* WORLD_HEADER_MAGIC, without the NUL */
    uint64_t text_end, rodata_end, data_end, bss_end;
};
static_assert(sizeof(struct world_header) == 40, "world_header layout");

#endif
