#include "tests/unit/vmx_host/fake.h"

#include "vmx/vmx.c"

/* The test knows no linker script. */
extern const struct backend *const vmx_host_backend;
const struct backend *const vmx_host_backend = &vmx;
