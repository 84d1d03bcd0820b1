/* Which rule a failed VM entry broke. Only run then, so each table's conditions are all worked out. */
#include "user/refused/check.h"

#define ENTRY_LONG_MODE BIT(9) /* VM-entry control "IA-32e mode guest" */

enum {
    CR0_PE = 1,
    CR4_PAE = 1 << 5,
    CR4_PCIDE = 1 << 17,
    EFER_LME = 1 << 8,
    EFER_LMA = 1 << 10,
    EFER_KNOWN = 0xd01, /* SCE LME LMA NXE */
    DEBUGCTL_BTF = 2,
    DEBUGCTL_KNOWN = 0xdfc7,
    RFLAGS_TF = 1 << 8,
    RFLAGS_IF = 1 << 9,
    RFLAGS_VM = 1 << 17,
    SELECTOR_TI = 4
};
#define CR0_PG          BIT(31)
#define CR0_UNCHECKED   (BIT(29) | BIT(30)) /* NW and CD */
#define RFLAGS_RESERVED (0xffffffffffc00000ull | BIT(15) | BIT(5) | BIT(3))
/* Access rights (25.4.1). */
enum {
    ACCESSED = 1,
    READABLE = 2,
    CODE = 8,
    S = 1 << 4,
    P = 1 << 7,
    L = 1 << 13,
    DB = 1 << 14,
    G = 1 << 15,
    UNUSABLE = 1 << 16,
    V8086_RIGHTS = 0xf3
};
#define RIGHTS_RESERVED 0xfffe0f00u
/* Interruptibility, pending debug exceptions, activity (25.4.2), the event (25.8.3). */
enum { BY_STI = 1, BY_MOV_SS = 2, BY_SMI = 4, BY_NMI = 8, PENDING_BS = 1 << 14, PENDING_KNOWN = 0x1580f };
enum { ACTIVE, HLT, SHUTDOWN, WAIT_FOR_SIPI };
enum { EVENT_INTERRUPT, EVENT_NMI = 2 };

struct rule {
    bool broken;
    const char *text;
};

static const char *first(const struct rule *rules, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (rules[i].broken)
            return rules[i].text;
    return NULL;
}

static bool canonical(uint64_t v)
{
    return (uint64_t)((int64_t)(v << 16) >> 16) == v;
}

static bool long_mode(const struct vmx_guest_state *s)
{
    return s->entry_controls & ENTRY_LONG_MODE;
}

static bool pat_valid(uint64_t pat)
{
    bool valid = true;
    for (; pat; pat >>= 8)
        valid = valid && (pat & 0xff) < 8 && (pat & 0xfe) != 2;
    return valid;
}

static const char *check_registers(const struct vmx_guest_state *s)
{
    bool paging = s->cr0 & CR0_PG, lma = s->efer & EFER_LMA;
    const struct rule rules[] = {
        {(s->cr0_fixed[0] & ~s->cr0) || (s->cr0 & ~s->cr0_fixed[1] & ~CR0_UNCHECKED),
         "27.3.1.1: CR0 has a bit that VMX operation fixes the other way"},
        {paging && !(s->cr0 & CR0_PE), "27.3.1.1: CR0.PG without CR0.PE"},
        {(s->cr4_fixed[0] & ~s->cr4) || (s->cr4 & ~s->cr4_fixed[1]),
         "27.3.1.1: CR4 has a bit that VMX operation fixes the other way"},
        {s->debugctl & ~(uint64_t)DEBUGCTL_KNOWN, "27.3.1.1: IA32_DEBUGCTL has a reserved bit"},
        {long_mode(s) && !(paging && (s->cr4 & CR4_PAE)), "27.3.1.1: a 64-bit guest without CR0.PG or CR4.PAE"},
        {!long_mode(s) && (s->cr4 & CR4_PCIDE), "27.3.1.1: CR4.PCIDE outside a 64-bit guest"},
        {s->cr3 >> s->physical_bits, "27.3.1.1: CR3 has bits beyond the physical-address width"},
        {s->dr7 >> 32, "27.3.1.1: DR7 has one of the bits 63:32"},
        {!canonical(s->sysenter_esp), "27.3.1.1: IA32_SYSENTER_ESP is not canonical"},
        {!canonical(s->sysenter_eip), "27.3.1.1: IA32_SYSENTER_EIP is not canonical"},
        {!pat_valid(s->pat), "27.3.1.1: IA32_PAT has a memory type that is none"},
        {s->efer & ~(uint64_t)EFER_KNOWN, "27.3.1.1: IA32_EFER has a reserved bit"},
        {lma != long_mode(s), "27.3.1.1: IA32_EFER.LMA is not as the control \"IA-32e mode guest\""},
        {paging && lma != !!(s->efer & EFER_LME), "27.3.1.1: under paging, IA32_EFER.LMA is not as LME"},
    };
    return first(rules, ARRAY_SIZE(rules));
}

/* G has to tell what the limit's lower twelve and upper twelve bits are. */
static bool limit_wrong(uint32_t limit, uint32_t rights)
{
    return rights & G ? (limit & 0xfff) != 0xfff : limit >> 20;
}

#define OF_EACH(text)                                                                                                  \
    {                                                                                                                  \
        "27.3.1.2: ES" text, "27.3.1.2: CS" text, "27.3.1.2: SS" text, "27.3.1.2: DS" text, "27.3.1.2: FS" text,       \
            "27.3.1.2: GS" text, "27.3.1.2: LDTR" text, "27.3.1.2: TR" text                                            \
    }
static const char *const bad_v8086[] = OF_EACH(": not base = selector * 16, limit ffff, access rights f3 in v8086");
static const char *const bad_ti[] = OF_EACH(": its selector names the LDT");
static const char *const bad_base[] = OF_EACH(": its base is not canonical, or has one of the bits 63:32");
static const char *const bad_type[] = OF_EACH(": its type is not allowed there");
static const char *const bad_s[] = OF_EACH(": its S bit says system for code or data, or the other way");
static const char *const bad_p[] = OF_EACH(": it is not present");
static const char *const bad_reserved[] = OF_EACH(": its access rights have a reserved bit");
static const char *const bad_limit[] = OF_EACH(": its limit does not go with its G bit");

static bool type_wrong(const struct vmx_guest_state *s, enum vmx_segment i)
{
    uint32_t type = s->segment[i].rights & 15;
    switch (i) {
    case VMX_CS:
        return type != 3 && (type & (CODE | ACCESSED)) != (CODE | ACCESSED);
    case VMX_SS:
        return type != 3 && type != 7;
    case VMX_LDTR:
        return type != 2;
    case VMX_TR:
        return type != 11 && (long_mode(s) || type != 3);
    default:
        return !(type & ACCESSED) || ((type & CODE) && !(type & READABLE));
    }
}

static const char *check_segment(const struct vmx_guest_state *s, enum vmx_segment i)
{
    bool v8086 = s->rflags & RFLAGS_VM, data_or_code = i <= VMX_GS, always = i == VMX_CS || i == VMX_TR;
    uint16_t selector = s->segment[i].selector;
    uint32_t rights = s->segment[i].rights, limit = s->segment[i].limit;
    uint64_t base = s->segment[i].base;
    bool usable = (i == VMX_CS) || !(rights & UNUSABLE), full = i >= VMX_FS;
    bool type_and_rights = (usable || always) && !(v8086 && data_or_code);
    const struct rule rules[] = {
        {!data_or_code && usable && (selector & SELECTOR_TI), bad_ti[i]},
        {v8086 && data_or_code && (base != selector * 16u || limit != 0xffff || rights != V8086_RIGHTS), bad_v8086[i]},
        {full ? (usable || i != VMX_LDTR) && !canonical(base) : usable && base >> 32, bad_base[i]},
        {type_and_rights && type_wrong(s, i), bad_type[i]},
        {type_and_rights && data_or_code != !!(rights & S), bad_s[i]},
        {type_and_rights && !(rights & P), bad_p[i]},
        {type_and_rights && (rights & RIGHTS_RESERVED), bad_reserved[i]},
        {type_and_rights && limit_wrong(limit, rights), bad_limit[i]},
    };
    return first(rules, ARRAY_SIZE(rules));
}

static const char *check_segments(const struct vmx_guest_state *s)
{
    uint32_t cs = s->segment[VMX_CS].rights, cs_type = cs & 15, cs_dpl = cs >> 5 & 3;
    uint32_t ss_dpl = s->segment[VMX_SS].rights >> 5 & 3;
    bool v8086 = s->rflags & RFLAGS_VM, conforming = cs_type >= 13;
    const struct rule rules[] = {
        {!v8086 && cs_type == 3 && cs_dpl != 0, "27.3.1.2: CS is data, and its DPL is not 0"},
        {!v8086 && cs_type != 3 && (conforming ? cs_dpl > ss_dpl : cs_dpl != ss_dpl),
         "27.3.1.2: CS's DPL does not go with SS's"},
        {!v8086 && (cs_type == 3 || !(s->cr0 & CR0_PE)) && ss_dpl != 0,
         "27.3.1.2: SS's DPL is not 0 in real mode or with data in CS"},
        {!v8086 && long_mode(s) && (cs & L) && (cs & DB), "27.3.1.2: CS has both L and D"},
        {s->segment[VMX_TR].rights & UNUSABLE, "27.3.1.2: TR is unusable"},
        {!canonical(s->gdtr_base), "27.3.1.3: GDTR's base is not canonical"},
        {!canonical(s->idtr_base), "27.3.1.3: IDTR's base is not canonical"},
        {s->gdtr_limit >> 16, "27.3.1.3: GDTR's limit is beyond ffff"},
        {s->idtr_limit >> 16, "27.3.1.3: IDTR's limit is beyond ffff"},
    };
    for (enum vmx_segment i = VMX_ES; i < VMX_SEGMENTS; i++) {
        const char *rule = check_segment(s, i);
        if (rule)
            return rule;
    }
    return first(rules, ARRAY_SIZE(rules));
}

static const char *check_flow(const struct vmx_guest_state *s)
{
    bool code64 = long_mode(s) && (s->segment[VMX_CS].rights & L);
    bool interrupt = s->event && s->event_type == EVENT_INTERRUPT, nmi = s->event && s->event_type == EVENT_NMI;
    uint32_t blocked = s->interruptibility, shadow = blocked & (BY_STI | BY_MOV_SS);
    bool step = (s->rflags & RFLAGS_TF) && !(s->debugctl & DEBUGCTL_BTF);
    const struct rule rules[] = {
        {!code64 && s->rip >> 32, "27.3.1.4: RIP has one of the bits 63:32 outside 64-bit code"},
        {code64 && (int64_t)s->rip >> 48 != 0 && (int64_t)s->rip >> 48 != -1,
         "27.3.1.4: RIP's bits 63:48 are not all the same"},
        {(s->rflags & RFLAGS_RESERVED) || !(s->rflags & 2), "27.3.1.4: RFLAGS has a reserved bit wrong"},
        {(s->rflags & RFLAGS_VM) && (long_mode(s) || !(s->cr0 & CR0_PE)),
         "27.3.1.4: RFLAGS.VM in a 64-bit guest or in real mode"},
        {interrupt && !(s->rflags & RFLAGS_IF), "27.3.1.4: an interrupt is injected, and RFLAGS.IF is 0"},
        {s->activity > WAIT_FOR_SIPI, "27.3.1.5: an activity state that is none"},
        {s->activity == HLT && (s->segment[VMX_SS].rights >> 5 & 3), "27.3.1.5: HLT state, and SS's DPL is not 0"},
        {s->activity != ACTIVE && shadow, "27.3.1.5: an interrupt shadow in an inactive state"},
        {s->activity >= SHUTDOWN && interrupt, "27.3.1.5: an interrupt is injected into shutdown or wait-for-SIPI"},
        {blocked >> 4, "27.3.1.5: interruptibility has a reserved bit"},
        {shadow == (BY_STI | BY_MOV_SS), "27.3.1.5: blocking by STI and by MOV SS at once"},
        {(blocked & BY_STI) && !(s->rflags & RFLAGS_IF), "27.3.1.5: blocking by STI, and RFLAGS.IF is 0"},
        {interrupt && shadow, "27.3.1.5: an interrupt is injected into an interrupt shadow"},
        {nmi && shadow, "27.3.1.5: an NMI is injected into an interrupt shadow"},
        {blocked & BY_SMI, "27.3.1.5: blocking by SMI outside SMM"},
        {nmi && (blocked & BY_NMI), "27.3.1.5: an NMI is injected while NMIs are blocked"},
        {s->pending_debug & ~(uint64_t)PENDING_KNOWN, "27.3.1.5: pending debug exceptions have a reserved bit"},
        {(shadow || s->activity == HLT) && step != !!(s->pending_debug & PENDING_BS),
         "27.3.1.5: in an interrupt shadow, pending BS is not as RFLAGS.TF and BTF demand"},
        {s->vmcs_link != UINT64_MAX, "27.3.1.5: the VMCS link pointer names a VMCS"},
    };
    return first(rules, ARRAY_SIZE(rules));
}

static const char *check_pdptes(const struct vmx_guest_state *s)
{
    enum { PRESENT = 1, RESERVED = 0x1e6 };
    bool pae = (s->cr0 & CR0_PG) && (s->cr4 & CR4_PAE) && !long_mode(s);
    for (unsigned i = 0; pae && i < ARRAY_SIZE(s->pdpte); i++)
        if ((s->pdpte[i] & PRESENT) && ((s->pdpte[i] & RESERVED) || s->pdpte[i] >> s->physical_bits))
            return "27.3.1.6: a PDPTE has a reserved bit";
    return NULL;
}

const char *vmx_check_guest(const struct vmx_guest_state *s)
{
    static const char *(*const parts[])(const struct vmx_guest_state *) = {check_registers, check_segments, check_flow,
                                                                           check_pdptes};
    const char *rule = NULL;
    for (unsigned i = 0; i < ARRAY_SIZE(parts) && !rule; i++)
        rule = parts[i](s);
    return rule;
}
