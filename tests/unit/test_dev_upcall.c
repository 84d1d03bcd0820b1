/* Upcalls from root to the finished reply, with the real emulator; the world's wake-ups; guest memory. */
// links: user/devices/clock.c user/devices/bus.c user/devices/irq.c user/devices/pc/pic.c user/devices/pc/ioapic.c
// links: user/devices/pc/uart.c user/devices/console.c user/devices/pc/pit.c user/devices/pc/pit_channel.c user/devices/pc/rtc.c
// links: user/devices/pc/calendar.c user/devices/pc/acpi_pm.c user/devices/pc/i8042.c user/devices/pci/pci.c user/devices/pc/vga.c
// links: user/devices/pc/misc.c user/devices/machine.c user/devices/guest_memory.c user/devices/upcall.c user/lib/ring.c
// links: user/lib/lock.c lib/timerq.c lib/rbtree.c lib/format.c user/emul/decode.c user/emul/tables.c user/emul/alu.c
// links: user/emul/memory.c user/emul/operands.c user/emul/walk.c user/emul/stack.c user/emul/one_byte.c
// links: user/emul/group.c user/emul/two_byte.c user/emul/string.c user/emul/io.c user/emul/step.c user/emul/task.c
// links: user/emul/vector.c user/emul/watch.c user/emul/coverage.c user/emul/bits.c user/emul/frame.c
// links: user/emul/segment.c user/emul/gate.c
// links: user/emul/system.c user/emul/descriptor.c
// links: user/refused/check.c user/refused/fields.c
#include <stdarg.h>

#include "tests/unit/test.h"

#include "tests/unit/dev_env.h"
#include "user/devices/guest_memory.h"
#include "user/devices/machine.h"
#include "user/devices/upcall.h"
#include "user/lib/log.h"

#define RAM_SIZE 0x200000
#define CODE     0x1000
#define SLOT     ABI_SLOT_VCPU(0)

static uint8_t ram[RAM_SIZE];
static struct abi_info info;
static struct abi_console rings;
static struct abi_page page;
static struct abi_regs regs; /* before each upcall */
static char logged[256];

void world_log(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vsnprintf(logged, sizeof(logged), fmt, args);
    va_end(args);
}

static void serve(unsigned slot)
{
    page.regs = regs;
    upcall_serve(&page, slot);
}

/* A guest in flat 32-bit protected mode at CODE, the machine fresh. */
static void setup(void)
{
    fake_reset();
    memset(&info, 0, sizeof(info));
    memset(&rings, 0, sizeof(rings));
    memset(ram, 0, sizeof(ram));
    memset(&page, 0xaa, sizeof(page));
    memset(&page.upcall, 0, sizeof(page.upcall));
    page.upcall.lapic_base = PLATFORM_LAPIC_BASE;
    memset(&regs, 0, sizeof(regs));
    logged[0] = 0;
    info.tsc_hz = FAKE_HZ;
    info.boot_tsc = fake.now;
    info.ram_low = RAM_SIZE;
    info.config.vcpus = 1;
    info.config.lapic = 1;
    info.config.exit_device = 1;
    machine_init(&info, &rings);
    guest_memory_init(&info, ram);

    for (unsigned i = 0; i < ABI_SEGS; i++)
        regs.seg[i] = (struct abi_segment){.selector = 16, .attr = 0xc93, .limit = 0xffffffff};
    regs.seg[ABI_CS] = (struct abi_segment){.selector = 8, .attr = 0xc9b, .limit = 0xffffffff};
    regs.cr0 = 1;
    regs.rip = CODE;
    regs.rflags = 2;
}

static void io(uint16_t port, uint8_t bytes, bool write, uint32_t value)
{
    page.upcall.kind = ABI_UPCALL_IO;
    page.upcall.u.io.access.port = port;
    page.upcall.u.io.access.size = bytes;
    page.upcall.u.io.access.write = write;
    page.upcall.u.io.value = value;
    serve(SLOT);
    CHECK_EQ(page.reply.flags, 0);
}

static void emulate(const char *code, unsigned length)
{
    memcpy(ram + CODE, code, length);
    page.upcall.kind = ABI_UPCALL_EMULATE;
    serve(SLOT);
}
#define EMULATE(code) emulate(code, sizeof(code) - 1)

TEST(port_access)
{
    setup();
    io(0xcf8, 4, true, 0x80000000);
    io(0xcfc, 4, false, 0);
    CHECK_EQ(page.reply.value, 0x12378086);
    io(0x1234, 2, false, 0);
    CHECK_EQ(page.reply.value, 0xffff);
    io(0xf4, 4, true, 42);
    CHECK_EQ(fake.end_reason, ABI_END_EXIT);
    CHECK_EQ(fake.end_status, 42);
}

TEST(ioapic_through_the_emulator)
{
    setup();
    regs.gpr[ABI_RAX] = 1;
    EMULATE("\xa3\x00\x00\xc0\xfe"); /* mov [fec00000], eax */
    CHECK_EQ(page.reply.flags, ABI_REPLY_REGS);
    CHECK_EQ(page.regs.rip, CODE + 5);
    EMULATE("\xa1\x10\x00\xc0\xfe"); /* mov eax, [fec00010] */
    CHECK_EQ(page.reply.flags, ABI_REPLY_REGS);
    CHECK_EQ(page.regs.gpr[ABI_RAX], 0x170011);
}

/* Each vCPU's page is where its IA32_APIC_BASE says, before any device that is there; the old place is nobody's. */
TEST(the_lapic_page_moves)
{
    static const uint32_t bases[] = {0xfd000000, PLATFORM_IOAPIC_BASE, 0xa0000, 0xfee01000};

    setup();
    fake.lapic = true;
    for (unsigned i = 0; i < ARRAY_SIZE(bases); i++) {
        page.upcall.lapic_base = bases[i];
        regs.gpr[ABI_RBX] = bases[i] + 0x20;
        EMULATE("\x8b\x03"); /* mov eax, [ebx] */
        CHECK_EQ(page.regs.gpr[ABI_RAX], 0x11223320);
        CHECK_EQ(fake.lapic_reads, i + 1);
        regs.gpr[ABI_RBX] = PLATFORM_LAPIC_BASE + 0x20;
        EMULATE("\x8b\x03");
        CHECK_EQ(page.regs.gpr[ABI_RAX], 0xffffffff);
        CHECK_EQ(fake.lapic_reads, i + 1);
    }
    page.upcall.lapic_base = PLATFORM_LAPIC_BASE; /* another vCPU's is where it was */
    serve(ABI_SLOT_VCPU(1));
    CHECK_EQ(page.regs.gpr[ABI_RAX], 0x11223320);
    page.upcall.lapic_base = UINT64_MAX; /* x2APIC mode, or disabled */
    serve(SLOT);
    CHECK_EQ(page.regs.gpr[ABI_RAX], 0xffffffff);
}

TEST(lapic_page_goes_to_root)
{
    setup();
    fake.lapic = true;
    EMULATE("\xa1\x20\x00\xe0\xfe");
    CHECK_EQ(page.regs.gpr[ABI_RAX], 0x11223320);
    CHECK_EQ(fake.lapic_reads, 1);
    EMULATE("\xa0\x22\x00\xe0\xfe"); /* mov al, [fee00022] */
    CHECK_EQ(page.regs.gpr[ABI_RAX] & 0xff, 0x22);
    regs.gpr[ABI_RAX] = 0xdeadbeef;
    EMULATE("\xa3\xb0\x00\xe0\xfe");
    CHECK_EQ(fake.lapic_writes, 1);
    CHECK_EQ(fake.lapic_offset, 0xb0);
    CHECK_EQ(fake.lapic_value, 0xdeadbeef);
    EMULATE("\xa2\xb0\x00\xe0\xfe"); /* a byte: lost */
    CHECK_EQ(fake.lapic_writes, 1);
    fake.lapic = false;
    EMULATE("\xa1\x20\x00\xe0\xfe");
    CHECK_EQ(page.regs.gpr[ABI_RAX], 0xffffffff);
}

TEST(string_output_to_the_console)
{
    setup();
    memcpy(ram + 0x2000, "hello\n", 6);
    regs.gpr[ABI_RSI] = 0x2000;
    regs.gpr[ABI_RCX] = 6;
    regs.gpr[ABI_RDX] = 0x3f8;
    EMULATE("\xf3\x6e"); /* rep outsb */
    CHECK_EQ(page.reply.flags, ABI_REPLY_REGS);
    CHECK_EQ(page.regs.gpr[ABI_RCX], 0);
    CHECK_EQ(rings.out.head, 6);
    CHECK(memcmp(rings.out.data, "hello\n", 6) == 0);
    CHECK_EQ(fake.notifies, 1);
}

TEST(holes_read_as_ones_and_ram_is_ram)
{
    setup();
    EMULATE("\xa1\x00\x00\x0a\x00"); /* [a0000]: VGA */
    CHECK_EQ(page.regs.gpr[ABI_RAX], 0xffffffff);
    ram[0xb8000] = 0x41;
    EMULATE("\xa1\x00\x80\x0b\x00"); /* [b8000]: plain RAM */
    CHECK_EQ(page.regs.gpr[ABI_RAX], 0x41);
    EMULATE("\xa3\x00\x00\x20\x00"); /* [200000]: behind RAM */
    CHECK_EQ(page.reply.flags, ABI_REPLY_REGS);

    CHECK(guest_ram(0, 0xa0000) == ram);
    CHECK(guest_ram(0, 0xa0001) == NULL);
    CHECK(guest_ram(0x9ffff, 2) == NULL);
    CHECK(guest_ram(0xb7fff, 1) == NULL);
    CHECK(guest_ram(0xb8000, RAM_SIZE - 0xb8000) == ram + 0xb8000);
    CHECK(guest_ram(RAM_SIZE - 1, 1) == ram + RAM_SIZE - 1);
    CHECK(guest_ram(RAM_SIZE - 1, 2) == NULL);
    CHECK(guest_ram(RAM_SIZE, 1) == NULL);
    CHECK(guest_ram(UINT64_MAX, 2) == NULL);
    CHECK(guest_ram(0x1000, UINT64_MAX) == NULL);
    CHECK(guest_ram(0x100000000, 1) == NULL);
}

TEST(page_fault_is_injected)
{
    setup();
    regs.cr0 = 0x80000001;
    regs.cr3 = 0x3000; /* empty tables */
    EMULATE("\xa1\x10\x00\xc0\xfe");
    CHECK_EQ(page.reply.flags, ABI_REPLY_REGS | ABI_REPLY_EXCEPTION | ABI_REPLY_ERROR_CODE);
    CHECK_EQ(page.reply.vector, 14);
    CHECK_EQ(page.regs.cr2, CODE);
    CHECK_EQ(page.regs.rip, CODE);
}

TEST(what_cannot_be_emulated_ends_the_guest)
{
    setup();
    EMULATE("\xd9\x05\x00\x00\xc0\xfe"); /* fld dword [fec00000] */
    CHECK_EQ(page.reply.flags, ABI_REPLY_END);
    CHECK(strstr(logged, "d9 05") != NULL);
    setup();
    page.upcall.u.emulate.fetch = 1;
    page.upcall.u.emulate.gpa = 0xfec00000;
    EMULATE("\x90");
    CHECK_EQ(page.reply.flags, ABI_REPLY_END);
    CHECK(strstr(logged, "0xfec00000") != NULL);
    setup();
    regs.cpl = 3; /* but no user program can do that */
    EMULATE("\xd9\x05\x00\x00\xc0\xfe");
    CHECK_EQ(page.reply.flags, ABI_REPLY_EXCEPTION);
    CHECK_EQ(page.reply.vector, 6);
    CHECK_STR(logged, "");
}

TEST(single_step_traps_after_the_instruction)
{
    setup();
    regs.rflags |= 0x100;
    EMULATE("\xa1\x10\x00\xc0\xfe");
    CHECK_EQ(page.reply.flags, ABI_REPLY_REGS | ABI_REPLY_EXCEPTION);
    CHECK_EQ(page.reply.vector, 1);
    CHECK_EQ(page.reply.value, 0x4000); /* DR6.BS */
    CHECK_EQ(page.regs.rip, CODE + 5);
}

/* Two TSSs of tasks in this guest's code, GDT at 3000h: selectors 8, 10h, code 18h, data 20h. */
static void setup_tasks(uint64_t new_tss_type, uint32_t trap)
{
    static const uint64_t rest[] = {0x00cf9b000000ffff, 0x00cf93000000ffff};
    uint64_t gdt[] = {0, 0x00008b0040000067, 0x0000000050000067 | new_tss_type << 40, rest[0], rest[1]};
    uint32_t tss[26] = {[8] = 0x7000, [9] = 2, [18] = 0x20, [19] = 0x18, [20] = 0x20, [25] = trap};

    setup();
    memcpy(ram + 0x3000, gdt, sizeof(gdt));
    memcpy(ram + 0x5000, tss, sizeof(tss));
    regs.gdtr = (struct abi_segment){.base = 0x3000, .limit = sizeof(gdt) - 1};
    regs.tr = (struct abi_segment){.selector = 8, .base = 0x4000, .limit = 0x67, .attr = 0x8b};
    page.upcall.u.task = (struct abi_task_switch){.selector = 0x10, .source = ABI_TASK_JMP, .length = 7};
}

static void switch_task(void)
{
    page.upcall.kind = ABI_UPCALL_TASK_SWITCH;
    serve(SLOT);
}

TEST(task_switch)
{
    setup_tasks(0x89, 0);
    switch_task();
    CHECK_EQ(page.reply.flags, ABI_REPLY_REGS | ABI_REPLY_TASK);
    CHECK_EQ(page.regs.rip, 0x7000);
    CHECK_EQ(page.regs.tr.selector, 0x10);
    CHECK_EQ(page.reply.pdpte[0], 0);
    setup_tasks(0x89, 1);
    switch_task();
    CHECK_EQ(page.reply.flags, ABI_REPLY_REGS | ABI_REPLY_TASK | ABI_REPLY_EXCEPTION);
    CHECK_EQ(page.reply.vector, 1);
    CHECK_EQ(page.reply.value, 0x8000); /* DR6.BT */
    setup_tasks(0x8b, 1);               /* busy: the old task has the fault */
    switch_task();
    CHECK_EQ(page.reply.flags, ABI_REPLY_REGS | ABI_REPLY_EXCEPTION | ABI_REPLY_ERROR_CODE);
    CHECK_EQ(page.reply.vector, 13);
    CHECK_EQ(page.reply.error_code, 0x10);
    CHECK_EQ(page.regs.rip, CODE);
    setup_tasks(0x89, 1);
    memset(ram + 0x3018, 0, 8); /* no code segment: the new one */
    switch_task();
    CHECK_EQ(page.reply.flags, ABI_REPLY_REGS | ABI_REPLY_TASK | ABI_REPLY_EXCEPTION | ABI_REPLY_ERROR_CODE);
    CHECK_EQ(page.reply.vector, 10);
    CHECK_EQ(page.reply.error_code, 0x18);
}

TEST(task_switches_that_end_the_guest)
{
    setup_tasks(0x89, 0);
    regs.efer = 1 << 10;
    switch_task();
    CHECK_EQ(page.reply.flags, ABI_REPLY_END);
    CHECK(strstr(logged, "cannot switch tasks: ") != NULL);
    CHECK_EQ(fake.end_reason, ABI_END_NONE);
    setup_tasks(0x8b, 0);
    page.upcall.u.task.source = ABI_TASK_GATE;
    page.upcall.u.task.vector = 8; /* a double fault's delivery fails */
    page.upcall.u.task.type = 3;
    switch_task();
    CHECK_EQ(fake.end_reason, ABI_END_TRIPLE_FAULT);
}

TEST(instruction_length)
{
    setup();
    memcpy(ram + CODE, "\x66\x0f\x01\xd9", 4);
    page.upcall.kind = ABI_UPCALL_LENGTH;
    serve(SLOT);
    CHECK_EQ(page.reply.flags, 0);
    CHECK_EQ(page.reply.length, 4);
    regs.cr0 = 0x80000001;
    regs.cr3 = 0x3000;
    serve(SLOT);
    CHECK(page.reply.flags & ABI_REPLY_EXCEPTION);
    CHECK_EQ(page.reply.vector, 14);
}

/* MOV to CR8 from RDI, from R9, and AMD's LOCK MOV CR0 outside 64-bit mode: the register is told, too. */
TEST(register_of_an_instruction)
{
    setup();
    page.upcall.kind = ABI_UPCALL_LENGTH;
    memcpy(ram + CODE, "\xf0\x0f\x22\xc7", 4);
    serve(SLOT);
    CHECK_EQ(page.reply.length, 4);
    CHECK_EQ(page.reply.value, ABI_RDI);
    regs.efer = 0x500;
    regs.seg[ABI_CS].attr |= ABI_SEG_L;
    memcpy(ram + CODE, "\x45\x0f\x22\x01", 4); /* mod means nothing */
    serve(SLOT);
    CHECK_EQ(page.reply.length, 4);
    CHECK_EQ(page.reply.value, ABI_R9);
}

/* All CPUs halt with interrupts off: a pin that may send an NMI or INIT keeps the guest, others do not. */
TEST(halted)
{
    static const struct {
        uint32_t entry;
        bool over;
    } cases[] = {{0x10400, true}, {0x10500, true},  {0x00031, true},
                 {0x00731, true}, {0x00400, false}, {0x08500, false}};

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        setup();
        fake_ioapic_entry(23, cases[i].entry);
        page.upcall.kind = ABI_UPCALL_HALTED;
        serve(SLOT);
        CHECK_EQ(page.reply.flags, 0);
        CHECK_EQ(fake.ends, cases[i].over);
        if (cases[i].over)
            CHECK_EQ(fake.end_reason, ABI_END_HALTED);
    }
}

/* Only a line in the log: root ends the guest by itself. */
TEST(refused_entry)
{
    setup();
    page.fields[0] = (struct abi_field){0x6800, 0x80000000}; /* guest's CR0 */
    page.fields[1] = (struct abi_field){0x487, 0xffffffff};  /* IA32_VMX_CR0_FIXED1 */
    page.upcall.kind = ABI_UPCALL_REFUSED;
    page.upcall.u.refused.count = 2;
    serve(ABI_SLOT_VCPU(3));
    CHECK_STR(logged, "vcpu 3: VM entry failed, SDM Vol. 3, 27.3.1.1: CR0.PG without CR0.PE");
    CHECK_EQ(page.reply.flags, 0);
    CHECK_EQ(fake.ends, 0);

    memset(page.fields, 0, sizeof(page.fields));
    page.upcall.u.refused.count = UINT32_MAX; /* no more than there is room for */
    serve(ABI_SLOT_VCPU(3));
    CHECK_STR(logged, "vcpu 3: VM entry failed, SDM Vol. 3, 27.3.1.2: ES: its type is not allowed there");
}

TEST(interrupt_acknowledge_and_eoi)
{
    setup();
    page.upcall.kind = ABI_UPCALL_INTA;
    serve(SLOT);
    CHECK_EQ(page.reply.flags, ABI_REPLY_SPURIOUS);
    fake_pic_setup(0xee, 0xff);
    outb(0x3fc, 0x08);
    io(0x3f9, 1, true, 0x02); /* THRE interrupt: IRQ 4 */
    CHECK(fake.extint);
    CHECK_EQ(fake.extints, 1);
    page.upcall.kind = ABI_UPCALL_INTA;
    serve(SLOT);
    CHECK_EQ(page.reply.flags, 0);
    CHECK_EQ(page.reply.vector, 0x24);
    CHECK(!fake.extint);

    fake_ioapic_entry(4, 0x8041);
    CHECK_EQ(fake.messages, 1);
    page.upcall.kind = ABI_UPCALL_EOI;
    page.upcall.u.eoi.vector = 0x41;
    serve(SLOT);
    CHECK_EQ(fake.messages, 2);

    fake.refuse_messages = true;
    serve(SLOT);
    CHECK_EQ(fake.messages, 3);
    page.upcall.u.eoi.vector = ABI_EOI_NONE; /* nobody took that one */
    serve(SLOT);
    CHECK_EQ(fake.messages, 4);
}

TEST(the_worker_is_woken_only_for_earlier_deadlines)
{
    uint64_t deadline;

    setup();
    CHECK_EQ(machine_work(), NEVER);
    CHECK_EQ(fake.unparks, 0);
    io(0x43, 1, true, 0x34);
    io(0x40, 1, true, 0x00);
    CHECK_EQ(fake.unparks, 0);
    io(0x40, 1, true, 0x80);
    CHECK_EQ(fake.unparks, 1);
    io(0x43, 1, true, 0x34); /* it has been woken and has not run yet: once is enough */
    io(0x40, 1, true, 0x00);
    io(0x40, 1, true, 0x10);
    CHECK_EQ(fake.unparks, 1);
    deadline = machine_work();
    CHECK(deadline > fake.now && deadline < fake.now + FAKE_HZ / 200);
    for (unsigned i = 0; i < 100; i++)
        io(0x61, 1, false, 0);
    CHECK_EQ(fake.unparks, 1);
    fake.now = deadline;
    CHECK(machine_work() > deadline);
    CHECK_EQ(fake.unparks, 1);
}

TEST(console_output_without_a_newline_wakes_the_worker_once)
{
    uint64_t deadline;

    setup();
    machine_work();
    for (unsigned i = 0; i < 20; i++)
        io(0x3f8, 1, true, '.');
    CHECK_EQ(fake.unparks, 1);
    CHECK_EQ(fake.notifies, 0);
    deadline = machine_work();
    fake.now = deadline;
    CHECK_EQ(machine_work(), NEVER);
    CHECK_EQ(fake.notifies, 1);
}
