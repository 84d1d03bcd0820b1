/* Files of the host's: whether they can be read, and what is in them. */
#ifndef TOOLS_CHECK_FILE_H
#define TOOLS_CHECK_FILE_H

#include <stdint.h>

/*
 * What is wrong with a path that has to be that of a file: words that follow its name, valid until the next call; NULL:
 * nothing is. absent: the words for one that is not there. It opens nothing but files, so that no FIFO makes it wait.
 */
const char *check_file_problem(const char *path, const char *absent);

/* The content of a file, mapped; NULL: it is empty and errno 0, or errno says why it cannot be read. */
const uint8_t *check_map_file(const char *path, uint64_t *size);

#endif
