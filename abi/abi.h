/*
 * The boundary between root (ring 0) and the worlds (ring 3): system calls, upcalls, shared pages.
 *
 * No system call takes a pointer. Bulk data goes through the calling thread's own page (struct abi_page), which root
 * reaches by its own mapping; so root never dereferences an address that ring 3 chose.
 *
 * System call convention: SYSCALL with RAX = number, arguments in RDI, RSI, RDX, R10; the result is in RAX (negative:
 * enum err). RCX and R11 are lost, everything else is preserved.
 */
#ifndef ABI_ABI_H
#define ABI_ABI_H

#include "abi/err.h"
#include "abi/features.h"
#include "abi/log.h"
#include "abi/regs.h"
#include "abi/task.h"
#include "abi/types.h"

/* ---- Address space of a world ------------------------------------------------------------------------------- */

#define WORLD_IMAGE_BASE 0x0000000000400000ull /* text, rodata, data, bss */
#define WORLD_INFO_BASE  0x0000000070000000ull /* struct abi_info, read-only; INFO_PAGES pages */
#define WORLD_PAGES_BASE 0x0000000080000000ull /* struct abi_page of thread slot n at + n * PAGE_SIZE */
#define WORLD_STACKS_BASE                                                                                              \
    0x0000000100000000ull             /* stack of slot n: [n * STRIDE + STRIDE - SIZE, n * STRIDE + STRIDE)            \
                                       */
#define WORLD_STACK_STRIDE 0x20000ull /* what is below a stack is never mapped: a guard */
#define WORLD_STACK_SIZE   0x4000ull
#define WORLD_CONSOLE_BASE                                                                                             \
    0x0000000200000000ull /* struct abi_console: a device world's own; in control: of VM n at + n * SIZE */
#define WORLD_MODULES_BASE                                                                                             \
    0x0000001000000000ull                    /* boot modules, read-only: module n of abi_info.modules at .address      \
                                              */
#define WORLD_RAM_BASE 0x0000100000000000ull /* device worlds: guest-physical address g at + g, no-execute */
#define WORLD_USER_END 0x0000800000000000ull

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

/* Root answers 32-bit reads of the guest's ACPI PM timer, by the host's TSC * ABI_PM_TIMER_HZ / tsc_hz, rounded down.
 */
#define ABI_PM_TIMER_PORT 0x608
#define ABI_PM_TIMER_HZ   3579545ull

/* Thread slots of a world: 0 is its own thread ("worker"), 1 + n is that of vCPU n. Slot s runs on page s, stack s. */
#define ABI_SLOT_WORKER  0
#define ABI_SLOT_VCPU(n) (1 + (n))

/* ---- Information page ----------------------------------------------------------------------------------------- */

#define ABI_INFO_PAGES 8

struct abi_module {
    uint64_t address; /* in this world; 0: not mapped here */
    uint64_t size;    /* bytes; what follows up to the page's end reads as zero */
    char name[ABI_MODULE_NAME_SIZE];
};

/* What a guest is, from its section of the config file. Root uses the fields it needs and copies the rest on. */
struct abi_vm_config {
    char name[ABI_NAME_SIZE];
    uint64_t memory;    /* ABI_MIN_MEMORY..ABI_MAX_MEMORY, a multiple of 4 KiB */
    uint32_t vcpus;     /* 1..ABI_MAX_VCPUS; fixed for the VM's life */
    uint32_t weight;    /* of the whole guest: share of the CPU, 1..ABI_MAX_WEIGHT, 100 is usual */
    uint32_t cpu_limit; /* of the whole guest: percent of one CPU, 1..ABI_MAX_CPU_LIMIT, ABI_NO_CPU_LIMIT */
    uint32_t reserved;
    uint64_t cpus[ABI_MAX_CPUS / 64]; /* CPUs its threads may run on; all zero: any */
    uint8_t lapic;                    /* 0: no LAPICs */
    uint8_t exit_device;              /* port 0xf4 ends the guest */
    uint8_t restart;                  /* on-exit = restart (control's affair) */
    uint8_t acceleration;             /* 0: the CPU does nothing for the LAPICs by itself */
    int32_t image;                    /* index into the boot modules */
    int32_t initrd;                   /* -1: none */
    uint32_t module_count;            /* multiboot1 modules */
    int32_t modules[16];
    uint16_t module_args[16]; /* command line of each, from the config: where in args; each ends with a NUL */
    char args[ABI_CMDLINE_SIZE];
    char cmdline[ABI_CMDLINE_SIZE];
};

/* How memory of the guest lies: RAM [0, low) and, if high > 0, [4 GiB, 4 GiB + high). low <= ABI_RAM_LOW_MAX. */
#define ABI_RAM_LOW_MAX 0xc0000000ull
/* In the first MiB, [0xa0000, 0xb8000) is not RAM but MMIO; 0xb8000-0xbffff is plain RAM (a text screen that nobody
 * scans out, but that can be dumped); 0xc0000-0xfffff is RAM too and holds what firmware would leave there. */
#define ABI_VGA_HOLE_BASE 0xa0000ull
#define ABI_VGA_HOLE_END  0xb8000ull

struct abi_info {
    uint64_t abi_version;      /* ABI_VERSION */
    uint64_t tsc_hz;           /* of the host's TSC; all times in this interface are host TSC ticks */
    uint64_t boot_tsc;         /* TSC at the moment of boot_wall_s */
    uint64_t boot_wall_s;      /* seconds since 1970-01-01 UTC, from the RTC */
    uint64_t guest_tsc_offset; /* guest TSC = host TSC + this (mod 2^64) */
    uint64_t ram_low, ram_high;
    uint32_t features[ABI_FEATURE_WORDS]; /* device worlds only */
    uint32_t vm_id;
    uint32_t cpu_count; /* physical CPUs */
    uint64_t rsdp;      /* control only: physical address of the host's RSDP, 0: none */
    uint64_t log_from;  /* control only: LOG_READ's number of the first line that root has not printed itself */
    uint32_t module_count;
    uint32_t reserved;
    struct abi_vm_config config; /* device worlds only */
    struct abi_module modules[ABI_MAX_MODULES];
};
#define ABI_VERSION 1
static_assert(sizeof(struct abi_info) <= ABI_INFO_PAGES * PAGE_SIZE, "abi_info fits its pages");

/* ---- Console rings -------------------------------------------------------------------------------------------- */

/*
 * A ring with one producer and one consumer, which do not trust each other: each masks the other's index. head counts
 * bytes put, tail bytes taken, both modulo 2^32; head - tail <= ABI_RING_SIZE or the peer is broken (treat as
 * empty/full). Producer: write data, then head with release. Consumer: read head with acquire, data, then tail with
 * release.
 */
#define ABI_RING_SIZE 2048u
struct abi_ring {
    uint32_t head; /* written by the producer only */
    uint32_t pad0[15];
    uint32_t tail; /* written by the consumer only */
    uint32_t pad1[15];
    uint8_t data[ABI_RING_SIZE];
};
/* One page per direction: `out` is guest to terminal. */
struct abi_console {
    union {
        struct abi_ring out;
        uint8_t out_page[PAGE_SIZE];
    };
    union {
        struct abi_ring in;
        uint8_t in_page[PAGE_SIZE];
    };
};
static_assert(sizeof(struct abi_console) == 2 * PAGE_SIZE, "abi_console is two pages");

/* ---- Upcalls: root calls the device world on a vCPU's thread ---------------------------------------------------- */

/*
 * Root fills the thread's abi_page.upcall and enters the world's entry point (start of the image) with RDI = slot on an
 * empty stack (RSP = end of the slot's stack, minus 8, so that it looks like after a call); RFLAGS has IF only, and all
 * other registers but RCX and R11 are zero. The world answers with SYS_REPLY after it filled abi_page.reply: flags
 * always, the rest as the flags and the kind of upcall ask for it. The worker's thread enters in the same way, once,
 * with slot 0.
 *
 * EMULATE, LENGTH and TASK_SWITCH: abi_page.regs holds the vCPU's registers, which the world changes in place.
 */
enum abi_upcall_kind {
    ABI_UPCALL_IO = 1,  /* IN or OUT, not a string: u.io */
    ABI_UPCALL_EMULATE, /* an MMIO access, INS or OUTS: emulate the instruction at regs.rip; u.emulate */
    ABI_UPCALL_LENGTH,  /* how long is the instruction at regs.rip? reply.length, reply.value; or inject a fault */
    ABI_UPCALL_INTA, /* interrupt acknowledge cycle to the 8259s: reply.vector, or ABI_REPLY_SPURIOUS if INTR went away
                      */
    ABI_UPCALL_EOI,  /* EOI broadcast of a level-triggered vector, or none, but a LAPIC takes more than before: u.eoi */
    ABI_UPCALL_HALTED, /* no vCPU runs, and only an NMI or INIT could change that: end the guest if none can come */
    ABI_UPCALL_TASK_SWITCH, /* the guest switches tasks, and the CPU has left it to us: u.task */
    ABI_UPCALL_REFUSED, /* the CPU refused the guest's state, u.refused: log why; the guest ends, whatever the answer */
};

/* EOI: no vector. A message that APIC_MSG said nobody took may find its target now. */
#define ABI_EOI_NONE 256

/* REFUSED: what the CPU was given. As many as u.refused.count says are in the page's buffer. */
struct abi_field {
    uint64_t number; /* the vendor's: VMX: the encoding of a field of the VMCS, or the number of a capability MSR */
    uint64_t value;
};

struct abi_io {
    uint16_t port;
    uint8_t size; /* 1, 2, 4 */
    uint8_t write;
};

struct abi_upcall {
    uint32_t kind;
    uint32_t reserved;
    uint64_t lapic_base; /* with abi_page.regs: where the vCPU's xAPIC page is now; all ones: nowhere */
    union {
        struct {
            struct abi_io access;
            uint32_t value; /* for a write: zero-extended */
        } io;
        struct {
            uint64_t gpa;      /* of a faulting access */
            uint8_t gpa_valid; /* gpa is that of the instruction's operand, not of a table of the page walk to it */
            uint8_t write;
            uint8_t fetch;       /* an instruction fetch from MMIO: cannot be emulated */
            uint8_t bytes_count; /* instruction bytes the CPU delivered (decode assists), 0..15 */
            uint8_t bytes[16];
        } emulate;
        struct {
            uint32_t vector;
        } eoi;
        struct abi_task_switch task;
        struct {
            uint32_t count;
        } refused;
    } u;
};

#define ABI_REPLY_REGS 1u /* abi_page.regs: gpr, rip, rflags and cr2 are new (the rest of it is ignored) */
/* Inject reply.vector (0..31), with reply.error_code if ABI_REPLY_ERROR_CODE; #DB: DR6 gets the bits of reply.value. */
#define ABI_REPLY_EXCEPTION  2u
#define ABI_REPLY_ERROR_CODE 4u
#define ABI_REPLY_SPURIOUS   8u
#define ABI_REPLY_END        16u /* the guest cannot go on (the world has logged why): end it, ABI_END_EMULATION */
#define ABI_REPLY_SHADOW     32u /* the emulated instruction was MOV SS or POP SS: block interrupts for one instruction */
/* TASK_SWITCH: beside ABI_REPLY_REGS, the segment registers, LDTR, TR, cpl, CR3 and reply.pdpte are new; CR0.TS is set
 * and DR7's local bits are clear. */
#define ABI_REPLY_TASK 64u

/* EMULATE, beside ABI_REPLY_REGS: segment registers, GDTR, IDTR, LDTR, TR and bits 3:0 of CR0 are new (PE only set). */
#define ABI_REPLY_SYSTEM 128u

struct abi_reply {
    uint32_t flags;
    /* IO read: result in the low bytes; LENGTH: the register that ModRM.rm names, if it does; #DB: DR6.BS, BT, B0-B3 */
    uint32_t value;
    uint32_t length; /* LENGTH: 1..15 */
    uint32_t vector;
    uint32_t error_code;
    uint32_t reserved;
    uint64_t pdpte[4]; /* TASK: with PAE paging, where CR3 has changed */
};

/* ---- System calls ------------------------------------------------------------------------------------------------ */

/*
 * All: OK or another result >= 0, or a negative enum err. "buffer" is the calling thread's abi_page.buffer. Any call
 * that the calling thread may not make answers E_PERM, an unknown one E_NOSYS.
 *
 * Every thread:
 *   PARK(deadline)     sleep until an UNPARK or NOTIFY for this thread, or until the host TSC reaches deadline (or
 * NEVER): OK, E_TIMEDOUT, E_INTR. An unpark that came first ends it at once. UNPARK(slot)       of a thread of this
 * world: OK, E_RANGE. LOG(length)        append buffer[0..length) to the hypervisor's log, as one line of this world's.
 * A device world has a budget (kernel/logring.h); what is over it is dropped, and the log says so. Device worlds:
 *   REPLY()            vCPU threads: ends an upcall; does not return.
 *   NOTIFY()           unpark control: something was put into the console ring, or taken from it.
 *   APIC_MSG(address, data)  an interrupt message in MSI format (SDM Vol. 3, 11.11): how many LAPICs took it. 0: when a
 * register of a LAPIC is written that may change that, an EOI upcall says so (not for vectors below 16).
 *   EXTINT(level)      the 8259s' INTR output, to LINT0 of the LAPICs, or to INTR of the CPU without LAPIC.
 *   LAPIC_READ(offset) vCPU threads: of their own xAPIC page, 32 bits: the value, or E_INVAL if no LAPIC answers there.
 *   LAPIC_WRITE(offset, value)  likewise.
 *   VECTOR_READ(n)     vCPU threads: the vCPU's register ZMMn (n: 0..15) into buffer[0..64): its XCR0, or E_RANGE.
 *   VECTOR_WRITE(n)    likewise, from there: OK, E_RANGE.
 *   BOOT()             worker only, once: buffer holds the struct abi_regs of the BSP; start it: OK, E_BUSY, E_INVAL.
 *   VM_END(reason, status)   this guest has ended: OK; E_RANGE: no reason that a device world may give (END_TABLE).
 * Control:
 *   CONSOLE_WRITE(length)    buffer to the physical console, raw: bytes taken, 0..length.
 *   CONSOLE_READ(max)        from the physical console into buffer: bytes.
 *   LOG_READ(number)         the oldest line of the log that is kept and has this number or a greater one, as struct
 * abi_log_line into buffer: 1; 0: there is none. VM_CONFIG(offset, length) put buffer[0..length) at
 * offset of the struct abi_vm_config being built: OK, E_RANGE. VM_CREATE()              from that config; its worker
 * starts to load it: VM id, E_NOMEM, E_INVAL, E_BUSY (too many). VM_NOTIFY(vm)            unpark the worker of this
 * VM's device world. VM_STOP(vm, reason, status)  end a guest from outside: OK, E_NOENT. VM_DESTROY(vm)           wait
 * until its threads are gone and give everything back; stops it first if need be. VM_PAUSE(vm)             returns when
 * no vCPU runs any more. VM_RESUME(vm). VM_INFO(vm)              struct abi_vm_info into buffer: OK, E_NOENT. Control
 * is unparked whenever a VM ends or boots. VCPU_INFO(vm, vcpu)      struct abi_vcpu_info into buffer. SYSTEM_INFO():
 * struct abi_system_info. PORT_IN(port, size), PORT_OUT(port, size, value)  a physical port, for power-off and reset.
 *   PHYS_READ(paddr, length) firmware tables into buffer: bytes; E_PERM for what the firmware's map calls free RAM.
 *   RESET(), HALT()          the machine: triple fault; stop all CPUs for good. Do not return.
 *
 * X(name, number, who): who is 'a' every thread, 'd' device worlds, 'v' a device world's vCPU threads, 'c' control.
 */
#define SYSCALL_TABLE(X)                                                                                               \
    X(REPLY, 0, 'v')                                                                                                   \
    X(PARK, 1, 'a')                                                                                                    \
    X(UNPARK, 2, 'a')                                                                                                  \
    X(LOG, 3, 'a')                                                                                                     \
    X(NOTIFY, 4, 'd')                                                                                                  \
    X(APIC_MSG, 5, 'd')                                                                                                \
    X(EXTINT, 6, 'd')                                                                                                  \
    X(LAPIC_READ, 7, 'v')                                                                                              \
    X(LAPIC_WRITE, 8, 'v')                                                                                             \
    X(BOOT, 9, 'd')                                                                                                    \
    X(VM_END, 10, 'd')                                                                                                 \
    X(CONSOLE_WRITE, 11, 'c')                                                                                          \
    X(CONSOLE_READ, 12, 'c')                                                                                           \
    X(LOG_READ, 13, 'c')                                                                                               \
    X(VM_CONFIG, 14, 'c')                                                                                              \
    X(VM_CREATE, 15, 'c')                                                                                              \
    X(VM_NOTIFY, 16, 'c')                                                                                              \
    X(VM_STOP, 17, 'c')                                                                                                \
    X(VM_DESTROY, 18, 'c')                                                                                             \
    X(VM_PAUSE, 19, 'c')                                                                                               \
    X(VM_RESUME, 20, 'c')                                                                                              \
    X(VM_INFO, 21, 'c')                                                                                                \
    X(VCPU_INFO, 22, 'c')                                                                                              \
    X(SYSTEM_INFO, 23, 'c')                                                                                            \
    X(PORT_IN, 24, 'c')                                                                                                \
    X(PORT_OUT, 25, 'c')                                                                                               \
    X(PHYS_READ, 26, 'c')                                                                                              \
    X(RESET, 27, 'c')                                                                                                  \
    X(HALT, 28, 'c')                                                                                                   \
    X(VECTOR_READ, 29, 'v')                                                                                            \
    X(VECTOR_WRITE, 30, 'v')

enum abi_syscall {
#define X(name, n, who) SYS_##name = (n),
    SYSCALL_TABLE(X)
#undef X
        SYS_COUNT
};

/* How a guest ended. Status is the exit device's value, 0 otherwise. Who may say so: 'd' its device world, 'r' root,
 * and the operator through control. */
#define END_TABLE(X)                                                                                                   \
    X(NONE, 0, "running", 'r')                                                                                         \
    X(POWEROFF, 1, "powered off", 'd') /* ACPI S5 */                                                                   \
    X(EXIT, 2, "exit device", 'd')     /* status: the value written to port 0xf4 */                                    \
    X(RESET, 3, "reset", 'd')          /* reset register, 8042, port 0xcf9, port 0x92 */                               \
    X(TRIPLE_FAULT, 4, "triple fault", 'd')                                                                            \
    X(STOPPED, 5, "stopped", 'r') /* by the operator */                                                                \
    X(LOAD, 6, "image not loaded", 'd')                                                                                \
    X(EMULATION, 7, "instruction not emulated", 'd')                                                                   \
    X(WORLD_CRASH, 8, "device world crashed", 'r')                                                                     \
    X(WORLD_HANG, 9, "device world did not answer", 'r')                                                               \
    X(INVALID_STATE, 10, "invalid guest state", 'r')                                                                   \
    X(INTERNAL, 11, "internal error", 'r')                                                                             \
    X(HALTED, 12, "halted for good", 'd') /* every vCPU halted with interrupts off */

enum abi_end {
#define X(name, n, text, who) ABI_END_##name = (n),
    END_TABLE(X)
#undef X
};

/* ---- Answers of the *_INFO calls ------------------------------------------------------------------------------------
 */

enum abi_mp_state {
    ABI_MP_RUNNABLE,
    ABI_MP_UNINITIALIZED,
    ABI_MP_WAIT_FOR_SIPI,
    ABI_MP_HALTED,
    ABI_MP_PAUSED,
};

#define EXIT_TABLE(X)                                                                                                  \
    X(INTERRUPT, "interrupt")                                                                                          \
    X(NMI, "nmi")                                                                                                      \
    X(WINDOW, "window")                                                                                                \
    X(HLT, "hlt")                                                                                                      \
    X(CPUID, "cpuid")                                                                                                  \
    X(RDMSR, "rdmsr")                                                                                                  \
    X(WRMSR, "wrmsr")                                                                                                  \
    X(IO, "io")                                                                                                        \
    X(MMIO, "mmio")                                                                                                    \
    X(HYPERCALL, "hypercall")                                                                                          \
    X(XSETBV, "xsetbv")                                                                                                \
    X(PAUSE, "pause")                                                                                                  \
    X(SHUTDOWN, "shutdown")                                                                                            \
    X(EXCEPTION, "exception")                                                                                          \
    X(CR, "cr")                                                                                                        \
    X(CR4, "cr4")                                                                                                      \
    X(CR8, "cr8")                                                                                                      \
    X(CACHE, "cache")                                                                                                  \
    X(RDPMC, "rdpmc")                                                                                                  \
    X(TASK_SWITCH, "task switch")                                                                                      \
    X(REFUSED, "refused entry")                                                                                        \
    X(OTHER, "other")

enum abi_exit {
#define X(name, text) ABI_EXIT_##name,
    EXIT_TABLE(X)
#undef X
        ABI_EXITS
};

struct abi_vm_info {
    char name[ABI_NAME_SIZE];
    uint32_t state; /* enum abi_vm_state */
    uint32_t vcpus;
    uint32_t end_reason; /* enum abi_end */
    uint32_t end_status;
    uint64_t memory;
    uint64_t created_tsc; /* host TSC */
    uint64_t booted_tsc;  /* first entry of the BSP; 0: not yet */
    uint64_t ended_tsc;   /* 0: not yet */
    uint64_t exits;       /* of all vCPUs */
    uint64_t root_bytes;  /* memory of root's that its creation took, beside the guest's own */
    uint32_t paused;
    uint32_t reserved;
};
enum abi_vm_state { ABI_VM_LOADING, ABI_VM_RUNNING, ABI_VM_ENDED };

struct abi_vcpu_info {
    uint64_t word;     /* the state word, raw */
    uint32_t mp_state; /* enum abi_mp_state */
    uint32_t where;    /* 0 root, 1 guest, 2 parked, or waiting for an interrupt on its CPU */
    uint32_t cpu;      /* where it runs or ran last */
    uint32_t apic_id;
    uint64_t run_ticks; /* TSC ticks on a CPU */
    uint64_t entries;
    uint64_t parks, wakes;
    uint64_t rip; /* of its last exit */
    uint64_t exits[ABI_EXITS];
};

struct abi_system_info {
    uint32_t cpus;
    uint32_t vms;
    uint64_t guest_memory_total, guest_memory_free; /* bytes */
    uint64_t root_memory_total, root_memory_free;
    uint64_t root_text_bytes;
    char backend[16]; /* "svm", "vmx" */
    char cpu_name[49];
    uint8_t reserved[7];
};

/* ---- A thread's page
 * ------------------------------------------------------------------------------------------------- */

#define ABI_BUFFER_SIZE 2048
#define ABI_MAX_FIELDS  (ABI_BUFFER_SIZE / sizeof(struct abi_field))
struct abi_page {
    union {
        struct abi_upcall upcall;
        uint8_t upcall_area[512];
    };
    union {
        struct abi_reply reply;
        uint8_t reply_area[512];
    };
    union {
        struct abi_regs regs;
        uint8_t regs_area[1024];
    };
    union {
        uint8_t buffer[ABI_BUFFER_SIZE];
        struct abi_field fields[ABI_MAX_FIELDS];
    };
};
static_assert(sizeof(struct abi_page) == PAGE_SIZE, "abi_page is a page");
static_assert(sizeof(struct abi_vcpu_info) <= ABI_BUFFER_SIZE, "fits the buffer");

#endif
