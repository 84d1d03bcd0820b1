/*
 * KVM's paravirtual clock: what guests make of the pages that root writes, over days, on all vCPUs. The formula is that
 * of Linux' Documentation/virt/kvm/x86/msr.rst.
 */
// links: kernel/vm/pvclock.c
#include "tests/unit/test.h"

#include "kernel/base/time.h"
#include "kernel/memory/paging.h"
#include "kernel/vm/pvclock.h"
#include "kernel/vm/vcpu.h"
#include "lib/clock_scale.h"

#define VCPUS   3
#define ENABLED 1
#define STABLE  1
#define STOPPED 2
#define DAY     86400ull

/* struct pvclock_vcpu_time_info */
struct page {
    uint32_t version, pad0;
    uint64_t tsc_timestamp, system_time;
    uint32_t mul;
    int8_t shift;
    uint8_t flags, pad[2];
};

static uint64_t hz;
static _Alignas(4096) uint8_t ram[VCPUS][4096];
static struct vm vm;
static struct vcpu vcpus[VCPUS];

uint64_t tsc_hz(void)
{
    return hz;
}

uint64_t boot_wall_seconds(void)
{
    return 1000000;
}

uint64_t boot_wall_tsc(void)
{
    return 1;
}

void *window_map(paddr_t page, bool writable)
{
    (void)writable;
    return ram[page.v / 4096];
}

void window_unmap(void)
{
}

bool vm_translate(const struct vm *of, uint64_t guest, paddr_t *out)
{
    (void)of;
    *out = pa(guest);
    return guest < sizeof ram;
}

static struct page *page(unsigned i)
{
    return (struct page *)(ram[i] + 64);
}

static void enable(unsigned i)
{
    CHECK_EQ(pvclock_msr_write(&vcpus[i], MSR_KVM_SYSTEM_TIME, 4096ull * i + 64 + ENABLED), OK);
}

static void setup(uint64_t frequency)
{
    hz = frequency;
    memset(ram, 0xff, sizeof ram);
    memset(vcpus, 0, sizeof vcpus);
    vm.created_tsc = tsc_now();
    vm.tsc_offset = 0 - vm.created_tsc;
    vm.config.vcpus = VCPUS;
    for (unsigned i = 0; i < VCPUS; i++) {
        vm.vcpus[i] = &vcpus[i];
        vcpus[i].vm = &vm;
        vcpus[i].tsc_offset = vm.tsc_offset;
    }
}

/* In 128 bits, as a guest does it. */
static uint64_t guest_ns(const struct page *p, uint64_t guest_tsc)
{
    uint64_t delta = guest_tsc - p->tsc_timestamp;

    delta = p->shift < 0 ? delta >> -p->shift : delta << p->shift;
    return p->system_time + (uint64_t)((unsigned __int128)delta * p->mul >> 32);
}

static void wait_a_while(void)
{
    uint64_t begin = rdtsc();

    while (rdtsc() - begin < 1000000)
        ;
}

static const uint64_t frequencies[] = {50000000,   99999999,   999999999,  1000000000, 1000000001,
                                       2444855123, 2999999999, 3000000001, 4123456789, 19999999999};

/* Whenever each of them was written, and written again: at the same TSC they say the same. */
TEST(vcpus_agree_for_years)
{
    for (unsigned f = 0; f < ARRAY_SIZE(frequencies); f++) {
        struct page first;

        setup(frequencies[f]);
        for (unsigned i = 0; i < VCPUS; i++) {
            enable(i);
            wait_a_while();
        }
        first = *page(0);
        for (unsigned again = 0; again < 3; again++) {
            for (uint64_t seconds = 0; seconds < 3000 * DAY; seconds += seconds < 100 ? 1 : 5 * DAY + 12345)
                for (unsigned i = 0; i < VCPUS; i++)
                    CHECK_EQ(guest_ns(page(i), seconds * hz + 7), guest_ns(&first, seconds * hz + 7));
            wait_a_while();
            pvclock_write(&vcpus[again]);
            CHECK_EQ(page(again)->version, 4);
        }
    }
}

/* 0.23 ns in a second, and what the shift to the right drops of the TSC. */
TEST(the_scale_is_as_good_as_32_bits_can_be)
{
    for (unsigned f = 0; f < ARRAY_SIZE(frequencies); f++) {
        setup(frequencies[f]);
        enable(0);
        CHECK(page(0)->mul >= 1u << 31);
        for (uint64_t seconds = 1; seconds < 1000 * DAY; seconds *= 7) {
            int64_t off = (int64_t)(guest_ns(page(0), seconds * hz) - seconds * NS_PER_SECOND);

            CHECK(off <= (int64_t)(seconds / 4 + 1) && off >= -(int64_t)(seconds / 4 + 20));
        }
    }
    for (uint64_t f = 1000000; f < 1000000000000; f = f * 17 / 16 + 1) {
        struct clock_scale s = clock_scale_of(f);
        /* As a fraction of 2^32: how far mul is from the truth, in halves. */
        uint64_t twice = mul_div(2 * NS_PER_SECOND, BIT(32 - s.shift), f);

        CHECK(s.mul >= 1u << 31);
        CHECK(s.mul * 2ull == twice || s.mul * 2ull == twice + 1);
    }
}

TEST(version_is_even_and_flags_are_set)
{
    setup(2444855123);
    enable(0);
    CHECK_EQ(page(0)->version % 2, 0);
    CHECK_EQ(page(0)->flags, STABLE); /* whatever was there before */
}

/* A pause shows once, and until the guest takes it back, though the page may be written again meanwhile. */
TEST(stopped_until_the_guest_has_seen_it)
{
    setup(2444855123);
    enable(0);
    pvclock_write(&vcpus[0]);
    CHECK_EQ(page(0)->flags, STABLE);
    vcpus[0].was_paused = true;
    pvclock_write(&vcpus[0]);
    CHECK_EQ(page(0)->flags, STABLE | STOPPED);
    pvclock_write(&vcpus[0]);
    CHECK_EQ(page(0)->flags, STABLE | STOPPED);
    page(0)->flags &= (uint8_t)~STOPPED;
    pvclock_write(&vcpus[0]);
    CHECK_EQ(page(0)->flags, STABLE);

    vcpus[1].was_paused = true; /* before it had a clock: nothing to tell */
    pvclock_write(&vcpus[1]);
    enable(1);
    CHECK_EQ(page(1)->flags, STABLE);
    CHECK_EQ(pvclock_msr_write(&vcpus[1], MSR_KVM_SYSTEM_TIME, 0), OK);
    page(1)->flags = 0x80;
    vcpus[1].was_paused = true;
    pvclock_write(&vcpus[1]);
    CHECK_EQ(page(1)->flags, 0x80); /* switched off */
}

/* A vCPU whose TSC the guest has set: the same time, by its own TSC, and none of them is said to be stable. */
TEST(a_tsc_that_was_set)
{
    const uint64_t ahead = 123456789012345;

    setup(2444855123);
    for (unsigned i = 0; i < VCPUS; i++)
        enable(i);
    vcpus[1].tsc_offset += ahead;
    for (unsigned i = 0; i < VCPUS; i++) {
        pvclock_write(&vcpus[i]);
        CHECK_EQ(page(i)->flags, 0);
    }
    CHECK_EQ(guest_ns(page(1), 5000 + ahead), guest_ns(page(0), 5000));
    vcpus[1].tsc_offset -= ahead;
    pvclock_write(&vcpus[0]);
    CHECK_EQ(page(0)->flags, STABLE);
}
