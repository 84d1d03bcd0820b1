/*
 * CR4 and EFER take what CPUID offers, and #GP is the answer to all else (SDM Vol. 3, 2.2.1 and 2.5; APM Vol. 2, 3.1).
 */
#include "tests/guests/lib/guest.h"

const char guest_name[] = "control";

#define CR4_MCE        BIT(6)
#define GENUINE_INTEL  0x756e6547u /* CPUID 0, EBX */
#define MSR_MCG_CAP    0x179
#define MSR_MCG_STATUS 0x17a
#define MSR_MC0_CTL    0x400
#define EFER_SCE       BIT(0)
#define EFER_NXE       BIT(11)
#define EFER_FFXSR     BIT(14)
#define OWN            (BIT(20) | BIT(21)) /* SMEP, SMAP: this code is on a user page */
#define ROUNDS         100

static void to_cr4(void *value)
{
    write_cr4(*(const uint64_t *)value);
}

static void read_pkru(void *unused)
{
    (void)unused;
    __asm__ volatile(".byte 0x0f, 0x01, 0xee" : : "c"(0) : "rax", "rdx"); /* RDPKRU */
}

static bool has(uint32_t leaf, uint32_t word, unsigned bit)
{
    return word >> bit & 1 && leaf <= cpuid(leaf & BIT(31), 0).eax;
}

static uint64_t offered_cr4(void)
{
    struct cpuid one = cpuid(1, 0), seven = cpuid(7, 0);
    uint64_t bits = BIT(8); /* PCE */

    bits |= has(1, one.edx, 1) ? BIT(0) | BIT(1) : 0; /* VME, PVI */
    bits |= has(1, one.edx, 4) ? BIT(2) : 0;          /* TSD */
    bits |= has(1, one.edx, 2) ? BIT(3) : 0;          /* DE */
    bits |= has(1, one.edx, 3) ? BIT(4) : 0;          /* PSE */
    bits |= has(1, one.edx, 6) ? BIT(5) : 0;          /* PAE */
    bits |= has(1, one.edx, 7) ? CR4_MCE : 0;
    bits |= has(1, one.edx, 13) ? BIT(7) : 0;           /* PGE */
    bits |= has(1, one.edx, 24) ? BIT(9) : 0;           /* OSFXSR */
    bits |= has(1, one.edx, 25) ? BIT(10) : 0;          /* OSXMMEXCPT */
    bits |= has(1, one.ecx, 26) ? BIT(18) : 0;          /* OSXSAVE */
    bits |= has(1, one.ecx, 17) ? BIT(17) : 0;          /* PCIDE */
    bits |= has(7, seven.ecx, 2) ? BIT(11) : 0;         /* UMIP */
    bits |= has(7, seven.ecx, 16) ? BIT(12) : 0;        /* LA57 */
    bits |= has(7, seven.ebx, 0) ? BIT(16) : 0;         /* FSGSBASE */
    bits |= has(7, seven.ebx, 7) ? BIT(20) : 0;         /* SMEP */
    bits |= has(7, seven.ebx, 20) ? BIT(21) : 0;        /* SMAP */
    return bits | (has(7, seven.ecx, 3) ? BIT(22) : 0); /* PKE */
}

/* MCE a guest may find set though it has cleared it, where the CPU does not tell of MOV from CR4 (docs/backends.md). */
static void check_cr4(const char *what, uint64_t wanted)
{
    check(what, wanted & ~CR4_MCE, read_cr4() & ~CR4_MCE);
}

/* Where MOV from CR4 shows the guest's own MCE, as on every CPU of Intel's, it reads what it wrote. */
static void mce(void)
{
    uint64_t before = read_cr4();

    if (!has(1, cpuid(1, 0).edx, 7) || cpuid(0, 0).ebx != GENUINE_INTEL)
        return;
    check("CR4.MCE at the start", 0, before & CR4_MCE);
    write_cr4(before | CR4_MCE);
    check("CR4 with MCE", before | CR4_MCE, read_cr4());
    write_cr4(before);
    check("CR4 without MCE", before, read_cr4());

    uint64_t value = (before | CR4_MCE) & ~CR4_PAE;
    check("CR4.PAE cleared with MCE set", VECTOR_GP, (uint64_t)catch_trap(to_cr4, &value));
    check("CR4 behind it", before, read_cr4());
    value = before | CR4_MCE | BIT(63);
    check("CR4.MCE set with bit 63", VECTOR_GP, (uint64_t)catch_trap(to_cr4, &value));
    check("CR4 behind it", before, read_cr4());
}

/* The machine-check architecture: without banks, and nothing of the CPU's own (SDM Vol. 3, 17.3). */
static void banks(void)
{
    uint64_t value;

    check("MCE and MCA in CPUID", BIT(7) | BIT(14), cpuid(1, 0).edx & (BIT(7) | BIT(14)));
    check("MCG_CAP", 0, rdmsr(MSR_MCG_CAP));
    check("MCG_STATUS", 0, rdmsr(MSR_MCG_STATUS));
    wrmsr(MSR_MCG_STATUS, 7);
    check("MCG_STATUS, written", 7, rdmsr(MSR_MCG_STATUS));
    wrmsr(MSR_MCG_STATUS, 0);
    check("MCG_STATUS, reserved bit", VECTOR_GP, (uint64_t)try_wrmsr(MSR_MCG_STATUS, 8));
    check("MCG_CTL", VECTOR_GP, (uint64_t)try_rdmsr(MSR_MCG_STATUS + 1, &value));
    for (uint32_t msr = MSR_MC0_CTL; msr < MSR_MC0_CTL + 4 * 32; msr++) {
        check("read of a bank's MSR", VECTOR_GP, (uint64_t)try_rdmsr(msr, &value));
        check("write of a bank's MSR", VECTOR_GP, (uint64_t)try_wrmsr(msr, 0));
    }
}

static void cr4(void)
{
    uint64_t before = read_cr4(), offered = offered_cr4(), value;

    for (unsigned bit = 0; bit < 64; bit++) {
        int expected = (offered | (before & CR4_MCE)) >> bit & 1 ? NO_TRAP : VECTOR_GP;

        value = before | BIT(bit);
        if (BIT(bit) & (offered & CR4_MCE ? OWN : OWN | CR4_MCE))
            continue;
        if (expected != catch_trap(to_cr4, &value))
            fail("bit of CR4, and what is to become of it", bit, (uint64_t)expected);
        check_cr4("CR4 behind it", expected == NO_TRAP ? value : before);
        write_cr4(before);
    }
    value = before & ~CR4_PAE;
    check("CR4.PAE cleared in 64-bit mode", VECTOR_GP, (uint64_t)catch_trap(to_cr4, &value));
    check_cr4("CR4 behind it", before);
    if (!(offered & BIT(22)))
        check("RDPKRU without PKU", VECTOR_UD, (uint64_t)catch_trap(read_pkru, NULL));
}

/* As Linux does to drop global translations: those of a page that is not there any more must be gone. */
static void flushes(void)
{
    uint64_t before = read_cr4();

    for (unsigned i = 0; i < ROUNDS; i++) {
        write_cr4(before ^ BIT(7));
        write_cr4(before);
    }
    check_cr4("CR4 behind toggles of PGE", before);
}

static void efer(void)
{
    uint64_t before = rdmsr(MSR_EFER), offered = EFER_SCE | EFER_NXE | EFER_LME | EFER_LMA;

    offered |= cpuid(0x80000001, 0).edx & BIT(25) ? EFER_FFXSR : 0;
    for (unsigned bit = 0; bit < 64; bit++) {
        int expected = offered >> bit & 1 ? NO_TRAP : VECTOR_GP;

        if (expected != try_wrmsr(MSR_EFER, before | BIT(bit)))
            fail("bit of EFER, and what is to become of it", bit, (uint64_t)expected);
        check("EFER behind it", expected == NO_TRAP ? before | BIT(bit) : before, rdmsr(MSR_EFER));
        wrmsr(MSR_EFER, before);
    }
    check("EFER.LME cleared under paging", VECTOR_GP, (uint64_t)try_wrmsr(MSR_EFER, before & ~EFER_LME));
}

void guest_main(void)
{
    mce();
    banks();
    cr4();
    flushes();
    efer();
}
