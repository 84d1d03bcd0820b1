#include "tests/unit/vmx_host/fake.h"

#include "vmx/state.c"
