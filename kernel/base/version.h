/* The version, as the boot log says it. tools/lapwing/base.py reads it here. */
#ifndef KERNEL_BASE_VERSION_H
#define KERNEL_BASE_VERSION_H

#define LAPWING_VERSION "0.1.0"

#endif
