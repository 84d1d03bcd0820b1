/* Limits of counts and sizes. */
#ifndef ABI_LIMITS_H
#define ABI_LIMITS_H

#include "abi/types.h"

#define ABI_MAX_VMS          64
#define ABI_MAX_VCPUS        255
#define ABI_MAX_CPUS         256
#define ABI_MAX_MODULES      64
#define ABI_MAX_WEIGHT       10000
#define ABI_MAX_CPU_LIMIT    25600 /* percent of one CPU */
#define ABI_NO_CPU_LIMIT     0xffffffffu
#define ABI_MIN_MEMORY       (2ull << 20) /* of a guest, in bytes */
#define ABI_MAX_MEMORY       (512ull << 30)
#define ABI_NAME_SIZE        32 /* with the final NUL */
#define ABI_MODULE_NAME_SIZE 128
#define ABI_CMDLINE_SIZE     2048

#endif
