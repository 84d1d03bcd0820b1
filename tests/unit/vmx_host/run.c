#include "tests/unit/vmx_host/fake.h"

#include "vmx/run.c"
