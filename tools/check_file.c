#include "tools/check_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *unreadable(int error)
{
    static char words[128];

    snprintf(words, sizeof(words), "cannot be read: %s", strerror(error));
    return words;
}

static const char *no_file(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFDIR:
        return "is a folder: give the path of a file";
    case S_IFIFO:
        return "is a FIFO: give the path of a file";
    case S_IFSOCK:
        return "is a socket: give the path of a file";
    default:
        return "is a device: give the path of a file";
    }
}

const uint8_t *check_map_file(const char *path, uint64_t *size)
{
    int file = open(path, O_RDONLY | O_CLOEXEC), error;
    void *content = MAP_FAILED;
    struct stat status;

    *size = 0;
    if (file < 0)
        return NULL;
    status.st_size = 0;
    if (fstat(file, &status) == 0 && status.st_size > 0)
        content = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, file, 0);

    error = status.st_size > 0 ? errno : 0;
    close(file);
    errno = error;
    if (content == MAP_FAILED)
        return NULL;
    *size = (uint64_t)status.st_size;
    return content;
}

const char *check_file_problem(const char *path, const char *absent)
{
    const uint8_t *content;
    struct stat status;
    uint64_t size;

    if (stat(path, &status) != 0) {
        int error = errno;

        if (error != ENOENT && error != ENOTDIR)
            return unreadable(error);
        return lstat(path, &status) == 0 ? "is a link to what is not there: give the path of a file" : absent;
    }
    if (!S_ISREG(status.st_mode))
        return no_file(status.st_mode);

    content = check_map_file(path, &size);
    if (!content && errno)
        return unreadable(errno);
    if (content)
        munmap((void *)(uintptr_t)content, size);
    return NULL;
}
