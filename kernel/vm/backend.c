#include "kernel/vm/backend.h"

#include "kernel/base/log.h"

const struct backend *backend;

extern const struct backend *const backends_start[], *const backends_end[];

void backend_find(void)
{
    for (const struct backend *const *b = backends_start; b < backends_end; b++)
        if ((*b)->present()) {
            const char *missing = (*b)->probe();
            if (missing)
                log_line(LOG_ERROR, "%s", missing);
            else
                backend = *b;
            return;
        }

    log_line(LOG_ERROR,
             "this CPU offers neither AMD SVM nor Intel VMX, and no guest runs without: use one that does, or, if "
             "this is a virtual machine, switch nested virtualization on");
}
