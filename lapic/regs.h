/* Registers of the local APIC: their offsets in the xAPIC page, and their bits (SDM Vol. 3, tables 11-1 and 11-6). The
 * x2APIC MSR of a register is 0x800 + offset / 16. */
#ifndef LAPIC_REGS_H
#define LAPIC_REGS_H

#define APIC_ID        0x020u
#define APIC_VERSION   0x030u
#define APIC_TPR       0x080u
#define APIC_APR       0x090u
#define APIC_PPR       0x0a0u
#define APIC_EOI       0x0b0u
#define APIC_RRD       0x0c0u
#define APIC_LDR       0x0d0u
#define APIC_DFR       0x0e0u
#define APIC_SVR       0x0f0u
#define APIC_ISR       0x100u /* ISR, TMR and IRR are eight registers of 32 bits each */
#define APIC_TMR       0x180u
#define APIC_IRR       0x200u
#define APIC_ESR       0x280u
#define APIC_ICR_LO    0x300u
#define APIC_ICR_HI    0x310u
#define APIC_LVT_TIMER 0x320u /* the first of six, in the order of enum lapic_lvt */
#define APIC_LVT_LINT0 0x350u
#define APIC_LVT_ERROR 0x370u
#define APIC_INITIAL   0x380u /* timer initial count */
#define APIC_CURRENT   0x390u /* timer current count */
#define APIC_DCR       0x3e0u
#define APIC_SELF_IPI  0x3f0u

#define APIC_VERSION_VALUE 0x00050014u /* version 0x14, highest LVT entry 5, no EOI-broadcast suppression */

#define SVR_ENABLE 0x100u

#define ESR_SEND_ILLEGAL_VECTOR    0x20u
#define ESR_RECEIVE_ILLEGAL_VECTOR 0x40u
#define ESR_ILLEGAL_REGISTER       0x80u

/* Bits that the ICR, the LVT and the data of an MSI have in common. */
#define APIC_VECTOR          0x000000ffu
#define APIC_DELIVERY_MODE   0x00000700u
#define APIC_DELIVERY_STATUS 0x00001000u
#define APIC_TRIGGER_LEVEL   0x00008000u

#define DELIVERY_FIXED    0x000u
#define DELIVERY_LOWEST   0x100u
#define DELIVERY_SMI      0x200u
#define DELIVERY_RESERVED 0x300u
#define DELIVERY_NMI      0x400u
#define DELIVERY_INIT     0x500u
#define DELIVERY_SIPI     0x600u
#define DELIVERY_EXTINT   0x700u

#define ICR_WRITABLE         0x000cdfffu
#define ICR_LOGICAL          0x00000800u
#define ICR_ASSERT           0x00004000u
#define ICR_SHORTHAND        0x000c0000u
#define ICR_SELF             0x00040000u
#define ICR_ALL              0x00080000u
#define ICR_ALL_BUT_SELF     0x000c0000u
#define ICR_DESTINATION(icr) ((uint32_t)((icr) >> 32))

#define LVT_REMOTE_IRR         0x00004000u
#define LVT_MASKED             0x00010000u
#define LVT_TIMER_MODE         0x00060000u
#define LVT_TIMER_PERIODIC     0x00020000u
#define LVT_TIMER_TSC_DEADLINE 0x00040000u

#define MSR_IA32_APIC_BASE    0x01bu
#define MSR_IA32_TSC_DEADLINE 0x6e0u
#define MSR_X2APIC            0x800u
#define MSR_X2APIC_TPR        0x808u
#define MSR_X2APIC_EOI        0x80bu
#define MSR_X2APIC_ICR        0x830u
#define MSR_X2APIC_END        0x900u

#define APIC_BASE_BSP     0x100ull
#define APIC_BASE_EXTD    0x400ull
#define APIC_BASE_EN      0x800ull
#define APIC_BASE_DEFAULT 0xfee00000ull

#endif
