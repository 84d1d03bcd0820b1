/*
 * The VMCS's fields, by width (SDM Vol. 3, appendix B). Root reads and writes them in vmx/. When the CPU refuses a
 * guest state, root hands that state to the device world by these numbers, and those of the MSRs below (struct
 * abi_field).
 */
#ifndef ABI_VMCS_H
#define ABI_VMCS_H

#include "abi/types.h"

enum vmcs16 {
    VPID = 0x0000,
    /* CS, SS, DS, FS, GS, LDTR and TR follow, 2 apart. So do their limits, access rights and bases below. */
    GUEST_ES = 0x0800,
    HOST_ES = 0x0c00,
    HOST_CS = 0x0c02,
    HOST_SS = 0x0c04,
    HOST_DS = 0x0c06,
    HOST_FS = 0x0c08,
    HOST_GS = 0x0c0a,
    HOST_TR = 0x0c0c,
};

enum vmcs64 {
    IO_BITMAP_A = 0x2000,
    IO_BITMAP_B = 0x2002,
    MSR_BITMAP = 0x2004,
    EXIT_MSR_STORE = 0x2006,
    EXIT_MSR_LOAD = 0x2008,
    ENTRY_MSR_LOAD = 0x200a,
    TSC_OFFSET = 0x2010,
    VIRTUAL_APIC = 0x2012,
    EPT_POINTER = 0x201a,
    GUEST_PHYSICAL_ADDRESS = 0x2400,
    VMCS_LINK = 0x2800,
    GUEST_DEBUGCTL = 0x2802,
    GUEST_PAT = 0x2804,
    GUEST_EFER = 0x2806,
    GUEST_PDPTE0 = 0x280a,
    HOST_PAT = 0x2c00,
    HOST_EFER = 0x2c02,
};

enum vmcs32 {
    PIN_CONTROLS = 0x4000,
    PROC_CONTROLS = 0x4002,
    EXCEPTION_BITMAP = 0x4004,
    PF_ERROR_MASK = 0x4006,
    PF_ERROR_MATCH = 0x4008,
    CR3_TARGET_COUNT = 0x400a,
    EXIT_CONTROLS = 0x400c,
    EXIT_MSR_STORE_COUNT = 0x400e,
    EXIT_MSR_LOAD_COUNT = 0x4010,
    ENTRY_CONTROLS = 0x4012,
    ENTRY_MSR_LOAD_COUNT = 0x4014,
    ENTRY_EVENT = 0x4016,
    ENTRY_EVENT_ERROR = 0x4018,
    ENTRY_EVENT_LENGTH = 0x401a,
    TPR_THRESHOLD = 0x401c,
    PROC2_CONTROLS = 0x401e,
    PLE_GAP = 0x4020,
    PLE_WINDOW = 0x4022,
    INSTRUCTION_ERROR = 0x4400,
    EXIT_REASON = 0x4402,
    EXIT_EVENT = 0x4404,
    VECTORING_EVENT = 0x4408,
    VECTORING_EVENT_ERROR = 0x440a,
    EXIT_INSTRUCTION_LENGTH = 0x440c,
    GUEST_ES_LIMIT = 0x4800,
    GUEST_GDTR_LIMIT = 0x4810,
    GUEST_IDTR_LIMIT = 0x4812,
    GUEST_ES_RIGHTS = 0x4814,
    GUEST_INTERRUPTIBILITY = 0x4824,
    GUEST_ACTIVITY = 0x4826,
    /* 0x4828 is SMBASE. Only an SMM monitor needs it, and not every hypervisor's VMX has it. */
    GUEST_SYSENTER_CS = 0x482a,
    PREEMPTION_TIMER = 0x482e,
    HOST_SYSENTER_CS = 0x4c00,
};

enum vmcsn { /* natural width: 64 bits here */
             CR0_MASK = 0x6000,
             CR4_MASK = 0x6002,
             CR0_SHADOW = 0x6004,
             CR4_SHADOW = 0x6006,
             EXIT_QUALIFICATION = 0x6400,
             GUEST_CR0 = 0x6800,
             GUEST_CR3 = 0x6802,
             GUEST_CR4 = 0x6804,
             GUEST_ES_BASE = 0x6806,
             GUEST_GDTR_BASE = 0x6816,
             GUEST_IDTR_BASE = 0x6818,
             GUEST_DR7 = 0x681a,
             GUEST_RSP = 0x681c,
             GUEST_RIP = 0x681e,
             GUEST_RFLAGS = 0x6820,
             GUEST_PENDING_DEBUG = 0x6822,
             GUEST_SYSENTER_ESP = 0x6824,
             GUEST_SYSENTER_EIP = 0x6826,
             HOST_CR0 = 0x6c00,
             HOST_CR3 = 0x6c02,
             HOST_CR4 = 0x6c04,
             HOST_FS_BASE = 0x6c06,
             HOST_GS_BASE = 0x6c08,
             HOST_TR_BASE = 0x6c0a,
             HOST_GDTR_BASE = 0x6c0c,
             HOST_IDTR_BASE = 0x6c0e,
             HOST_SYSENTER_ESP = 0x6c10,
             HOST_SYSENTER_EIP = 0x6c12,
             HOST_RIP = 0x6c16, /* HOST_RSP is in vmx/entry.asm */
};

/* MSRs (SDM Vol. 3, A.7 and A.8). */
enum { IA32_VMX_CR0_FIXED0 = 0x486, IA32_VMX_CR0_FIXED1, IA32_VMX_CR4_FIXED0, IA32_VMX_CR4_FIXED1 };

/* Bits of ENTRY_EVENT and EXIT_EVENT (25.8.3). */
#define EVENT_VALID      BIT(31)
#define EVENT_TYPE_SHIFT 8

#endif
