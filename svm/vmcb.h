/* The virtual machine control block (APM Vol. 2, appendix B). */
#ifndef SVM_VMCB_H
#define SVM_VMCB_H

#include "abi/regs.h"

struct vmcb {
    /* The control area. */
    uint32_t intercept_cr, intercept_dr, intercept_exceptions;
    uint32_t intercept1, intercept2, intercept3;
    uint8_t reserved0[0x3c - 0x18];
    uint16_t pause_threshold, pause_count;
    uint64_t iopm_base, msrpm_base, tsc_offset;
    uint32_t asid;
    uint8_t tlb_control, reserved1[3];
    uint32_t virtual_interrupt; /* V_TPR, V_IRQ, ... */
    uint32_t virtual_vector;
    uint64_t interrupt_shadow;
    uint64_t exit_code, exit_info1, exit_info2, exit_int_info;
    uint64_t nested_control;
    uint8_t reserved2[0xa8 - 0x98];
    uint64_t event_injection;
    uint64_t nested_cr3;
    uint64_t lbr_control;
    /* clean stays 0, so that each VMRUN loads the whole VMCB. */
    uint32_t clean, reserved3;
    uint64_t next_rip;
    uint8_t fetched, bytes[15];
    uint8_t reserved4[0x400 - 0xe0];

    /* The state save area. */
    struct abi_segment es, cs, ss, ds, fs, gs, gdtr, ldtr, idtr, tr;
    uint8_t reserved5[0x4cb - 0x4a0];
    uint8_t cpl;
    uint32_t reserved6;
    uint64_t efer;
    uint8_t reserved7[0x548 - 0x4d8];
    uint64_t cr4, cr3, cr0, dr7, dr6, rflags, rip;
    uint8_t reserved8[0x5d8 - 0x580];
    uint64_t rsp;
    uint8_t reserved9[0x5f8 - 0x5e0];
    uint64_t rax, star, lstar, cstar, sfmask, kernel_gs_base, sysenter_cs, sysenter_esp, sysenter_eip, cr2;
    uint8_t reserved10[0x668 - 0x648];
    uint64_t g_pat;
    uint8_t reserved11[0x1000 - 0x670];
};

static_assert(offsetof(struct vmcb, iopm_base) == 0x40, "VMCB layout");
static_assert(offsetof(struct vmcb, virtual_interrupt) == 0x60, "VMCB layout");
static_assert(offsetof(struct vmcb, exit_code) == 0x70, "VMCB layout");
static_assert(offsetof(struct vmcb, nested_control) == 0x90, "VMCB layout");
static_assert(offsetof(struct vmcb, event_injection) == 0xa8, "VMCB layout");
static_assert(offsetof(struct vmcb, next_rip) == 0xc8, "VMCB layout");
static_assert(offsetof(struct vmcb, efer) == 0x4d0, "VMCB layout");
static_assert(offsetof(struct vmcb, rip) == 0x578, "VMCB layout");
static_assert(offsetof(struct vmcb, rax) == 0x5f8, "VMCB layout");
static_assert(offsetof(struct vmcb, g_pat) == 0x668, "VMCB layout");
static_assert(sizeof(struct vmcb) == 4096, "a VMCB is a page");

/* Bits of intercept1 (offset 0ch of the VMCB). */
enum {
    I1_INTR = 1,
    I1_NMI = 2,
    I1_SMI = 4,
    I1_INIT = 8,
    I1_VINTR = 16,
    I1_RDPMC = 1 << 15,
    I1_CPUID = 1 << 18,
    I1_IRET = 1 << 20,
    I1_INVD = 1 << 22,
    I1_PAUSE = 1 << 23,
    I1_HLT = 1 << 24,
    I1_INVLPGA = 1 << 26,
    I1_IOIO = 1 << 27,
    I1_MSR = 1 << 28,
    I1_FERR_FREEZE = 1 << 30
};
#define I1_SHUTDOWN (1u << 31)

/* Bits of intercept2 (offset 10h of the VMCB). */
enum {
    I2_VMRUN = 1,
    I2_VMMCALL = 2,
    I2_VMLOAD = 4,
    I2_VMSAVE = 8,
    I2_STGI = 16,
    I2_CLGI = 32,
    I2_SKINIT = 64,
    I2_WBINVD = 512,
    I2_MONITOR = 1024,
    I2_MWAIT = 2048,
    I2_MWAIT_ARMED = 4096,
    I2_XSETBV = 8192
};

/* Exit codes (APM Vol. 2, appendix C) */
enum {
    EXIT_CR4_READ = 0x04,
    EXIT_CR4_WRITE = 0x14,
    EXIT_CR8_WRITE = 0x18,
    EXIT_EXCEPTION0 = 0x40,
    EXIT_INTR = 0x60,
    EXIT_NMI,
    EXIT_SMI,
    EXIT_INIT,
    EXIT_VINTR,
    EXIT_RDPMC = 0x6f,
    EXIT_CPUID = 0x72,
    EXIT_IRET = 0x74,
    EXIT_INVD = 0x76,
    EXIT_PAUSE,
    EXIT_HLT,
    EXIT_INVLPGA = 0x7a,
    EXIT_IOIO,
    EXIT_MSR,
    EXIT_SHUTDOWN = 0x7f,
    EXIT_VMRUN,
    EXIT_VMMCALL,
    EXIT_VMLOAD,
    EXIT_VMSAVE,
    EXIT_STGI,
    EXIT_CLGI,
    EXIT_SKINIT,
    EXIT_WBINVD = 0x89,
    EXIT_MONITOR,
    EXIT_MWAIT,
    EXIT_MWAIT_ARMED,
    EXIT_XSETBV,
    EXIT_NPF = 0x400
};

/* Bits of intercept_cr. */
enum { CR4_READ = 1 << 4, CR4_WRITE = 1 << 20, CR8_WRITE = 1 << 24 };

/* Bits of virtual_interrupt. */
enum { V_IRQ = 1 << 8, V_IGN_TPR = 1 << 20, V_INTR_MASKING = 1 << 24 };

/* Values of tlb_control. */
enum { TLB_NOTHING = 0, TLB_FLUSH_ALL = 1 };

/* The reserved bits 30:12 of EXITINTINFO and EVENTINJ. */
#define EVENT_RESERVED 0x7ffff000ull

#endif
