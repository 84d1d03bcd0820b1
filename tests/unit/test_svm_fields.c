/*
 * The VMCB on CPUs that lack one or the other feature of SVM (APM Vol. 2, CPUID 8000_000A EDX in appendix E): what is
 * reserved without it stays as it was, and nothing is read from there.
 */
// links: tests/unit/svm_host/svm.c tests/unit/svm_host/exit.c
#include "tests/unit/svm_host/fake.h"

#include "kernel/memory/mem.h"
#include "kernel/vm/vcpu.h"
#include "svm/svm.h"

#include "tests/unit/test.h"

enum { NPT = 1, NRIP = 8, DECODE_ASSISTS = 128, PAUSE_FILTER = 1 << 10, PAUSE_THRESHOLD = 1 << 12 };

static uint32_t features;
static struct percpu percpu;

extern const struct backend *const svm_host_backend;

struct percpu *this_cpu(void)
{
    return &percpu;
}

uint64_t fake_rdmsr(UNUSED uint32_t msr)
{
    return 0;
}

void svm_run(UNUSED struct vcpu *v, UNUSED struct vmcb *c, UNUSED uint64_t pa, UNUSED uint64_t host)
{
}

enum quick vcpu_exit_quickly(UNUSED struct vcpu *v)
{
    return QUICK_NOT;
}

enum quick vcpu_interrupted(UNUSED struct vcpu *v)
{
    return QUICK_NOT;
}

void svm_step_begin(UNUSED struct vcpu *v, UNUSED struct svm_step *before)
{
}

void svm_step_end(UNUSED struct vcpu *v, UNUSED const struct svm_step *before)
{
}

void svm_get_regs(UNUSED struct vcpu *v, UNUSED struct abi_regs *out)
{
}

void svm_set_regs(UNUSED struct vcpu *v, UNUSED const struct abi_regs *regs)
{
}

void svm_set_start(UNUSED struct vcpu *v, UNUSED uint8_t page)
{
}

void svm_set_system(UNUSED struct vcpu *v, UNUSED const struct abi_regs *regs)
{
}

static unsigned machine_checks;
static bool guest_is_lost;

bool machine_check_in_guest(void)
{
    machine_checks++;
    return guest_is_lost;
}

uint64_t svm_get_cr4(UNUSED struct vcpu *v)
{
    return 0;
}

void svm_put_cr4(UNUSED struct vcpu *v, UNUSED uint64_t cr4)
{
}

int svm_get_msr(UNUSED struct vcpu *v, UNUSED uint32_t msr, UNUSED uint64_t *value)
{
    return E_NOENT;
}

int svm_set_msr(UNUSED struct vcpu *v, UNUSED uint32_t msr, UNUSED uint64_t value)
{
    return E_NOENT;
}

uint64_t svm_get_efer(UNUSED struct vcpu *v)
{
    return 0;
}

void svm_set_efer(UNUSED struct vcpu *v, UNUSED uint64_t efer)
{
}

struct cpuid fake_cpuid(uint32_t leaf)
{
    return leaf == 0x8000000a ? (struct cpuid){.ebx = 16, .edx = features} : (struct cpuid){.eax = 0x8000000a};
}

/* The permission maps, of orders 1 and 2, are root's for ever, and the same here each time. */
void *page_alloc(unsigned order)
{
    static uint8_t maps[3][PAGE_SIZE << 2] __attribute__((aligned(PAGE_SIZE)));
    void *p = order ? maps[order] : aligned_alloc(PAGE_SIZE, PAGE_SIZE);
    memset(p, 0, PAGE_SIZE << order);
    return p;
}

void page_free(void *p, unsigned order)
{
    CHECK_EQ(order, 0);
    free(p);
}

static struct vm vm;
static struct vcpu vcpu;

static struct vmcb *create(uint32_t with)
{
    static void *nested;
    features = NPT | with;
    nested = nested ? nested : page_alloc(0);
    vm.nested = nested;
    memset(&vcpu, 0, sizeof vcpu);
    vcpu.vm = &vm;
    CHECK_STR(svm_host_backend->probe(), NULL);
    CHECK_EQ(svm_host_backend->vcpu_create(&vcpu), OK);
    return svm_of(&vcpu)->vmcb;
}

/* Without the filter its fields are reserved, and each PAUSE would exit (15.14.4). */
TEST(pause)
{
    static const uint32_t cases[] = {0, PAUSE_FILTER, PAUSE_THRESHOLD, PAUSE_FILTER | PAUSE_THRESHOLD};
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        bool filter = cases[i] & PAUSE_FILTER, threshold = filter && (cases[i] & PAUSE_THRESHOLD);
        const struct vmcb *c = create(cases[i]);
        CHECK_EQ(c->pause_count != 0, filter);
        CHECK_EQ(c->pause_threshold != 0, threshold);
        CHECK_EQ((c->intercept1 & I1_PAUSE) != 0, filter);
        svm_host_backend->vcpu_destroy(&vcpu);
    }
}

/* Nothing else of a new VMCB depends on what the CPU has, and nothing is asked for that is not looked for. */
TEST(the_rest)
{
    static struct vmcb least, most;
    least = *create(0);
    svm_host_backend->vcpu_destroy(&vcpu);
    most = *create(~(uint32_t)(PAUSE_FILTER | PAUSE_THRESHOLD));
    svm_host_backend->vcpu_destroy(&vcpu);
    CHECK(memcmp(&least, &most, sizeof least) == 0);
    CHECK_EQ(most.nested_control, 1); /* no SEV */
    CHECK_EQ(most.lbr_control, 0);    /* no LBR virtualization, no virtual VMLOAD and VMSAVE */
    CHECK_EQ(most.virtual_interrupt, (uint32_t)V_INTR_MASKING); /* no virtual GIF, no AVIC, no virtual NMI */
    CHECK_EQ(most.clean, 0);
    CHECK_EQ(most.intercept3, 0);
}

static void exit_with(struct vmcb *c, uint64_t code)
{
    c->exit_code = code;
    c->exit_info1 = NPT;
    c->rip = 0x1000;
    vcpu.event.valid = false;
    svm_decode_exit(&vcpu);
}

/* The bytes of an instruction are there with decode assists only (15.8.4), its end with nRIP, or if root worked it out
 * (svm/run.asm): a CPU without leaves the field alone, which root has cleared behind the exit before. */
TEST(exits)
{
    static const uint32_t cases[] = {0, NRIP, DECODE_ASSISTS, NRIP | DECODE_ASSISTS};
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        struct vmcb *c = create(cases[i]);
        c->fetched = 15;
        memset(c->bytes, 0x90, sizeof c->bytes);
        exit_with(c, EXIT_NPF);
        CHECK_EQ(vcpu.exit.u.mmio.bytes_count, cases[i] & DECODE_ASSISTS ? 15 : 0);
        CHECK_EQ(vcpu.exit.instruction_length, 0);

        c->next_rip = 0x1002;
        exit_with(c, EXIT_CPUID);
        CHECK_EQ(vcpu.exit.instruction_length, 2);
        CHECK_EQ(c->next_rip, 0);
        exit_with(c, EXIT_WBINVD);
        CHECK_EQ(vcpu.exit.instruction_length, 0);
        svm_host_backend->vcpu_destroy(&vcpu);
    }
}

/* The guest goes on, or ends as one that a machine check has cost, not as one in an invalid state. */
TEST(machine_check)
{
    struct vmcb *c = create(0);

    CHECK(c->intercept_exceptions & 1u << VECTOR_MC);
    machine_checks = 0;
    for (unsigned round = 0; round < 2; round++) {
        guest_is_lost = round;
        exit_with(c, EXIT_EXCEPTION0 + VECTOR_MC);
        CHECK_EQ(machine_checks, round + 1);
        CHECK_EQ(vcpu.exit.kind, round ? ABI_EXIT_OTHER : ABI_EXIT_INTERRUPT);
        CHECK_EQ(vcpu.exit.machine_check, round != 0);
    }
    svm_host_backend->vcpu_destroy(&vcpu);
}
