#include "tests/unit/svm_host/fake.h"

#include "svm/svm.c"

/* The test knows no linker script. */
extern const struct backend *const svm_host_backend;
const struct backend *const svm_host_backend = &svm;
