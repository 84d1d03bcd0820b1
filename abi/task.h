/* A hardware task switch, which root leaves to the device world. */
#ifndef ABI_TASK_H
#define ABI_TASK_H

#include "abi/types.h"

/*
 * A hardware task switch (SDM Vol. 3, 8.3). The CPU has done the checks that come before the VM exit (26.4.2). source
 * has the numbers of table 28-2, type those of 25.8.3.
 */
enum abi_task_source { ABI_TASK_CALL, ABI_TASK_IRET, ABI_TASK_JMP, ABI_TASK_GATE };
struct abi_task_switch {
    uint16_t selector; /* of the new TSS */
    uint8_t source;    /* enum abi_task_source; GATE: a gate in the IDT */
    uint8_t length;    /* of the instruction at regs.rip, if an instruction is the cause */
    /* GATE: the event that is being delivered. */
    uint8_t vector, type;
    bool has_error_code;
    uint8_t reserved;
    uint32_t error_code;
};

#endif
