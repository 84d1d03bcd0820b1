#include "user/lib/log.h"

#include "lib/format.h"
#include "user/lib/syscall.h"

void world_log(const char *fmt, ...)
{
    struct abi_page *page = world_page();
    va_list args;
    int length;

    va_start(args, fmt);
    length = vformat((char *)page->buffer, ABI_BUFFER_SIZE, fmt, args);
    va_end(args);
    sys_log(MIN((size_t)length, (size_t)ABI_BUFFER_SIZE - 1));
}
