/* The page that a thread shares with root: all bulk data of system calls and upcalls goes through it. */
#ifndef ABI_PAGE_H
#define ABI_PAGE_H

#include "abi/answers.h"
#include "abi/regs.h"
#include "abi/types.h"
#include "abi/upcall.h"

#define ABI_BUFFER_SIZE 2048
#define ABI_MAX_FIELDS  (ABI_BUFFER_SIZE / sizeof(struct abi_field))
struct abi_page {
    union {
        struct abi_upcall upcall;
        uint8_t upcall_area[512];
    };
    union {
        struct abi_reply reply;
        uint8_t reply_area[512];
    };
    union {
        struct abi_regs regs;
        uint8_t regs_area[1024];
    };
    union {
        uint8_t buffer[ABI_BUFFER_SIZE];
        struct abi_field fields[ABI_MAX_FIELDS];
    };
};
static_assert(sizeof(struct abi_page) == PAGE_SIZE, "abi_page is a page");
static_assert(sizeof(struct abi_vcpu_info) <= ABI_BUFFER_SIZE, "fits the buffer");

#endif
