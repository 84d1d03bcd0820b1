#include "tests/unit/vmx_host/fake.h"

#include "vmx/exit.c"
