#include "tests/unit/svm_host/fake.h"

#include "svm/exit.c"
