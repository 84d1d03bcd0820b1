/* ICR, MSIs, destinations, arbitration: SDM Vol. 3, 11.6, 11.11, 11.12.9, 11.12.10. */
// links: lapic/lapic.c lapic/access.c lapic/ipi.c lapic/timer.c
#include "tests/unit/test_lapic.h"

static void send(uint32_t from, uint32_t hi, uint32_t lo)
{
    if (rig_rdmsr(from, MSR_IA32_APIC_BASE) & APIC_BASE_EXTD) {
        CHECK_EQ(rig_wrmsr(from, 0x830, (uint64_t)hi << 32 | lo), OK);
    } else {
        rig_write(from, APIC_ICR_HI, hi << 24);
        rig_write(from, APIC_ICR_LO, lo);
    }
}

static uint64_t none_of(enum lapic_signal except)
{
    uint64_t who = 0;
    for (enum lapic_signal what = LAPIC_SIGNAL_EVENT; what <= LAPIC_SIGNAL_SMI; what++)
        who |= what == except ? 0 : rig_signalled(what);
    return who;
}

/* 11.6.1, table 11-3: every delivery mode with every shorthand, sent by 2 of 4, in both modes. */
TEST(modes_and_shorthands)
{
    static const struct {
        uint32_t mode;
        int signal; /* -1: none */
        int vector;
    } modes[] = {
        {0x000, LAPIC_SIGNAL_EVENT, 0x99},
        {0x200, LAPIC_SIGNAL_SMI, -1},
        {0x300, -1, -1},
        {0x400, LAPIC_SIGNAL_NMI, -1},
        {0x500, LAPIC_SIGNAL_INIT, -1},
        {0x600, LAPIC_SIGNAL_SIPI, -1},
        {0x700, -1, -1},
    };
    static const struct {
        uint32_t shorthand;
        uint64_t who;
    } shorthands[] = {{0, 1 << 1}, {0x40000, 1 << 2}, {0x80000, 0xf}, {0xc0000, 0xf & ~(1 << 2)}};

    for (int x2 = 0; x2 < 2; x2++)
        for (unsigned int m = 0; m < ARRAY_SIZE(modes); m++)
            for (unsigned int s = 0; s < ARRAY_SIZE(shorthands); s++) {
                if (x2)
                    rig_start_x2apic(4);
                else
                    rig_start(4);
                send(2, 1, 0x4099 | modes[m].mode | shorthands[s].shorthand);
                bool own = modes[m].signal == LAPIC_SIGNAL_EVENT && shorthands[s].shorthand == 0x40000;
                if (modes[m].signal >= 0) /* who raises a vector in itself needs no telling */
                    CHECK_EQ(rig_signalled(modes[m].signal), own ? 0 : shorthands[s].who);
                CHECK_EQ(none_of(modes[m].signal), 0);
                if (modes[m].signal == LAPIC_SIGNAL_SIPI)
                    for (uint32_t i = 0; i < 4; i++)
                        CHECK_EQ(rig_log[i].sipi_vector, shorthands[s].who >> i & 1 ? 0x99 : 0);
                CHECK_EQ(rig_who(modes[m].vector), modes[m].vector < 0 ? 0 : shorthands[s].who);
            }
}

/* 11.6.1: INIT level de-assert is a no-op, in all its spellings; INIT assert with level trigger is an INIT. */
TEST(init_deassert)
{
    rig_start(2);
    send(0, 1, 0x8500);
    send(0, 0, 0x88500); /* to all, as the MP specification's algorithm has it */
    CHECK_EQ(none_of(LAPIC_SIGNAL_EVENT) | rig_signalled(LAPIC_SIGNAL_EVENT), 0);
    send(0, 1, 0xc500);
    CHECK_EQ(rig_signalled(LAPIC_SIGNAL_INIT), 2);
    send(0, 0, 0x0500);
    CHECK_EQ(rig_signalled(LAPIC_SIGNAL_INIT), 3);
}

/* 11.6.1, table 11-3, note: IPIs are edge-triggered whatever the ICR says. */
TEST(ipis_are_edge)
{
    rig_start(2);
    send(0, 1, 0xc044);
    CHECK_EQ(rig_take(1), 0x44);
    rig_write(1, APIC_EOI, 0);
    CHECK_EQ(rig_log[1].eois, 0);
}

/* 11.6.2.1: physical destinations, up to one that is not there; 0xff is everybody. */
TEST(physical)
{
    for (int x2 = 0; x2 < 2; x2++) {
        if (x2)
            rig_start_x2apic(40);
        else
            rig_start(40);
        for (uint32_t dest = 0; dest < 256; dest++) {
            uint64_t msi_all = (1ull << 40) - 1;
            CHECK_EQ(rig_msi((uint8_t)dest, false, 0x77), dest < 40 ? 1 : dest == 255 ? 40 : 0);
            CHECK_EQ(rig_who(0x77), dest < 40 ? 1ull << dest : dest == 255 ? msi_all : 0);
            send(3, dest, 0x78);
            CHECK_EQ(rig_who(0x78), dest < 40 ? 1ull << dest : dest == 255 && !x2 ? msi_all : 0);
        }
        if (x2) {
            send(3, 0xffffffff, 0x79);
            CHECK_EQ(rig_who(0x79), (1ull << 40) - 1);
            send(3, 0x100, 0x7a);
            CHECK_EQ(rig_who(0x7a), 0);
        }
    }
}

/* IDs need not be indices: found all the same, and a gap in the table is nobody. */
TEST(physical_sparse)
{
    static const uint32_t ids[] = {7, 0, 1, 200, 0x1234};
    rig_start_ids(5, ids);
    for (uint32_t i = 0; i < 5; i++) {
        rig_write(i, APIC_SVR, 0x1ff);
        if (i == 4)
            rig_x2apic(i);
    }
    CHECK_EQ(rig_msi(0, false, 0x55), 1);
    CHECK_EQ(rig_who(0x55), 2);
    CHECK_EQ(rig_msi(1, false, 0x55), 1);
    CHECK_EQ(rig_who(0x55), 4);
    CHECK_EQ(rig_msi(200, false, 0x55), 1);
    CHECK_EQ(rig_who(0x55), 8);
    CHECK_EQ(rig_msi(2, false, 0x55), 0);
    CHECK_EQ(rig_msi(0x34, false, 0x55), 0); /* an x2APIC ID is compared in full */
    send(4, 0x1234, 0x56);
    CHECK_EQ(rig_who(0x56), 16);
    rig_table[3] = NULL;
    CHECK_EQ(rig_msi(200, false, 0x55), 0);
    CHECK_EQ(rig_msi(0xff, false, 0x55), 4);
    CHECK_EQ(rig_who(0x55), 0x17);
    lapic_extint(&rig, true);
    struct lapic_domain empty = {.count = 0}; /* a guest without LAPICs */
    CHECK_EQ(lapic_message(&empty, 0xfeeff000, 0x155), 0);
    lapic_extint(&empty, true);
}

/* 11.6.2.2: flat model. */
TEST(logical_flat)
{
    rig_start(8);
    for (uint32_t i = 0; i < 8; i++)
        rig_write(i, APIC_LDR, 1u << (24 + i));
    for (uint32_t mda = 0; mda < 256; mda++) {
        CHECK_EQ(rig_msi((uint8_t)mda, true, 0x61), __builtin_popcount(mda));
        CHECK_EQ(rig_who(0x61), mda);
        send(5, mda, 0x862);
        CHECK_EQ(rig_who(0x62), mda);
    }
    rig_write(3, APIC_LDR, 0); /* 0xff is a broadcast, LDR or not */
    CHECK_EQ(rig_msi(0xff, true, 0x61), 8);
    CHECK_EQ(rig_who(0x61), 0xff);
    CHECK_EQ(rig_msi(0xfe, true, 0x61), 6);
    CHECK_EQ(rig_who(0x61), 0xf6);
}

/* 11.6.2.2: cluster model; a reserved model matches nothing but a broadcast. */
TEST(logical_cluster)
{
    rig_start(9);
    for (uint32_t i = 0; i < 9; i++) {
        rig_write(i, APIC_DFR, 0x0fffffff);
        rig_write(i, APIC_LDR, i / 4 << 28 | 1u << (24 + i % 4));
    }
    for (uint32_t mda = 0; mda < 256; mda++) {
        uint64_t who = mda >> 4 < 3 ? (uint64_t)(mda & 15) << (mda >> 4) * 4 & 0x1ff : 0;
        if (mda == 255)
            who = 0x1ff;
        CHECK_EQ(rig_msi((uint8_t)mda, true, 0x61), __builtin_popcountll(who));
        CHECK_EQ(rig_who(0x61), who);
    }
    rig_write(1, APIC_DFR, 0x70000000);
    rig_msi(0x0f, true, 0x61);
    CHECK_EQ(rig_who(0x61), 0xd);
    rig_msi(0xff, true, 0x61);
    CHECK_EQ(rig_who(0x61), 0x1ff);
}

/* 11.12.10.2: x2APIC clusters of 16. */
TEST(logical_x2apic)
{
    rig_start_x2apic(40);
    for (uint32_t cluster = 0; cluster < 4; cluster++)
        for (uint32_t set = 0; set < 0x10000; set += 0x1357) {
            send(1, cluster << 16 | set, 0x863);
            CHECK_EQ(rig_who(0x63), cluster < 3 ? (uint64_t)set << cluster * 16 & ((1ull << 40) - 1) : 0);
        }
    send(1, 0xffffffff, 0x863);
    CHECK_EQ(rig_who(0x63), (1ull << 40) - 1);
    CHECK_EQ(rig_msi(0x81, true, 0x64), 2); /* eight bits: the low ones of cluster 0 */
    CHECK_EQ(rig_who(0x64), 0x81);
}

/* LAPICs of both modes on one bus, as between the switch of the first CPU and of the last. */
TEST(mixed_modes)
{
    rig_start(4);
    for (uint32_t i = 0; i < 4; i++)
        rig_write(i, APIC_LDR, 1u << (24 + i));
    rig_x2apic(2);
    rig_x2apic(3);
    send(0, 3, 0x41);
    CHECK_EQ(rig_who(0x41), 8);
    send(3, 0, 0x41);
    CHECK_EQ(rig_who(0x41), 1);
    send(0, 0xff, 0x41);
    CHECK_EQ(rig_who(0x41), 0xf);
    send(3, 0xff, 0x41); /* in x2APIC mode that is an ID, and nobody's */
    CHECK_EQ(rig_who(0x41), 0);
    send(3, 0xffffffff, 0x41);
    CHECK_EQ(rig_who(0x41), 0xf);
    send(3, 0x10001, 0x841); /* cluster 1 is no xAPIC */
    CHECK_EQ(rig_who(0x41), 0);
    send(3, 5, 0x841);
    CHECK_EQ(rig_who(0x41), 5);
}

/* 11.6.2.4: the lowest PPR, among those that can take it; equals take turns. */
TEST(lowest_priority)
{
    rig_start(4);
    for (uint32_t i = 0; i < 4; i++)
        rig_write(i, APIC_LDR, 1u << (24 + i));
    unsigned int won[4] = {0};
    for (int n = 0; n < 40; n++) {
        CHECK_EQ(rig_msi(0x0f, true, 0x151), 1);
        uint64_t who = rig_who(0x51);
        CHECK_EQ(__builtin_popcountll(who), 1);
        won[__builtin_ctzll(who) & 3]++;
    }
    for (uint32_t i = 0; i < 4; i++)
        CHECK_EQ(won[i], 10);
    rig_write(0, APIC_TPR, 0x30);
    rig_write(1, APIC_TPR, 0x20);
    rig_write(2, APIC_TPR, 0x10);
    rig_write(3, APIC_TPR, 0x40);
    for (int n = 0; n < 3; n++) {
        CHECK_EQ(rig_msi(0x0f, true, 0x151), 1);
        CHECK_EQ(rig_who(0x51), 4);
        CHECK_EQ(rig_msi(0x0b, true, 0x151), 1);
        CHECK_EQ(rig_who(0x51), 2);
        send(3, 0x09, 0x951);
        CHECK_EQ(rig_who(0x51), 1);
    }
    rig_msi(2, false, 0x66); /* what is in service counts */
    CHECK_EQ(rig_take(2), 0x66);
    rig_msi(0x0f, true, 0x151);
    CHECK_EQ(rig_who(0x51), 2);
    rig_write(1, APIC_SVR, 0xff); /* a software-disabled one does not arbitrate */
    rig_msi(0x0f, true, 0x151);
    CHECK_EQ(rig_who(0x51), 1);
    CHECK_EQ(rig_msi(0x02, true, 0x151), 0);
    CHECK_EQ(rig_msi(0x00, true, 0x151), 0);
    CHECK_EQ(rig_msi(3, false, 0x151), 1); /* physical: one candidate */
    CHECK_EQ(rig_who(0x51), 8);
    rig_write(2, APIC_EOI, 0);
    rig_write(2, APIC_TPR, 0);
    send(0, 0, 0xc0151); /* all but self */
    CHECK_EQ(rig_who(0x51), 4);
}

/* 11.11: the parts of an MSI. */
TEST(msi)
{
    rig_start(4);
    for (uint32_t i = 0; i < 4; i++)
        rig_write(i, APIC_LDR, 1u << (24 + i));
    CHECK_EQ(lapic_message(&rig, 0xfee02ff3, 0x45), 1); /* reserved address bits do not matter */
    CHECK_EQ(rig_who(0x45), 4);
    CHECK_EQ(lapic_message(&rig, 0xfee0f00c, 0x45), 1); /* redirection hint: one of them */
    CHECK_EQ(__builtin_popcountll(rig_who(0x45)), 1);
    CHECK_EQ(lapic_message(&rig, 0xfee0f004, 0x45), 4);
    CHECK_EQ(rig_who(0x45), 0xf);
    CHECK_EQ(lapic_message(&rig, 0xfee01000, 0x400), 1);
    CHECK_EQ(rig_signalled(LAPIC_SIGNAL_NMI), 2);
    CHECK_EQ(lapic_message(&rig, 0xfee01000, 0x500), 1);
    CHECK_EQ(rig_signalled(LAPIC_SIGNAL_INIT), 2);
    CHECK_EQ(lapic_message(&rig, 0xfee01000, 0x200), 1);
    CHECK_EQ(rig_signalled(LAPIC_SIGNAL_SMI), 2);
    CHECK_EQ(lapic_message(&rig, 0xfee01000, 0x645), 0); /* reserved delivery modes */
    CHECK_EQ(lapic_message(&rig, 0xfee01000, 0x345), 0);
    CHECK_EQ(rig_signalled(LAPIC_SIGNAL_SIPI), 0);
    CHECK_EQ(rig_who(0), 0);
    CHECK_EQ(lapic_message(&rig, 0xfed00000, 0x45), E_INVAL);
    CHECK_EQ(lapic_message(&rig, 0xfef00000, 0x45), E_INVAL);
    CHECK_EQ(lapic_message(&rig, 0x1fee00000, 0x45), E_INVAL);
}

/* 11.12.11 */
TEST(self_ipi)
{
    rig_start_x2apic(3);
    for (uint64_t vector = 0; vector < 256; vector++) {
        CHECK_EQ(rig_wrmsr(1, 0x83f, vector), OK);
        CHECK_EQ(rig_who((int)vector), vector < 16 ? 0 : 2);
        CHECK_EQ(rig_wrmsr(1, 0x828, 0), OK);
        CHECK_EQ(rig_rdmsr(1, 0x828), vector < 16 ? ESR_SEND_ILLEGAL_VECTOR | ESR_RECEIVE_ILLEGAL_VECTOR : 0);
    }
    CHECK(rig_wrmsr(1, 0x83f, 0x100) < 0);
    CHECK_EQ(rig_rdmsr(1, 0x830), 0); /* the ICR is not touched */
}

/* 11.5.3, 11.12.7: the sender logs one error, every target the other; only where there is a vector. */
TEST(illegal_vectors)
{
    static const struct {
        uint32_t icr;
        uint32_t sender, target;
    } table[] = {
        {0x4000, 0x20, 0x40}, {0x4100, 0x20, 0x40}, {0x4010, 0, 0}, {0x4400, 0, 0},
        {0x4500, 0, 0},       {0x4600, 0, 0},       {0x4200, 0, 0}, {0x400f, 0x20, 0x40},
    };
    for (unsigned int n = 0; n < ARRAY_SIZE(table); n++) {
        rig_start(2);
        send(0, 1, table[n].icr);
        for (uint32_t i = 0; i < 2; i++) {
            rig_write(i, APIC_ESR, 0);
            CHECK_EQ(rig_read(i, APIC_ESR), i ? table[n].target : table[n].sender);
        }
    }
}

/* One signal until the target has drained, whatever is posted meanwhile; nothing for one who need not know. */
TEST(signals_are_edges)
{
    rig_start(2);
    CHECK(!lapic_posted(&rig_lapic[1]));
    for (int n = 0; n < 3; n++) {
        rig_msi(1, false, 0x31);
        rig_msi(1, false, 0x92);
    }
    CHECK_EQ(rig_log[1].signals[LAPIC_SIGNAL_EVENT], 1);
    CHECK_EQ(rig_log[0].signals[LAPIC_SIGNAL_EVENT], 0);
    CHECK(lapic_posted(&rig_lapic[1]));
    CHECK_EQ(lapic_pending(&rig_lapic[1]), 0x92);
    CHECK(!lapic_posted(&rig_lapic[1]));
    rig_msi(1, false, 0x31);
    CHECK_EQ(rig_log[1].signals[LAPIC_SIGNAL_EVENT], 2);
}
