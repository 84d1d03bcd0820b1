#include "kernel/vm/msr_table.h"

enum { SYSCFG = 0xc0010010, TOP_MEM = 0xc001001a, TOP_MEM2 = 0xc001001d };
enum { K7_COUNTERS = 4 };
#define K7_COUNTER0 0xc0010004u

/* What a write does. */
enum rule_kind {
    READ_ONLY, /* #GP, whatever the value */
    KEEP,      /* only `bits` may change; #GP if another bit would */
    DROP,      /* `bits` are kept, all others are ignored and read 0 */
    VARIABLE,  /* a variable-range MTRR: those with even numbers are bases, those with odd numbers are masks */
    FIXED,     /* a fixed-range MTRR: eight memory types */
    DEF_TYPE,  /* only `bits` may be set; bits 7:0 are a memory type */
    IORR,      /* with an even number: a base, RdMem and WrMem; with an odd number: a mask */
    TOP,       /* the end of RAM, in steps of 8 MiB */
};

static const struct rule {
    uint32_t first, last;
    uint8_t vendors; /* enum msr_vendor */
    uint8_t kind;    /* enum rule_kind */
    uint64_t bits;   /* those that may be written */
    uint64_t at_reset;
} rules[] = {
    /* ---- Memory types (SDM Vol. 3, 12.11; APM Vol. 2, 7.7): CPUID 1 EDX.MTRR. Enabled, all write-back. */
    {0x200, 0x20f, MSR_BOTH, VARIABLE, 0, 0},
    {0x250, 0x250, MSR_BOTH, FIXED, 0, 0x0606060606060606},
    {0x258, 0x259, MSR_BOTH, FIXED, 0, 0x0606060606060606},
    {0x268, 0x26f, MSR_BOTH, FIXED, 0, 0x0606060606060606},
    {0x2ff, 0x2ff, MSR_BOTH, DEF_TYPE, 0xcff, 0xc06},
    {0xfe, 0xfe, MSR_BOTH, READ_ONLY, 0, 0x508}, /* MTRRCAP: eight variable ranges, fixed ranges, write-combining */

    /* ---- Both vendors */
    {0x8b, 0x8b, MSR_BOTH, KEEP, 0, 0},        /* BIOS_SIGN_ID: guests write 0 and read the microcode's revision: 0 */
    {0x179, 0x179, MSR_BOTH, READ_ONLY, 0, 0}, /* MCG_CAP: no banks */
    {0x17a, 0x17a, MSR_BOTH, KEEP, 7, 0},      /* MCG_STATUS: RIPV, EIPV, MCIP */
    {0x1d9, 0x1d9, MSR_BOTH, KEEP, 0, 0},      /* DEBUGCTL: no bit is offered */

    /* ---- Intel (SDM Vol. 4, 2.1) */
    {0x17, 0x17, MSR_INTEL, READ_ONLY, 0, 0}, /* PLATFORM_ID */
    /* MISC_ENABLE: fast strings are on and may be switched off. Two read-only bits say that BTS and PEBS are not
     * available. All other bits are of features that CPUID does not show. */
    {0x1a0, 0x1a0, MSR_INTEL, KEEP, 1, 1 | 1 << 11 | 1 << 12},

    /* ---- AMD (APM Vol. 2, appendix A) */
    {0x1db, 0x1de, MSR_AMD, READ_ONLY, 0, 0}, /* LastBranchFromIP to LastIntToIP: nothing is recorded */
    /* PerfEvtSel0-3: CPUs ignore writes to reserved bits; the bits that belong to SVM are not offered. The counters
     * have 48 bits and do not count. */
    {0xc0010000, 0xc0010003, MSR_AMD, DROP, 0xfffd7ffff, 0},
    {K7_COUNTER0, K7_COUNTER0 + K7_COUNTERS - 1u, MSR_AMD, DROP, (1ull << 48) - 1, 0},
    {SYSCFG, SYSCFG, MSR_AMD, KEEP, 0x1full << 18, 0}, /* MtrrFixDramEn to Tom2ForceMemTypeWB */
    /* HWCR: TlbCacheDis, INVDWBINVD, FFDIS, IGNNE_EM, McStatusWrEn, TscFreqSel */
    {0xc0010015, 0xc0010015, MSR_AMD, KEEP, 1 << 3 | 1 << 4 | 1 << 6 | 1 << 8 | 1 << 18 | 1 << 24, 0},
    {0xc0010016, 0xc0010019, MSR_AMD, IORR, 0, 0},
    {TOP_MEM, TOP_MEM, MSR_AMD, TOP, 0, 0},
    {TOP_MEM2, TOP_MEM2, MSR_AMD, TOP, 0, 0},
    {0xc001001f, 0xc001001f, MSR_AMD, KEEP, BIT(46), 0}, /* NB_CFG: EnableCf8ExtCfg, which Linux sets */
    {0xc0010055, 0xc0010055, MSR_AMD, KEEP, 0, 0},       /* Interrupt Pending: no C1E */
};

struct found {
    const struct rule *rule; /* NULL: there is none for this MSR on this CPU */
    uint64_t index;          /* of the MSR's value in struct msr_store's kept[] */
};

static inline struct found find(const struct msr_cpu *cpu, uint32_t msr)
{
    unsigned before = 0;

    for (const struct rule *r = rules; r < rules + ARRAY_SIZE(rules); r++) {
        if (msr >= r->first && msr <= r->last)
            return (struct found){r->vendors & cpu->vendor ? r : NULL, before + (msr - r->first)};
        before += r->last - r->first + 1;
    }
    return (struct found){NULL, 0};
}

void msr_store_reset(struct msr_store *s, const struct msr_cpu *cpu, uint64_t ram_low, uint64_t ram_high)
{
    const uint64_t step = 8ull << 20;
    unsigned index = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(rules); i++)
        for (uint32_t n = rules[i].first; n <= rules[i].last; n++)
            s->kept[index++] = rules[i].at_reset;

    if (cpu->vendor != MSR_AMD)
        return;
    s->kept[find(cpu, TOP_MEM).index] = ALIGN_UP(ram_low, step);
    s->kept[find(cpu, TOP_MEM2).index] = ram_high ? ABI_RAM_HIGH_BASE + ALIGN_UP(ram_high, step) : 0;
}

/* The bits of a physical address from bit number from on. */
static uint64_t address_bits(const struct msr_cpu *cpu, unsigned from)
{
    return (BIT(cpu->physical_bits) - 1) & ~(BIT(from) - 1);
}

/* Is it a memory type: UC, WC, WT, WP or WB (SDM Vol. 3, table 12-8; APM Vol. 2, table 7-4)? */
static bool type_valid(uint8_t type)
{
    return type <= 6 && type != 2 && type != 3;
}

/* On AMD, the bits RdMem and WrMem in each byte of a fixed-range MTRR. 0 while SYSCFG hides them: they are reserved
 * then (APM Vol. 2, 7.9.1). */
static uint64_t extended_types(const struct msr_store *s, const struct msr_cpu *cpu)
{
    enum { MTRR_FIX_DRAM_MOD_EN = 1 << 19 };
    struct found f = find(cpu, SYSCFG);

    return f.rule && (s->kept[f.index] & MTRR_FIX_DRAM_MOD_EN) ? 0x1818181818181818 : 0;
}

static bool fixed_valid(uint64_t value)
{
    for (unsigned i = 0; i < 8; i++, value >>= 8)
        if (!type_valid((uint8_t)value))
            return false;
    return true;
}

/* May value be written to the MSR, which has the value old? */
static bool valid(const struct msr_store *s, const struct msr_cpu *cpu, const struct rule *r, uint32_t msr,
                  uint64_t old, uint64_t value)
{
    enum { VALID = 1 << 11, RD_MEM_WR_MEM = 3 << 3 };
    uint64_t pages = address_bits(cpu, 12);

    switch ((enum rule_kind)r->kind) {
    case VARIABLE:
        return msr & 1 ? !(value & ~(pages | VALID)) : !(value & ~(pages | 0xff)) && type_valid((uint8_t)value);
    case FIXED:
        return fixed_valid(value & ~extended_types(s, cpu));
    case DEF_TYPE:
        return !(value & ~r->bits) && type_valid((uint8_t)value);
    case IORR:
        return !(value & ~(pages | (msr & 1 ? VALID : RD_MEM_WR_MEM)));
    case TOP:
        return !(value & ~address_bits(cpu, 23));
    case KEEP:
        return !((value ^ old) & ~r->bits);
    case DROP:
        return true;
    case READ_ONLY:
        break;
    }
    return false;
}

int msr_store_read(const struct msr_store *s, const struct msr_cpu *cpu, uint32_t msr, uint64_t *value)
{
    struct found f = find(cpu, msr);
    if (!f.rule)
        return E_NOENT;

    *value = s->kept[f.index];
    if (f.rule->kind == FIXED && cpu->vendor == MSR_AMD)
        *value &= 0x0707070707070707 | extended_types(s, cpu);
    return OK;
}

int msr_store_write(struct msr_store *s, const struct msr_cpu *cpu, uint32_t msr, uint64_t value)
{
    struct found f = find(cpu, msr);
    if (!f.rule)
        return E_NOENT;
    if (!valid(s, cpu, f.rule, msr, s->kept[f.index], value))
        return E_INVAL;

    s->kept[f.index] = f.rule->kind == DROP ? value & f.rule->bits : value;
    return OK;
}

int msr_store_counter(const struct msr_store *s, const struct msr_cpu *cpu, uint32_t counter, uint64_t *value)
{
    return counter < K7_COUNTERS && !msr_store_read(s, cpu, K7_COUNTER0 + counter, value) ? OK : E_INVAL;
}
