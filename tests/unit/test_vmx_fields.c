/*
 * The VMX back end on CPUs that have no more of a VMCS than they have to (SDM Vol. 3, appendix B), and on KVM's nested
 * VMX: it touches no field that is not there, and a field that is refused while a vCPU is created refuses the vCPU.
 */
// links: tests/unit/vmx_host/vmx.c tests/unit/vmx_host/state.c tests/unit/vmx_host/run.c tests/unit/vmx_host/exit.c
// links: tests/unit/vmx_host/cr.c kernel/vm/control_registers.c vmx/caps.c vmx/fields.c lib/format.c
#include <stdarg.h>

#include "tests/unit/vmx_host/fake.h"

#include "kernel/base/log.h"
#include "kernel/base/panic.h"
#include "kernel/base/time.h"
#include "kernel/memory/mem.h"
#include "kernel/vm/cpuid.h"
#include "kernel/vm/msr.h"
#include "vmx/fields.h"
#include "vmx/vmx.h"

#include "tests/unit/test.h"

/* ---- The CPU ------------------------------------------------------------------------------------------------- */

enum { FEATURE_CONTROL = 0x3a, BASIC = 0x480, PROC2_MSR = 0x48b, TRUE_PIN = 0x48d, MSRS = 0x491 };
static uint64_t msrs[MSRS];
static bool is_kvm;

/* As test_vmx_caps.c has them: a Skylake's. */
static void skylake(void)
{
    static const uint64_t from_basic[MSRS - BASIC] = {0x00da040000000004,
                                                      0,
                                                      0,
                                                      0,
                                                      0,
                                                      0x7004c1e7,
                                                      0x80000021,
                                                      0xffffffff,
                                                      0x2000,
                                                      0x3767ff,
                                                      0,
                                                      0x001ffcff00000000,
                                                      0x00000f0106734141,
                                                      0x7f00000016,
                                                      0xfff9fffe04006172,
                                                      0x01ffffff00036dfb,
                                                      0x0003ffff000011fb};
    memset(&vmx_caps, 0, sizeof vmx_caps);
    msrs[FEATURE_CONTROL] = 5;
    memcpy(&msrs[BASIC], from_basic, sizeof from_basic);
    is_kvm = false;
}

static void without(enum word word, unsigned bit)
{
    static const uint32_t of[WORDS] = {TRUE_PIN, TRUE_PIN + 1, PROC2_MSR, TRUE_PIN + 2, TRUE_PIN + 3};
    msrs[of[word]] &= ~BIT(32 + bit);
}

/* Linux 6.1 with EPT, unrestricted guests and VPIDs: no PAUSE-loop exiting in the guest's VMX. */
static void kvm(void)
{
    skylake();
    is_kvm = true;
    without(PROC2, 10);
}

/* Appendix B, tables B-1 to B-16, as far as a CPU without newer features goes: the runs that every CPU has, and the
 * fields with "only on processors that support the 1-setting of" and one of two controls. kvm: has it, by its manual.
 */
#define EACH 0xff
static const struct field {
    uint16_t first, last;
    uint8_t word, bit;
    bool kvm;
} has[] = {
    {0x0000, 0x0000, PROC2, 5, true},                                   /* VPID */
    {0x0800, 0x080e, EACH, 0, true},   {0x0c00, 0x0c0c, EACH, 0, true}, /* selectors */
    {0x2000, 0x2002, EACH, 0, true},   {0x2004, 0x2004, PROC, 28, true},
    {0x2006, 0x200a, EACH, 0, true},   {0x200c, 0x200c, EACH, 0, false}, /* executive-VMCS pointer */
    {0x2010, 0x2010, EACH, 0, true},   {0x2012, 0x2012, PROC, 21, true},
    {0x201a, 0x201a, PROC2, 1, true},  {0x2400, 0x2400, PROC2, 1, true},
    {0x2800, 0x2802, EACH, 0, true},   {0x2804, 0x2804, ENTRY, 14, true},
    {0x2806, 0x2806, ENTRY, 15, true}, {0x280a, 0x2810, PROC2, 1, true}, /* PDPTEs */
    {0x2c00, 0x2c00, EXIT, 19, true},  {0x2c02, 0x2c02, EXIT, 21, true},
    {0x4000, 0x401a, EACH, 0, true},   {0x401c, 0x401c, PROC, 21, true},
    {0x401e, 0x401e, PROC, 31, true},  {0x4020, 0x4022, PROC2, 10, false}, /* PLE_Gap, PLE_Window */
    {0x4400, 0x440e, EACH, 0, true},   {0x4800, 0x4826, EACH, 0, true},
    {0x4828, 0x4828, EACH, 0, false}, /* SMBASE */
    {0x482a, 0x482a, EACH, 0, true},   {0x482e, 0x482e, PIN, 6, true},
    {0x4c00, 0x4c00, EACH, 0, true},   {0x6000, 0x6006, EACH, 0, true},
    {0x6008, 0x600e, EACH, 0, false},                                    /* CR3-target values */
    {0x6400, 0x6400, EACH, 0, true},   {0x6402, 0x6408, EACH, 0, false}, /* of I/O in SMM */
    {0x640a, 0x640a, EACH, 0, true},   {0x6800, 0x6826, EACH, 0, true},
    {0x6c00, 0x6c16, EACH, 0, true},
};

static bool cpu_has(uint64_t field)
{
    static const uint32_t of[WORDS] = {TRUE_PIN, TRUE_PIN + 1, PROC2_MSR, TRUE_PIN + 2, TRUE_PIN + 3};
    for (unsigned i = 0; i < ARRAY_SIZE(has); i++)
        if (field >= has[i].first && field <= has[i].last && field % 2 == 0)
            return (!is_kvm || has[i].kvm) && (has[i].word == EACH || (msrs[of[has[i].word]] >> (32 + has[i].bit) & 1));
    return false;
}

/* One VMCS at a time is enough. */
static uint64_t values[0x7000], current, instructions, fail_at, error;

/* False: it is the one that shall fail. */
static bool step(void)
{
    return ++instructions != fail_at;
}

static bool access(uint64_t field)
{
    if (!step() || !current || !cpu_has(field)) {
        error = 12;
        return false;
    }
    return true;
}

bool vmread(uint64_t field, uint64_t *value)
{
    *value = 0;
    if (field == INSTRUCTION_ERROR) {
        *value = error;
        return current;
    }
    if (!access(field))
        return false;
    *value = values[field];
    return true;
}

bool vmwrite(uint64_t field, uint64_t value)
{
    if (!access(field))
        return false;
    values[field] = value;
    return true;
}

bool vmptrld(paddr_t vmcs)
{
    if (!step())
        return false;
    current = vmcs.v;
    return true;
}

bool vmclear(paddr_t vmcs)
{
    if (!step())
        return false;
    if (current == vmcs.v)
        current = 0;
    return true;
}

bool vmxon(UNUSED paddr_t region)
{
    return true;
}

bool invept(UNUSED uint64_t type, UNUSED uint64_t ept_pointer)
{
    return step();
}

bool invvpid(UNUSED uint64_t type, UNUSED uint16_t vpid)
{
    return step();
}

uint64_t fake_rdmsr(uint32_t msr)
{
    return msr < MSRS ? msrs[msr] : 0;
}

uint64_t fake_register(void)
{
    return 0;
}

void fake_set_register(UNUSED uint64_t value)
{
}

/* ---- The rest of root ---------------------------------------------------------------------------------------- */

static struct percpu percpu;
static int pages;
static unsigned panics, lines;
static char last_line[512];

struct percpu *this_cpu(void)
{
    return &percpu;
}

uint64_t tsc_hz(void)
{
    return 1000000000;
}

uint64_t tsc_from_us(uint64_t us)
{
    return us * 1000;
}

static unsigned machine_checks;
static bool guest_is_lost;

bool machine_check_in_guest(void)
{
    machine_checks++;
    return guest_is_lost;
}

uint64_t guest_cr4_bits(void)
{
    return ~0ull;
}

bool vmx_enter(UNUSED uint64_t *gpr, UNUSED bool launched, UNUSED struct vcpu *v)
{
    return true;
}

const uint8_t vmx_exit_entry[1] = {0};
enum quick vcpu_exit_quickly(UNUSED struct vcpu *v)
{
    return QUICK_NOT;
}

enum quick vcpu_interrupted(UNUSED struct vcpu *v)
{
    return QUICK_DONE;
}

/* In a list, so that a test which was left by a panic leaves nothing behind. */
static void *taken[64];

void *page_alloc(unsigned order)
{
    void *p = aligned_alloc(PAGE_SIZE, PAGE_SIZE << order);
    memset(p, 0, PAGE_SIZE << order);
    for (unsigned i = 0; i < ARRAY_SIZE(taken); i++)
        if (!taken[i]) {
            taken[i] = p;
            pages++;
            return p;
        }
    abort();
}

void page_free(void *p, UNUSED unsigned order)
{
    for (unsigned i = 0; p && i < ARRAY_SIZE(taken); i++)
        if (taken[i] == p) {
            taken[i] = NULL;
            pages--;
            free(p);
            return;
        }
    CHECK(!p);
}

static void free_all(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(taken); i++)
        page_free(taken[i], 0);
}

static void take_line(const char *fmt, va_list args)
{
    vsnprintf(last_line, sizeof last_line, fmt, args);
}

void log_line(UNUSED enum log_level level, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    take_line(fmt, args);
    va_end(args);
    lines++;
}

static void *after_panic[5];

/* The first line is printed once for each test, and the test goes on behind TRY(). */
void panic_with(UNUSED const struct trap_frame *frame, UNUSED panic_details *details, UNUSED const void *what,
                const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    take_line(fmt, args);
    va_end(args);
    panics++;
    __builtin_longjmp(after_panic, 1);
}

#define TRY(what)                                                                                                      \
    do {                                                                                                               \
        if (__builtin_setjmp(after_panic) == 0) {                                                                      \
            what;                                                                                                      \
        }                                                                                                              \
    } while (0)

/* ---- A vCPU's life ------------------------------------------------------------------------------------------- */

/* kernel/main.c finds it in a section of the linker script. */
static const struct backend *vmx;
static struct vm vm;
static struct vcpu vcpu;
static struct abi_page page;

static void begin(const struct backend *b)
{
    vmx = b;
    free_all();
    memset(&vm, 0, sizeof vm);
    memset(&vcpu, 0, sizeof vcpu);
    memset(values, 0, sizeof values);
    strcpy(vm.config.name, "web");
    vm.nested = page_alloc(0);
    vcpu.vm = &vm;
    vcpu.index = 3;
    vcpu.page = &page;
    current = instructions = fail_at = error = 0;
    panics = lines = 0;
    percpu.self = &percpu;
    CHECK_STR(vmx->probe(), NULL);
    CHECK_EQ(vmx->cpu_enable(), OK);
}

/* Every way of the back end to the VMCS, but for an entry itself. */
static void live(void)
{
    static const uint32_t reasons[] = {0,  1,  2,  3,  7,  8,  9,  10, 12, 13, 15, 18,         28,
                                       30, 31, 32, 36, 40, 43, 48, 52, 54, 55, 58, 0x80000021, 63};
    struct abi_regs regs = {.rip = 0xfff0, .rflags = 2, .cr0 = 0x60000010};
    static const uint64_t pdpte[4] = {0};
    uint64_t value;

    vmx->set_regs(&vcpu, &regs);
    for (unsigned i = 0; i < ARRAY_SIZE(reasons); i++)
        for (unsigned kind = 0; kind < 8; kind++) {
            vcpu.event =
                (struct event){.valid = kind & 1, .vector = 14, .type = kind & 2 ? EVENT_EXCEPTION : EVENT_SOFTWARE};
            vcpu.accelerated = kind & 4;
            vmx->set_windows(&vcpu, kind & 4 ? 5 : 0, kind & 1);
            vmx->set_cr8(&vcpu, kind);
            if (kind & 2)
                vmx->set_shadow(&vcpu);
            vmx_prepare_entry(&vcpu);
            values[EXIT_REASON] = reasons[i];
            values[EXIT_EVENT] = BIT(31) | 3 << 8 | VECTOR_DB;
            values[VECTORING_EVENT] = kind & 2 ? BIT(31) | BIT(11) | 3 << 8 | 14 : 0;
            values[EXIT_QUALIFICATION] = reasons[i] == 28 ? kind & 1 ? 8 : 0 : kind << 12;
            (void)vmx_exited(&vcpu);
        }
    vmx->set_start(&vcpu, 1);
    vmx->get_regs(&vcpu, &regs);
    regs.cr3 = 0x5000;
    vmx->switch_task(&vcpu, &regs, pdpte);
    vmx->set_rip(&vcpu, 1ull << 40);
    vmx->set_efer(&vcpu, 0x500);
    for (uint32_t msr = MSR_SYSENTER_CS; msr <= MSR_PAT; msr++)
        if (vmx->get_msr(&vcpu, msr, &value) == OK)
            CHECK_EQ(vmx->set_msr(&vcpu, msr, value), OK);
    for (uint32_t msr = MSR_STAR; msr <= MSR_KERNEL_GS_BASE; msr++)
        if (vmx->get_msr(&vcpu, msr, &value) == OK)
            CHECK_EQ(vmx->set_msr(&vcpu, msr, value), OK);
    vmx->set_cr2(&vcpu, 0);
    vmx->add_dr6(&vcpu, 1);
    vmx->release(&vcpu);
    vmx_load(&vcpu);
    vmx->release(&vcpu);
}

/* What the linker gave for REGISTER_BACKEND in tests/unit/vmx_host/vmx.c. */
extern const struct backend *const vmx_host_backend;

static void whole_life(void)
{
    int err = E_INVAL;

    begin(vmx_host_backend);
    TRY(err = vmx->vcpu_create(&vcpu));
    CHECK_EQ(err, OK);
    CHECK_EQ(lines, 0);
    if (err)
        printf("%s\n", last_line);
    else
        TRY(live());
    CHECK_EQ(panics, 0);
    if (panics)
        printf("%s\n", last_line);
    free_all();
}

TEST(a_full_vmcs)
{
    skylake();
    whole_life();
}

/* The fields of PAUSE-loop exiting, of VPIDs, of the preemption timer are there with their controls only. */
TEST(without_what_is_only_wanted)
{
    static const struct {
        enum word word;
        unsigned bit;
    } wanted[] = {{PIN, 6}, {PROC2, 5}, {PROC2, 6}, {PROC2, 10}};
    for (unsigned set = 1; set < 1u << ARRAY_SIZE(wanted); set++) {
        skylake();
        for (unsigned i = 0; i < ARRAY_SIZE(wanted); i++)
            if (set >> i & 1)
                without(wanted[i].word, wanted[i].bit);
        whole_life();
    }
}

TEST(in_kvm)
{
    kvm();
    whole_life();
    without(PIN, 6);
    whole_life();
    without(PROC2, 5);
    whole_life();
}

/* A state that the CPU refuses goes to the device world whole, as far as the CPU has it. */
TEST(fields_of_a_refused_state)
{
    static const uint16_t wanted[] = {GUEST_CR0,         GUEST_RIP,        GUEST_ACTIVITY,
                                      GUEST_SYSENTER_CS, GUEST_PDPTE0 + 6, GUEST_ES};
    for (unsigned round = 0; round < 2; round++) {
        round ? kvm() : skylake();
        begin(vmx_host_backend);
        CHECK_EQ(vmx->vcpu_create(&vcpu), OK);
        vmx_load(&vcpu);
        unsigned n = 0;
        TRY(n = vmx_get_fields(&vcpu, page.fields));
        CHECK_EQ(panics, 0);
        CHECK(n > 60 && n <= ABI_MAX_FIELDS);
        for (unsigned i = 0; i < ARRAY_SIZE(wanted); i++) {
            bool found = false;
            for (unsigned k = 0; k < n; k++)
                found |= page.fields[k].number == wanted[i];
            CHECK(found);
        }
    }
}

/* The table of vmx/fields.c says of no field that it is there where it is not. */
TEST(the_table)
{
    for (unsigned round = 0; round < 3; round++) {
        round == 1 ? kvm() : skylake();
        for (unsigned bit = 0; round == 2 && bit < 32; bit++)
            if (bit == 5 || bit == 10)
                without(PROC2, bit);
        begin(vmx_host_backend);
        for (unsigned field = 0; field < 0x8000; field++) {
            if (vmx_field_exists(field) && !cpu_has(field))
                printf("field 0x%x is not there\n", field);
            CHECK(!vmx_field_exists(field) || cpu_has(field));
        }
        CHECK_EQ(vmx_field_exists(PLE_GAP), round == 0);
        CHECK_EQ(vmx_field_exists(VPID), round != 2);
        CHECK(!vmx_field_exists(0x4828) && !vmx_field_exists(GUEST_RIP + 1));
    }
}

/* Each instruction of VMX's in a creation fails, one at a time. */
TEST(a_refused_creation)
{
    unsigned refused = 0, stopped = 0;

    skylake();
    for (uint64_t n = 1;; n++) {
        begin(vmx_host_backend);
        int before = pages, err = E_INVAL;
        uint64_t first = instructions;
        fail_at = first + n;
        TRY(err = vmx->vcpu_create(&vcpu));
        if (instructions < fail_at) { /* there are fewer */
            CHECK_EQ(err, OK);
            break;
        }
        /* Not of this vCPU alone: other vCPUs' translations would stay; and the last one, a VMCLEAR without which the
         * CPU may write the VMCS back into memory that is somebody else's. */
        if (panics) {
            CHECK_EQ(fail_at, instructions);
            CHECK(strstr(last_line, "INVVPID") || strstr(last_line, "VMCLEAR"));
            stopped++;
            continue;
        }
        CHECK_EQ(err, E_NOTSUP);
        CHECK_EQ(lines, 1);
        CHECK(strstr(last_line, "web: vcpu 3: ") == last_line && strstr(last_line, "instruction error"));
        CHECK_EQ(pages, before);
        CHECK(!vcpu.backend && !((struct vmx_cpu *)percpu.backend)->current && !current);
        refused++;
        /* Once what was wrong is over, the same guest is created, and a failure is what it was. */
        fail_at = 0;
        CHECK_EQ(vmx->vcpu_create(&vcpu), OK);
        CHECK_EQ(lines, 1);
    }
    CHECK(refused > 50);
    CHECK_EQ(stopped, 2);
    free_all();
}

/* What the VMCS of another vCPU holds would be lost, by a failure when it leaves the CPU, too. */
TEST(lost_state_stops_root)
{
    static struct vcpu other;

    skylake();
    begin(vmx_host_backend);
    CHECK_EQ(vmx->vcpu_create(&vcpu), OK);
    vmx_load(&vcpu);
    other = (struct vcpu){.vm = &vm, .index = 4, .page = &page};
    fail_at = instructions + 1;
    TRY((void)vmx->vcpu_create(&other));
    CHECK_EQ(panics, 1);
    CHECK(strstr(last_line, "VMCLEAR"));

    skylake();
    begin(vmx_host_backend);
    CHECK_EQ(vmx->vcpu_create(&vcpu), OK);
    vmx_load(&vcpu);
    fail_at = instructions + 1;
    TRY(vmx->set_efer(&vcpu, 0));
    CHECK_EQ(panics, 1);
    CHECK(strstr(last_line, "of 0x"));
    free_all();
}

/* MOV to CR4 from RAX: #GP, or the write is done again by the CPU; and the MCE that the guest reads then. */
static void check_cr4_write(uint64_t value, enum abi_exit kind, uint64_t mce)
{
    vcpu.gpr[ABI_RAX] = value;
    vcpu.exit.info[0] = 4;
    vmx_cr_access(&vcpu);
    CHECK_EQ(vcpu.exit.kind, kind);
    CHECK_EQ(vmx_get_cr4(&vcpu) & BIT(6), mce);
}

/* What a SIPI makes of CS and RIP; all else is as INIT left it. */
TEST(start_of_an_ap)
{
    enum { CS = 2 * ABI_CS };
    struct abi_regs regs = {.rip = 0xfff0, .rflags = 2, .cr0 = 0x60000010};

    skylake();
    begin(vmx_host_backend);
    CHECK_EQ(vmx->vcpu_create(&vcpu), OK);
    regs.seg[ABI_CS] = (struct abi_segment){.selector = 0xf000, .attr = 0x9b, .limit = 0xffff, .base = 0xffff0000};
    vmx->set_regs(&vcpu, &regs);
    vmx->set_start(&vcpu, 0x9a);
    CHECK_EQ(values[GUEST_ES + CS], 0x9a00);
    CHECK_EQ(values[GUEST_ES_BASE + CS], 0x9a000);
    CHECK_EQ(values[GUEST_ES_LIMIT + CS], 0xffff);
    CHECK_EQ(vmx->get_rip(&vcpu), 0);
    CHECK_EQ(vmx->get_cr0(&vcpu) & 0x60000000, 0x60000000);
    free_all();
}

/* Its own CR4.MCE is in the shadow. A write that is refused, in part or as a whole, leaves it. */
TEST(mce_of_the_guest)
{
    enum { MCE = 1 << 6, PAE = 1 << 5 };
    const struct abi_regs regs = {.rip = 0x1000, .rflags = 2, .cr0 = 0x60000010};

    skylake();
    begin(vmx_host_backend);
    CHECK_EQ(vmx->vcpu_create(&vcpu), OK);
    CHECK_EQ(values[CR4_MASK], MCE); /* all else is offered here */
    vmx->set_regs(&vcpu, &regs);
    CHECK_EQ(vmx_get_cr4(&vcpu) & MCE, 0);

    check_cr4_write(MCE, ABI_EXIT_CR, MCE);
    check_cr4_write(0, ABI_EXIT_CR, 0);
    values[GUEST_EFER] = BIT(8) | BIT(10);
    check_cr4_write(MCE, ABI_EXIT_EXCEPTION, 0); /* in long mode, PAE cannot go */
    check_cr4_write(MCE | PAE, ABI_EXIT_CR, MCE);
    CHECK_EQ(values[GUEST_CR4] & MCE, 0); /* the CPU's own is root's, which has none here */
    free_all();
}

static void check_exit(uint32_t reason, enum abi_exit kind, bool machine_check, unsigned count)
{
    values[EXIT_REASON] = reason;
    (void)vmx_exited(&vcpu);
    CHECK_EQ(vcpu.exit.kind, kind);
    CHECK_EQ(vcpu.exit.machine_check, machine_check);
    CHECK_EQ(machine_checks, count);
}

/* As an exception the guest goes on or ends; one that comes during an entry ends it (SDM Vol. 3, 27.9). */
TEST(machine_check)
{
    const struct abi_regs regs = {.rip = 0x1000, .rflags = 2, .cr0 = 0x60000010};

    skylake();
    begin(vmx_host_backend);
    CHECK_EQ(vmx->vcpu_create(&vcpu), OK);
    vmx->set_regs(&vcpu, &regs);
    CHECK(values[EXCEPTION_BITMAP] & 1u << VECTOR_MC);
    values[EXIT_EVENT] = BIT(31) | 3 << 8 | VECTOR_MC;
    machine_checks = 0;
    guest_is_lost = false;
    check_exit(0, ABI_EXIT_INTERRUPT, false, 1);
    check_exit(1u << 31 | 41, ABI_EXIT_OTHER, true, 2);
    guest_is_lost = true;
    check_exit(0, ABI_EXIT_OTHER, true, 3);
    free_all();
}
