/* Bits of the architecture that the emulator needs (SDM Vol. 3, 2.3, 2.5, 4.7, 6.15; Vol. 1, 3.4.3). */
#ifndef USER_EMUL_X86_H
#define USER_EMUL_X86_H

#include "abi/types.h"

#define RFLAGS_CF   BIT(0)
#define RFLAGS_ONE  BIT(1) /* always */
#define RFLAGS_PF   BIT(2)
#define RFLAGS_AF   BIT(4)
#define RFLAGS_ZF   BIT(6)
#define RFLAGS_SF   BIT(7)
#define RFLAGS_TF   BIT(8)
#define RFLAGS_DF   BIT(10)
#define RFLAGS_OF   BIT(11)
#define RFLAGS_IOPL (BIT(12) | BIT(13))
#define RFLAGS_NT   BIT(14)
#define RFLAGS_RF   BIT(16)
#define RFLAGS_VM   BIT(17)
#define RFLAGS_AC   BIT(18)

#define RFLAGS_ARITHMETIC (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)

#define CR0_PE BIT(0)
#define CR0_TS BIT(3)
#define CR0_WP BIT(16)
#define CR0_AM BIT(18)
#define CR0_PG BIT(31)

#define CR4_PSE  BIT(4)
#define CR4_PAE  BIT(5)
#define CR4_LA57 BIT(12)
#define CR4_SMEP BIT(20)
#define CR4_SMAP BIT(21)

#define EFER_LMA BIT(10)
#define EFER_NXE BIT(11)

#define VECTOR_DE 0u
#define VECTOR_BR 5u
#define VECTOR_UD 6u
#define VECTOR_DF 8u
#define VECTOR_TS 10u
#define VECTOR_NP 11u
#define VECTOR_SS 12u
#define VECTOR_GP 13u
#define VECTOR_PF 14u
#define VECTOR_AC 17u

/* Page-fault error code. */
#define PF_PRESENT  0x01u
#define PF_WRITE    0x02u
#define PF_USER     0x04u
#define PF_RESERVED 0x08u
#define PF_FETCH    0x10u

#endif
