/* What CPUID says of a guest's processors, for as many as there may be (SDM Vol. 2, CPUID; APM Vol. 3, appendix E). */
// links: kernel/vm/topology.c
#include "kernel/vm/topology.h"

#include "tests/unit/test.h"

enum { ALL = 0xffffffff };

static struct cpuid ask(uint32_t vcpus, uint32_t index, bool amd, uint32_t leaf, uint32_t subleaf)
{
    struct topology t = {.vcpus = vcpus, .index = index, .amd = amd, .lapic = true};
    struct cpuid r = {ALL, ALL, ALL, ALL};
    topology_fill(&t, leaf, subleaf, &r);
    return r;
}

/* vCPUs; room for ids in leaf 1 and, less 1, in leaf 4; bits of an id. */
static const struct {
    uint32_t vcpus, logical, cores, bits;
} sizes[] = {
    {1, 1, 0, 0},      {2, 2, 1, 1},      {3, 4, 3, 2},      {4, 4, 3, 2},     {5, 8, 7, 3},
    {32, 32, 31, 5},   {33, 64, 63, 6},   {64, 64, 63, 6},   {65, 128, 63, 7}, {128, 128, 63, 7},
    {129, 255, 63, 8}, {255, 255, 63, 8}, {256, 255, 63, 8},
};

TEST(all_sizes)
{
    for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
        uint32_t vcpus = sizes[i].vcpus, last = vcpus - 1;
        struct cpuid r = ask(vcpus, last, false, 1, 0);
        CHECK_EQ(r.ebx >> 16 & 0xff, sizes[i].logical);
        CHECK_EQ(r.ebx >> 24, last);
        CHECK_EQ(r.ebx & 0xffff, 0xff00); /* CLFLUSH's line size is the host's, the brand index 0 */
        CHECK_EQ(r.edx >> 28 & 1, vcpus > 1);

        r = ask(vcpus, last, false, 4, 0);
        CHECK_EQ(r.eax >> 26, sizes[i].cores);
        CHECK_EQ(r.eax >> 14 & 0xfff, 0);
        CHECK_EQ(r.eax & 0x3fff, 0x3fff);

        r = ask(vcpus, last, false, 11, 0);
        CHECK_EQ(r.eax, 0);
        CHECK_EQ(r.ebx, 1);
        CHECK_EQ(r.ecx, 0x100);
        CHECK_EQ(r.edx, last);
        r = ask(vcpus, last, false, 11, 1);
        CHECK_EQ(r.eax, sizes[i].bits);
        CHECK_EQ(r.ebx, vcpus);
        CHECK_EQ(r.ecx, 0x201);
        CHECK_EQ(r.edx, last);
        r = ask(vcpus, last, false, 11, 2);
        CHECK_EQ(r.eax | r.ebx, 0);
        CHECK_EQ(r.ecx, 2);
        CHECK_EQ(r.edx, last);

        CHECK_EQ(ask(vcpus, last, true, 0x80000008, 0).ecx, sizes[i].bits << 12 | last);
        CHECK_EQ(ask(vcpus, last, false, 0x80000008, 0).ecx, 0);
        CHECK_EQ(ask(vcpus, last, true, 0x80000001, 0).ecx >> 1 & 1, vcpus > 1);
        CHECK_EQ(ask(vcpus, last, false, 0x80000001, 0).ecx >> 1 & 1, 0);
    }
}

/* Behind the last cache there is none, and on AMD none at all. */
TEST(no_cache)
{
    struct topology t = {.vcpus = 4};
    struct cpuid r = {0, 0, 0, 0};
    topology_fill(&t, 4, 5, &r);
    CHECK_EQ(r.eax | r.ebx | r.ecx | r.edx, 0);
}

TEST(without_lapic)
{
    struct topology t = {.vcpus = 1};
    struct cpuid r = {1, 1, 1, 1};
    topology_fill(&t, 11, 0, &r);
    CHECK_EQ(r.eax | r.ebx | r.ecx | r.edx, 0);
}
