/* Errors. A function that can fail returns 0 or a positive result, or one of these errors as a negative number. */
#ifndef ABI_ERR_H
#define ABI_ERR_H

#define ERR_TABLE(X)                                                                                                   \
    X(NOMEM, 1, "out of memory")                                                                                       \
    X(INVAL, 2, "invalid argument")                                                                                    \
    X(NOENT, 3, "no such object")                                                                                      \
    X(BUSY, 4, "busy")                                                                                                 \
    X(PERM, 5, "not permitted")                                                                                        \
    X(RANGE, 6, "out of range")                                                                                        \
    X(NOTSUP, 7, "not supported by this CPU or machine")                                                               \
    X(TIMEDOUT, 8, "timed out")                                                                                        \
    X(INTR, 9, "interrupted")                                                                                          \
    X(FAULT, 10, "fault")                                                                                              \
    X(NOSYS, 11, "no such system call")                                                                                \
    X(AGAIN, 12, "try again")                                                                                          \
    X(FORMAT, 13, "malformed data")

enum err {
    OK = 0,
#define X(name, n, text) E_##name = -(n),
    ERR_TABLE(X)
#undef X
};

/* The text for a negative enum err, "success" for 0. Never NULL. */
static inline const char *err_text(int err)
{
    switch (err) {
    case OK:
        return "success";
#define X(name, n, text)                                                                                               \
    case E_##name:                                                                                                     \
        return text;
        ERR_TABLE(X)
#undef X
    default:
        return "unknown error";
    }
}

#endif
