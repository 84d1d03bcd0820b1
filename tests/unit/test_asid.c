/*
 * ASIDs against a TLB (APM Vol. 2, 15.16): translations of an ASID stay until a flush. No vCPU may ever enter with an
 * ASID under which the CPU still has another one's.
 */
#include "kernel/vm/asid.h"

#include "tests/unit/test.h"

enum { CPUS = 3, ASIDS = 40, VCPUS = 60, NOBODY = -1 };

static struct asid_pool pools[CPUS];
static int tlb[CPUS][ASIDS]; /* whose translations there are */
static struct asid vcpus[VCPUS];
static unsigned flushes;

static void start(uint32_t count)
{
    for (unsigned cpu = 0; cpu < CPUS; cpu++) {
        asid_pool_init(&pools[cpu], count);
        for (unsigned i = 0; i < ASIDS; i++)
            tlb[cpu][i] = 12345; /* whatever was there before */
    }
    memset(vcpus, 0, sizeof vcpus);
    flushes = 0;
}

static void enter(uint32_t cpu, unsigned vcpu)
{
    bool flush = asid_use(&pools[cpu], &vcpus[vcpu], cpu);
    uint32_t number = vcpus[vcpu].number;

    if (flush) {
        for (unsigned i = 0; i < ASIDS; i++)
            tlb[cpu][i] = NOBODY;
        flushes++;
    }
    CHECK(number >= 1 && number < pools[cpu].count); /* 0 is the host's */
    CHECK(tlb[cpu][number] == NOBODY || tlb[cpu][number] == (int)vcpu);
    tlb[cpu][number] = (int)vcpu;
}

/* As long as there are enough of them, each CPU flushes once, at its first entry. */
TEST(first_generation)
{
    start(ASIDS);
    for (unsigned round = 0; round < 10; round++)
        for (unsigned vcpu = 0; vcpu < ASIDS - 1; vcpu++) {
            enter(0, vcpu);
            CHECK_EQ(vcpus[vcpu].number, vcpu + 1); /* and keeps its number */
        }
    CHECK_EQ(flushes, 1);
    enter(0, ASIDS);
    CHECK_EQ(flushes, 2);
    CHECK_EQ(vcpus[ASIDS].number, 1);
}

/* The fewest that there may be: one to use. */
TEST(only_one)
{
    start(2);
    enter(0, 0);
    enter(0, 0);
    CHECK_EQ(flushes, 1);
    for (unsigned round = 0; round < 10; round++) {
        enter(0, 1);
        enter(0, 0);
    }
    CHECK_EQ(flushes, 21);
}

/* Coming back to a CPU is no reason to trust what one left there. */
TEST(moving)
{
    start(ASIDS);
    enter(0, 5);
    uint32_t old = vcpus[5].number;
    enter(1, 5);
    enter(0, 5);
    CHECK(vcpus[5].number != old);
    CHECK_EQ(flushes, 2);
}

/* The memory of one that has ended becomes another's. */
TEST(a_new_vcpu_starts_clean)
{
    start(ASIDS);
    enter(0, 5);
    uint32_t old = vcpus[5].number;
    vcpus[5] = (struct asid){0};
    enter(0, 5);
    CHECK(vcpus[5].number != old);
}

TEST(random_scheduling)
{
    uint64_t seed = 10;

    for (uint32_t count = 2; count <= ASIDS; count += 1 + count / 3) {
        start(count);
        for (unsigned round = 0; round < 20000; round++) {
            uint64_t r = test_random(&seed);

            enter((uint32_t)(r % CPUS), (unsigned)((r >> 8) % VCPUS));
        }
        CHECK(flushes > 100 && flushes <= 20000);
    }
}
