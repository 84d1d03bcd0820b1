/*
 * The checks on guest state at VM entries (SDM Vol. 3, 27.3.1): states of each mode pass; each rule that is broken
 * alone is the one that is named.
 */
// links: user/refused/check.c user/refused/fields.c lib/format.c
#include "user/refused/check.h"

#include "lib/format.h"
#include "tests/unit/test.h"

#define IA_32E   0x200u /* VM-entry control */
#define G        0x8000u
#define DB       0x4000u
#define L        0x2000u
#define UNUSABLE 0x10000u
#define PG       0x80000000ull

static struct vmx_guest_state s;

static void set_all(uint32_t rights, uint32_t limit)
{
    for (unsigned i = 0; i < VMX_LDTR; i++) {
        s.segment[i].rights = rights;
        s.segment[i].limit = limit;
    }
}

/* As behind a reset (SDM Vol. 3, table 9-1), at the first instruction. */
static void real_mode(void)
{
    memset(&s, 0, sizeof s);
    s.cr0 = 0x30;
    s.cr4 = 0x2000;
    s.dr7 = 0x400;
    s.pat = 0x0007040600070406;
    s.rip = 0xfff0;
    s.rflags = 2;
    s.vmcs_link = UINT64_MAX;
    s.gdtr_limit = s.idtr_limit = 0xffff;
    s.cr0_fixed[0] = 0x20;
    s.cr0_fixed[1] = 0xffffffff;
    s.cr4_fixed[0] = 0x2000;
    s.cr4_fixed[1] = 0x3767ff;
    s.physical_bits = 39;
    set_all(0x93, 0xffff);
    s.segment[VMX_CS].selector = 0xf000;
    s.segment[VMX_CS].base = 0xffff0000;
    s.segment[VMX_CS].rights = 0x9b;
    s.segment[VMX_LDTR].rights = 0x82;
    s.segment[VMX_LDTR].limit = s.segment[VMX_TR].limit = 0xffff;
    s.segment[VMX_TR].rights = 0x8b;
}

static void protected_16(void)
{
    real_mode();
    s.cr0 |= 1;
    s.segment[VMX_CS].selector = 8;
    s.segment[VMX_CS].base = 0x10000;
    s.segment[VMX_TR].rights = 0x83; /* busy 16-bit TSS */
    s.segment[VMX_LDTR].rights = UNUSABLE;
    s.segment[VMX_FS].rights = UNUSABLE; /* a null selector */
    s.segment[VMX_GS].rights = 0xf1;     /* read-only, of ring 3 */
}

static void protected_32(void)
{
    protected_16();
    set_all(0x93 | G | DB, 0xffffffff);
    s.segment[VMX_CS].rights = 0x9b | G | DB;
    s.segment[VMX_TR].rights = 0x8b;
    s.segment[VMX_TR].limit = 0x67;
}

static void pae(void)
{
    protected_32();
    s.cr0 |= PG;
    s.cr3 = 0x1fe0;
    s.cr4 |= 0x20;
    s.pdpte[0] = 0x7ffffff019;
    s.pdpte[1] = 0xfffffffffffffffe; /* not present: nothing else counts */
}

static void long_mode(void)
{
    protected_32();
    s.cr0 |= PG;
    s.cr3 = 0x7ffffff000;
    s.cr4 |= 0x20;
    s.efer = 0xd01;
    s.entry_controls = IA_32E;
    s.rip = 0xffffffff81000000;
    s.segment[VMX_CS].rights = 0x9b | G | L;
    s.segment[VMX_DS].rights = s.segment[VMX_ES].rights = s.segment[VMX_SS].rights = UNUSABLE;
    s.segment[VMX_GS].base = 0xffff888000000000;
    s.segment[VMX_TR].base = 0xfffffe0000003000;
    s.gdtr_base = s.idtr_base = 0xfffffe0000001000;
    s.pdpte[0] = 0xfffffffffffffff7; /* of no use there */
}

/* 32-bit code of ring 3 under a 64-bit kernel. */
static void compatibility(void)
{
    long_mode();
    s.rip = 0xf7fc1000;
    s.segment[VMX_CS].rights = 0xfb | G | DB;
    s.segment[VMX_SS].rights = s.segment[VMX_DS].rights = 0xf3 | G | DB;
    s.rflags = 0x200;
    s.rflags |= 2;
}

static void v8086(void)
{
    protected_32();
    s.rflags = 0x23202;
    set_all(0xf3, 0xffff);
    for (unsigned i = 0; i < VMX_LDTR; i++) {
        s.segment[i].selector = (uint16_t)(0x1234 * (i + 1));
        s.segment[i].base = s.segment[i].selector * 16u;
    }
}

TEST(good_states)
{
    static void (*const modes[])(void) = {real_mode, protected_16, protected_32, pae, long_mode, compatibility, v8086};
    for (unsigned i = 0; i < ARRAY_SIZE(modes); i++) {
        modes[i]();
        CHECK_STR(vmx_check_guest(&s), NULL);
    }
}

/* The manual says of these that they pass. */
TEST(what_is_not_checked)
{
#define FINE(mode, change)                                                                                             \
    do {                                                                                                               \
        mode();                                                                                                        \
        change;                                                                                                        \
        CHECK_STR(vmx_check_guest(&s), NULL);                                                                          \
    } while (0)
    FINE(real_mode, s.cr0 |= 3u << 29; s.cr0_fixed[1] = 0x9fffffff); /* NW and CD */
    FINE(real_mode, s.segment[VMX_CS].rights = 0x93);                /* unrestricted: data in CS */
    FINE(real_mode, s.efer = 0x100);                                 /* LME without paging */
    FINE(protected_32, s.segment[VMX_SS].selector = 3);              /* unrestricted: RPLs do not count */
    FINE(protected_32, s.segment[VMX_DS].rights = UNUSABLE; s.segment[VMX_DS].limit = 0x12345678);
    FINE(protected_32, s.segment[VMX_DS].rights = UNUSABLE; s.segment[VMX_DS].base = BIT(40));
    FINE(protected_32, s.segment[VMX_LDTR].base = BIT(60); s.segment[VMX_LDTR].selector = 4);
    FINE(protected_32, s.segment[VMX_CS].rights = 0x9f | G | DB); /* conforming */
    FINE(compatibility, s.segment[VMX_CS].rights = 0x9f | G | DB);
    FINE(long_mode, s.rip = 0x800000000000); /* behind the last instruction of the lower half: 27.3.1.4 */
    FINE(long_mode, s.rip = 0xffff7fffffffffff);
    FINE(protected_32, s.interruptibility = 1; s.rflags = 0x202);
    FINE(protected_32, s.interruptibility = 2; s.rflags = 0x102; s.pending_debug = 0x4000);
    FINE(protected_32, s.interruptibility = 2; s.rflags = 0x102; s.debugctl = 2);
    FINE(protected_32, s.pending_debug = 0x1000f);
    FINE(protected_32, s.interruptibility = 8; s.event = true; s.event_type = 3);
    FINE(protected_32, s.event = true; s.event_type = 2);
    FINE(protected_32, s.event = true; s.rflags = 0x202);
    FINE(protected_32, s.event_type = 0); /* none is injected */
}
#undef FINE

#define BROKEN(mode, text, change)                                                                                     \
    do {                                                                                                               \
        mode();                                                                                                        \
        change;                                                                                                        \
        CHECK_STR(vmx_check_guest(&s), text);                                                                          \
    } while (0)

TEST(control_registers_and_msrs) /* 27.3.1.1 */
{
    static const char cr0[] = "27.3.1.1: CR0 has a bit that VMX operation fixes the other way";
    static const char cr4[] = "27.3.1.1: CR4 has a bit that VMX operation fixes the other way";
    static const char cr3[] = "27.3.1.1: CR3 has bits beyond the physical-address width";
    static const char pat[] = "27.3.1.1: IA32_PAT has a memory type that is none";
    static const char no_pae[] = "27.3.1.1: a 64-bit guest without CR0.PG or CR4.PAE";
    BROKEN(real_mode, cr0, s.cr0 &= ~0x20ull);
    BROKEN(long_mode, cr0, s.cr0 |= BIT(32));
    BROKEN(pae, "27.3.1.1: CR0.PG without CR0.PE", s.cr0 &= ~1ull);
    BROKEN(real_mode, cr4, s.cr4 &= ~0x2000ull);
    BROKEN(real_mode, cr4, s.cr4 |= BIT(11));
    BROKEN(real_mode, "27.3.1.1: IA32_DEBUGCTL has a reserved bit", s.debugctl = 1 << 3);
    BROKEN(long_mode, no_pae, s.cr4 &= ~0x20ull);
    BROKEN(long_mode, no_pae, s.cr0 &= ~PG);
    BROKEN(pae, "27.3.1.1: CR4.PCIDE outside a 64-bit guest", s.cr4 |= 1 << 17);
    BROKEN(long_mode, cr3, s.cr3 |= BIT(39));
    BROKEN(real_mode, cr3, s.cr3 = BIT(63));
    BROKEN(long_mode, "27.3.1.1: DR7 has one of the bits 63:32", s.dr7 |= BIT(32));
    BROKEN(long_mode, "27.3.1.1: IA32_SYSENTER_ESP is not canonical", s.sysenter_esp = BIT(47));
    BROKEN(long_mode, "27.3.1.1: IA32_SYSENTER_EIP is not canonical", s.sysenter_eip = BIT(63));
    for (unsigned type = 0; type < 256; type++) {
        bool good = type < 2 || (type >= 4 && type <= 7);
        BROKEN(real_mode, good ? NULL : pat, s.pat = type << 8);
        BROKEN(real_mode, good ? NULL : pat, s.pat = (uint64_t)type << 56);
    }
    BROKEN(long_mode, "27.3.1.1: IA32_EFER has a reserved bit", s.efer |= 1 << 12);
    BROKEN(pae, "27.3.1.1: IA32_EFER.LMA is not as the control \"IA-32e mode guest\"", s.efer = 0x500);
    BROKEN(long_mode, "27.3.1.1: IA32_EFER.LMA is not as the control \"IA-32e mode guest\"", s.efer = 0);
    BROKEN(pae, "27.3.1.1: under paging, IA32_EFER.LMA is not as LME", s.efer = 0x100);
    BROKEN(long_mode, "27.3.1.1: under paging, IA32_EFER.LMA is not as LME", s.efer = 0x400);
}

static const char *text_for(unsigned segment, const char *rule)
{
    static const char *const names[] = {"ES", "CS", "SS", "DS", "FS", "GS", "LDTR", "TR"};
    static char text[160];
    format(text, sizeof text, "27.3.1.2: %s: %s", names[segment], rule);
    return text;
}

/* Of ring 0, all of them usable. */
static void usable(void)
{
    protected_32();
    s.segment[VMX_LDTR].rights = 0x82;
    s.segment[VMX_LDTR].limit = 0x7;
}

TEST(each_segment) /* 27.3.1.2 */
{
    static const char base[] = "its base is not canonical, or has one of the bits 63:32";
    for (unsigned i = 0; i < VMX_SEGMENTS; i++) {
        bool full = i >= VMX_FS;
        BROKEN(usable, NULL, (void)0);
        BROKEN(usable, text_for(i, base), s.segment[i].base = full ? BIT(47) : BIT(32));
        BROKEN(usable, full ? NULL : text_for(i, base), s.segment[i].base = UINT64_MAX);
        BROKEN(usable, text_for(i, "its S bit says system for code or data, or the other way"),
               s.segment[i].rights ^= 0x10);
        BROKEN(usable, text_for(i, "it is not present"), s.segment[i].rights &= ~0x80u);
        for (unsigned bit = 8; bit < 32; bit = bit == 11 ? 17 : bit + 1)
            BROKEN(usable, text_for(i, "its access rights have a reserved bit"), s.segment[i].rights |= 1u << bit);
        BROKEN(usable, text_for(i, "its limit does not go with its G bit"), s.segment[i].rights |= G;
               s.segment[i].limit = 0xfffffffe);
        BROKEN(usable, text_for(i, "its limit does not go with its G bit"), s.segment[i].rights |= G;
               s.segment[i].limit = 0xfffff7ff);
        BROKEN(usable, text_for(i, "its limit does not go with its G bit"), s.segment[i].rights &= ~G;
               s.segment[i].limit = 0x100000);
        BROKEN(usable, NULL, s.segment[i].rights &= ~G; s.segment[i].limit = 0xffffe);
    }
    BROKEN(usable, text_for(VMX_LDTR, "its selector names the LDT"), s.segment[VMX_LDTR].selector = 12);
    BROKEN(usable, text_for(VMX_TR, "its selector names the LDT"), s.segment[VMX_TR].selector = 4);
    /* A null FS has a base that counts. */
    BROKEN(protected_32, text_for(VMX_FS, base), s.segment[VMX_FS].rights = UNUSABLE; s.segment[VMX_FS].base = BIT(50));
}

TEST(types) /* 27.3.1.2, "Type" */
{
    for (unsigned type = 0; type < 16; type++) {
        bool good[VMX_SEGMENTS] = {
            [VMX_CS] = type == 3 || type == 9 || type == 11 || type == 13 || type == 15,
            [VMX_SS] = type == 3 || type == 7,
            [VMX_LDTR] = type == 2,
            [VMX_TR] = type == 3 || type == 11,
        };
        good[VMX_ES] = good[VMX_DS] = good[VMX_FS] = good[VMX_GS] =
            type == 1 || type == 3 || type == 5 || type == 7 || type == 11 || type == 15;
        for (unsigned i = 0; i < VMX_SEGMENTS; i++)
            BROKEN(usable, good[i] ? NULL : text_for(i, "its type is not allowed there"),
                   s.segment[i].rights = (s.segment[i].rights & ~15u) | type);
    }
    BROKEN(long_mode, text_for(VMX_TR, "its type is not allowed there"), s.segment[VMX_TR].rights = 0x83);
}

TEST(segments_together) /* 27.3.1.2, 27.3.1.3 */
{
    static const char dpl[] = "27.3.1.2: CS's DPL does not go with SS's";
    static const char ss[] = "27.3.1.2: SS's DPL is not 0 in real mode or with data in CS";
    static const char vm[] = "not base = selector * 16, limit ffff, access rights f3 in v8086";
    for (unsigned i = 0; i < VMX_LDTR; i++) {
        BROKEN(v8086, text_for(i, vm), s.segment[i].base++);
        BROKEN(v8086, text_for(i, vm), s.segment[i].limit = 0xfffff);
        BROKEN(v8086, text_for(i, vm), s.segment[i].rights = 0x93);
        BROKEN(v8086, text_for(i, vm), s.segment[i].rights = UNUSABLE);
    }
    BROKEN(protected_32, "27.3.1.2: CS is data, and its DPL is not 0", s.segment[VMX_CS].rights = 0xb3 | G | DB);
    BROKEN(protected_32, dpl, s.segment[VMX_SS].rights |= 0x60);
    BROKEN(protected_32, dpl, s.segment[VMX_CS].rights |= 0x60);
    BROKEN(protected_32, dpl, s.segment[VMX_CS].rights |= 0x64); /* conforming, but less privileged */
    BROKEN(real_mode, ss, s.segment[VMX_CS].rights |= 0x60; s.segment[VMX_SS].rights |= 0x60);
    BROKEN(protected_32, ss, s.segment[VMX_CS].rights = 0x93 | G | DB; s.segment[VMX_SS].rights |= 0x60);
    BROKEN(long_mode, "27.3.1.2: CS has both L and D", s.segment[VMX_CS].rights |= DB);
    BROKEN(protected_32, NULL, s.segment[VMX_CS].rights |= L);
    BROKEN(protected_32, "27.3.1.2: TR is unusable", s.segment[VMX_TR].rights |= UNUSABLE);
    BROKEN(long_mode, "27.3.1.3: GDTR's base is not canonical", s.gdtr_base = BIT(48));
    BROKEN(long_mode, "27.3.1.3: IDTR's base is not canonical", s.idtr_base = BIT(48));
    BROKEN(real_mode, "27.3.1.3: GDTR's limit is beyond ffff", s.gdtr_limit = 0x10000);
    BROKEN(real_mode, "27.3.1.3: IDTR's limit is beyond ffff", s.idtr_limit = 0x80000000);
}

TEST(rip_and_rflags) /* 27.3.1.4 */
{
    static const char high[] = "27.3.1.4: RIP has one of the bits 63:32 outside 64-bit code";
    static const char same[] = "27.3.1.4: RIP's bits 63:48 are not all the same";
    static const char reserved[] = "27.3.1.4: RFLAGS has a reserved bit wrong";
    static const char vm[] = "27.3.1.4: RFLAGS.VM in a 64-bit guest or in real mode";
    BROKEN(compatibility, high, s.rip = BIT(32));
    BROKEN(protected_32, high, s.rip = BIT(32); s.segment[VMX_CS].rights |= L); /* L means nothing there */
    BROKEN(long_mode, same, s.rip = BIT(48));
    BROKEN(long_mode, same, s.rip = 0xfffe800000000000);
    BROKEN(real_mode, reserved, s.rflags = 0);
    for (unsigned bit = 0; bit < 64; bit++)
        if (bit == 3 || bit == 5 || bit == 15 || bit >= 22)
            BROKEN(long_mode, reserved, s.rflags |= BIT(bit));
        else if (bit != 17)
            BROKEN(long_mode, NULL, s.rflags |= BIT(bit));
    BROKEN(v8086, vm, s.cr0 &= ~1ull);
    BROKEN(v8086, vm, s.cr0 |= PG; s.cr4 |= 0x20; s.efer = 0x500; s.entry_controls = IA_32E);
    BROKEN(protected_32, "27.3.1.4: an interrupt is injected, and RFLAGS.IF is 0", s.event = true);
}

TEST(other_state) /* 27.3.1.5 */
{
    static const char reserved[] = "27.3.1.5: interruptibility has a reserved bit";
    static const char pending[] = "27.3.1.5: pending debug exceptions have a reserved bit";
    static const char step[] = "27.3.1.5: in an interrupt shadow, pending BS is not as RFLAGS.TF and BTF demand";
    static const char shadow[] = "27.3.1.5: an interrupt is injected into an interrupt shadow";
    BROKEN(real_mode, "27.3.1.5: an activity state that is none", s.activity = 4);
    BROKEN(compatibility, "27.3.1.5: HLT state, and SS's DPL is not 0", s.activity = 1);
    BROKEN(real_mode, "27.3.1.5: an interrupt shadow in an inactive state", s.activity = 3; s.interruptibility = 2);
    BROKEN(compatibility, "27.3.1.5: an interrupt is injected into shutdown or wait-for-SIPI", s.activity = 2;
           s.event = true);
    for (unsigned bit = 4; bit < 32; bit++)
        BROKEN(real_mode, reserved, s.interruptibility = 1u << bit);
    BROKEN(compatibility, "27.3.1.5: blocking by STI and by MOV SS at once", s.interruptibility = 3);
    BROKEN(real_mode, "27.3.1.5: blocking by STI, and RFLAGS.IF is 0", s.interruptibility = 1);
    BROKEN(compatibility, shadow, s.interruptibility = 1; s.event = true);
    BROKEN(compatibility, shadow, s.interruptibility = 2; s.event = true);
    BROKEN(compatibility, "27.3.1.5: an NMI is injected into an interrupt shadow", s.interruptibility = 2;
           s.event = true; s.event_type = 2);
    BROKEN(real_mode, "27.3.1.5: blocking by SMI outside SMM", s.interruptibility = 4);
    BROKEN(real_mode, "27.3.1.5: an NMI is injected while NMIs are blocked", s.interruptibility = 8; s.event = true;
           s.event_type = 2);
    for (unsigned bit = 0; bit < 64; bit++) {
        bool good = bit < 4 || bit == 11 || bit == 12 || bit == 14 || bit == 16; /* table 25-4 */
        BROKEN(long_mode, good ? NULL : pending, s.pending_debug = BIT(bit));
    }
    BROKEN(real_mode, step, s.interruptibility = 2; s.rflags |= 0x100);
    BROKEN(real_mode, step, s.interruptibility = 2; s.pending_debug = 0x4000);
    BROKEN(real_mode, step, s.interruptibility = 2; s.rflags |= 0x100; s.debugctl = 2; s.pending_debug = 0x4000);
    BROKEN(real_mode, step, s.activity = 1; s.rflags |= 0x100);
    BROKEN(real_mode, "27.3.1.5: the VMCS link pointer names a VMCS", s.vmcs_link = 0x1000);
}

TEST(pdptes) /* 27.3.1.6 */
{
    static const char text[] = "27.3.1.6: a PDPTE has a reserved bit";
    for (unsigned bit = 0; bit < 64; bit++) {
        bool good = bit == 0 || bit == 3 || bit == 4 || (bit >= 9 && bit < 39); /* table 4-8 */
        for (unsigned i = 0; i < 4; i++)
            BROKEN(pae, good ? NULL : text, s.pdpte[i] = 1 | BIT(bit));
        BROKEN(protected_32, NULL, s.pdpte[0] = 1 | BIT(bit));
    }
}

/* Each value from its own field (appendix B) or MSR (A.7, A.8), each in turn the only one that is given. */
TEST(fields)
{
    static struct vmx_guest_state zero;
    const struct {
        uint32_t number;
        void *at;
        size_t size;
    } members[] = {
#define M(number, member) {number, &s.member, sizeof s.member}
        M(0x2800, vmcs_link),
        M(0x2802, debugctl),
        M(0x2804, pat),
        M(0x2806, efer),
        M(0x280a, pdpte[0]),
        M(0x280c, pdpte[1]),
        M(0x280e, pdpte[2]),
        M(0x2810, pdpte[3]),
        M(0x4012, entry_controls),
        M(0x4810, gdtr_limit),
        M(0x4812, idtr_limit),
        M(0x4824, interruptibility),
        M(0x4826, activity),
        M(0x6800, cr0),
        M(0x6802, cr3),
        M(0x6804, cr4),
        M(0x6816, gdtr_base),
        M(0x6818, idtr_base),
        M(0x681a, dr7),
        M(0x681e, rip),
        M(0x6820, rflags),
        M(0x6822, pending_debug),
        M(0x6824, sysenter_esp),
        M(0x6826, sysenter_eip),
        M(0x486, cr0_fixed[0]),
        M(0x487, cr0_fixed[1]),
        M(0x488, cr4_fixed[0]),
        M(0x489, cr4_fixed[1]),
#define SEGMENT(i)                                                                                                     \
    M(0x800 + 2 * (i), segment[i].selector), M(0x4800 + 2 * (i), segment[i].limit),                                    \
        M(0x4814 + 2 * (i), segment[i].rights), M(0x6806 + 2 * (i), segment[i].base)
        SEGMENT(0),
        SEGMENT(1),
        SEGMENT(2),
        SEGMENT(3),
        SEGMENT(4),
        SEGMENT(5),
        SEGMENT(6),
        SEGMENT(7),
#undef SEGMENT
#undef M
    };
    const uint64_t value = 0x0123456789abcdef;
    for (unsigned i = 0; i < ARRAY_SIZE(members); i++) {
        struct abi_field one = {members[i].number, value};
        vmx_guest_state(&one, 1, 0, &s);
        CHECK(!memcmp(members[i].at, &value, members[i].size));
        memset(members[i].at, 0, members[i].size);
        CHECK(!memcmp(&s, &zero, sizeof s));
    }
    const struct abi_field event = {0x4016, 0x80000202}, no_event = {0x4016, 0x202};
    vmx_guest_state(&no_event, 1, 46, &s);
    CHECK(!s.event && s.physical_bits == 46);
    vmx_guest_state(&event, 1, 46, &s);
    CHECK(s.event && s.event_type == 2);
}
