/*
 * Every port and the whole hole for MMIO: each access completes or faults as the manuals say. What a device makes of
 * nonsense is its own affair; that this CPU and the hypervisor go on is what counts. Where the outcome is defined, it
 * is checked. `step=N`: every Nth port of those where no device is; `ram=N`: MiB of RAM; `ones=0`: nobody's addresses
 * need not read as all ones; `unemulated=N`: an access that no hypervisor's emulator need know, which may end the
 * guest.
 */
#include "tests/guests/lib/apic.h"
#include "tests/guests/lib/window.h"

const char guest_name[] = "hammer";

#define PCI_ADDRESS  0xcf8
#define PCI_VALUE    0x80000040u
#define PORT_NOBODY  0x9000
#define LAST_DEVICE  0xd00 /* no device is at a higher port */
#define HOLE_SAMPLES 256
#define HPET_BASE    0xfed00000ull
#define VGA_BASE     0xa0000ull
#define VGA_SIZE     0x18000u
#define GIB4         0x100000000ull

static bool ones; /* nobody's addresses read so */

/* ---- Ports ------------------------------------------------------------------------------------------------------ */

static const struct skipped {
    uint16_t first, last;
    const char *why; /* not to write there */
} skipped[] = {
    {0x64, 0x64, "a command of the 8042 resets the machine"},
    {0x92, 0x92, "bit 0 resets the machine"},
    {0xf4, 0xf7, "the exit device ends the guest"},
    {0x3f8, 0x3f8, "what is written to COM1 is this guest's own output"},
    {0x604, 0x605, "SLP_EN switches the machine off"},
    {0xcf9, 0xcf9, "RST_CPU resets the machine"},
};

static bool may_write(unsigned port, unsigned size)
{
    for (unsigned i = 0; i < ARRAY_SIZE(skipped); i++)
        if (port <= skipped[i].last && port + size > skipped[i].first)
            return false;
    return true;
}

static void ones_or_any(const char *what, uint64_t value, unsigned size)
{
    uint64_t all = size == 8 ? UINT64_MAX : BIT(8 * size) - 1;

    if (ones)
        check(what, all, value);
}

static void one_port(uint16_t port)
{
    uint8_t a = in8(port);
    uint16_t b = in16(port);
    uint32_t c = in32(port);

    if (port >= LAST_DEVICE) {
        ones_or_any("IN of a byte where nobody is", a, 1);
        ones_or_any("IN of a word where nobody is", b, 2);
        if (port < 0xfffd)
            ones_or_any("IN of a doubleword where nobody is", c, 4);
    }
    if (may_write(port, 1))
        out8(port, (uint8_t)(port ^ 0xa5));
    if (may_write(port, 2))
        out16(port, (uint16_t)(port * 3));
    if (may_write(port, 4))
        out32(port, port * 0x10001u ^ 0xffffffffu);
}

static void ports(void)
{
    uint32_t step = (uint32_t)guest_option("step", 1);
    unsigned n = 0;

    for (uint32_t port = 0; port <= 0xffff; port += port < LAST_DEVICE || port > 0xfff0 ? 1 : step, n++)
        one_port((uint16_t)port);
    guest_serial_init();
    print("hammer: %u ports\n", n);
}

/* ---- INS and OUTS ------------------------------------------------------------------------------------------------ */

static uint32_t buffer[3 * PAGE / 4] __attribute__((aligned(4096)));

static void ins(char size, uint16_t port, void *to, uint64_t count)
{
    if (size == 1)
        __asm__ volatile("rep insb" : "+D"(to), "+c"(count) : "d"(port) : "memory");
    else if (size == 2)
        __asm__ volatile("rep insw" : "+D"(to), "+c"(count) : "d"(port) : "memory");
    else
        __asm__ volatile("rep insl" : "+D"(to), "+c"(count) : "d"(port) : "memory");
    check("RCX behind REP INS", 0, count);
}

static void outs(char size, uint16_t port, const void *from, uint64_t count)
{
    if (size == 1)
        __asm__ volatile("rep outsb" : "+S"(from), "+c"(count) : "d"(port) : "memory");
    else if (size == 2)
        __asm__ volatile("rep outsw" : "+S"(from), "+c"(count) : "d"(port) : "memory");
    else
        __asm__ volatile("rep outsl" : "+S"(from), "+c"(count) : "d"(port) : "memory");
    check("RCX behind REP OUTS", 0, count);
}

static void string_ports(void)
{
    uint8_t *bytes = (uint8_t *)buffer;
    uint64_t rdi, rcx;

    out32(PCI_ADDRESS, PCI_VALUE);
    memset(buffer, 0, sizeof(buffer));
    ins(4, PCI_ADDRESS, bytes + PAGE - 6, 512); /* across a page, not aligned */
    for (unsigned i = 0; i < 512; i++) {
        uint32_t value;

        memcpy(&value, bytes + PAGE - 6 + (size_t)4 * i, 4);
        check("REP INSD", PCI_VALUE, value);
    }
    check("what is before it", 0, bytes[PAGE - 7]);
    check("what is behind it", 0, bytes[PAGE - 6 + 512 * 4]);
    for (unsigned i = 0; i < 2000; i++)
        buffer[i] = 0x80000000u | i << 2;
    outs(4, PCI_ADDRESS, buffer, 2000);
    check("the last of REP OUTSD", buffer[1999], in32(PCI_ADDRESS));
    for (char size = 1; size <= 4; size = (char)(size * 2)) {
        ins(size, PORT_NOBODY, bytes, 1000);
        ones_or_any("REP INS where nobody is", buffer[0], 4);
        outs(size, PORT_NOBODY, bytes, 1000);
        ins(size, PORT_NOBODY, (void *)1, 0); /* a count of 0 touches nothing */
    }
    /* Downwards, and with a 32-bit count and address, which leave the registers' upper halves clear. */
    __asm__ volatile("std; rep insl; cld"
                     : "=D"(rdi), "=c"(rcx)
                     : "D"(buffer + 9), "c"(10), "d"(PCI_ADDRESS)
                     : "memory");
    check("RDI behind REP INSD downwards", (uintptr_t)buffer - 4, rdi);
    check("the last of REP INSD downwards", in32(PCI_ADDRESS), buffer[0]);
    __asm__ volatile(".byte 0x67; rep insl" : "=D"(rdi), "=c"(rcx) : "D"(buffer), "c"(3), "d"(PCI_ADDRESS) : "memory");
    check("EDI behind REP INSD", (uintptr_t)(buffer + 3), rdi);
    check("ECX behind REP INSD", 0, rcx);
}

static void do_ins(void *to)
{
    ins(4, PCI_ADDRESS, to, 4);
}

static void do_outs(void *from)
{
    outs(4, PORT_NOBODY, from, 4);
}

/* ---- MMIO: wherever, whatever size ------------------------------------------------------------------------------- */

static uint8_t *at(uint64_t gpa)
{
    return window(gpa, gpa + PAGE) + gpa % PAGE;
}

/* It may be RAM that the compiler knows by another address. */
static void barrier(void)
{
    __asm__ volatile("" : : : "memory");
}

static uint64_t mmio_read(const volatile uint8_t *p, unsigned size)
{
    barrier();
    switch (size) {
    case 1:
        return *p;
    case 2:
        return *(const volatile uint16_t *)p;
    case 4:
        return *(const volatile uint32_t *)p;
    default:
        return *(const volatile uint64_t *)p;
    }
}

static void mmio_write(volatile uint8_t *p, unsigned size, uint64_t value)
{
    switch (size) {
    case 1:
        *p = (uint8_t)value;
        break;
    case 2:
        *(volatile uint16_t *)p = (uint16_t)value;
        break;
    case 4:
        *(volatile uint32_t *)p = (uint32_t)value;
        break;
    default:
        *(volatile uint64_t *)p = value;
    }
    barrier();
}

static void nobody(uint64_t gpa)
{
    for (unsigned size = 1; size <= 8; size *= 2) {
        uint8_t *p = at(gpa);

        ones_or_any("MMIO where nobody is", mmio_read(p, size), size);
        mmio_write(p, size, 0x0123456789abcdef);
        ones_or_any("MMIO where nobody is, written", mmio_read(p, size), size);
    }
}

static void hole(void)
{
    uint64_t low = guest_option("ram", 16) << 20, limit = BIT(cpuid(0x80000008, 0).eax & 0xff);
    uint64_t step = (0xfeb00000 - low) / HOLE_SAMPLES;

    for (unsigned i = 0; i < HOLE_SAMPLES; i++)
        nobody(low + i * step + i % 4096);
    nobody(low);
    nobody(HPET_BASE);
    nobody(HPET_BASE + 0xf0);
    nobody(GIB4 - PAGE);
    nobody(GIB4 - 8);
    nobody(GIB4);
    nobody(limit / 2 + 1);
    nobody(limit - PAGE);
    nobody(limit - 8);
    /* Across the end of RAM: half of it is there. */
    *(volatile uint32_t *)(low - 4) = 0x11223344;
    if (ones)
        check("a read across the end of RAM", 0xffffffff11223344, mmio_read(at(low - 4), 8));
    mmio_write(at(low - 4), 8, 0x5566778899aabbcc);
    check("a write across the end of RAM", 0x99aabbcc, *(volatile uint32_t *)(low - 4));
    for (uint32_t offset = 0; offset < VGA_SIZE; offset += 509) {
        mmio_write(at(VGA_BASE + offset), 4, offset);
        mmio_read(at(VGA_BASE + offset), 8);
    }
    print("hammer: MMIO where nobody is, up to 0x%lx\n", limit);
}

static void ioapic(void)
{
    /* IOREGSEL, then IOWIN; entries stay masked by bit 16. */
    for (unsigned reg = 0; reg < 256; reg++) {
        uint32_t value = ioapic_read((uint8_t)reg);

        ioapic_write((uint8_t)reg, value | LVT_MASKED);
        ioapic_write((uint8_t)reg, 0xffffffff);
        ioapic_write((uint8_t)reg, 0x00015555);
    }
    for (uint32_t offset = 0; offset < PAGE; offset += offset < 0x60 ? 1 : 61)
        for (unsigned size = 1; size <= 8; size *= 2) {
            mmio_read(at(IOAPIC_BASE + offset), size);
            if (offset != 0x40) /* IOAPICs that have an EOI register; a directed EOI of nothing would be harmless */
                mmio_write(at(IOAPIC_BASE + offset), size, 0x00011111);
        }
    for (unsigned i = 0; i < 24; i++)
        ioapic_entry(i, LVT_MASKED);
    check("IOAPIC version", 0x11, ioapic_read(1) & 0xff);
}

/* Not the ICR: an IPI to oneself may be an INIT. What is not aligned to 4 is undefined (SDM Vol. 3, 11.4.1). */
static void lapic(void)
{
    uint32_t version = lapic_read(APIC_LVR), id = lapic_read(APIC_ID);

    for (uint32_t offset = 0; offset < PAGE; offset += offset < 0x400 ? 1 : 97)
        for (unsigned size = 1; size <= 8; size *= 2)
            mmio_read(at(LAPIC_BASE + offset), size);
    for (uint32_t offset = 0; offset < PAGE; offset += offset < 0x400 ? 4 : 256) {
        if (offset <= APIC_ICR && offset + 8 > APIC_ICR)
            continue;
        mmio_write(at(LAPIC_BASE + offset), 4, lapic_read(offset));
        mmio_write(at(LAPIC_BASE + offset), 4, 0xffffffff);
        mmio_write(at(LAPIC_BASE + offset), 8, 0xffffffff);
        mmio_write(at(LAPIC_BASE + offset + 1), 2, LVT_MASKED);
        mmio_write(at(LAPIC_BASE + offset), 1, 0);
    }
    lapic_init(false);
    check("LAPIC version", version, lapic_read(APIC_LVR));
    check("LAPIC id", id, lapic_read(APIC_ID));
}

/* ---- MMIO: whatever instruction ------------------------------------------------------------------------------------
 * The initial count of a masked timer, divided so that it does not end, is 32 bits of MMIO that keep what is written.
 */

static volatile uint32_t *cell;

#define RMW(instruction, before, source, after)                                                                        \
    do {                                                                                                               \
        *cell = (before);                                                                                              \
        __asm__ volatile(instruction : : "r"(cell), "r"((uint32_t)(source)) : "rax", "memory", "cc");                  \
        check(instruction, (after), *cell);                                                                            \
    } while (0)

#define LOAD(instruction, content, after)                                                                              \
    do {                                                                                                               \
        uint64_t result = 0x1122334455667788;                                                                          \
        *cell = (content);                                                                                             \
        __asm__ volatile(instruction : "+r"(result) : "r"(cell) : "memory", "cc");                                     \
        check(instruction, (after), result);                                                                           \
    } while (0)

static void loads(void)
{
    LOAD("movb (%1), %b0", 0x89abcdef, 0x11223344556677ef);
    LOAD("movw (%1), %w0", 0x89abcdef, 0x112233445566cdef);
    LOAD("movl (%1), %k0", 0x89abcdef, 0x89abcdef);
    LOAD("movzbl (%1), %k0", 0x89abcdef, 0xef);
    LOAD("movzwq (%1), %0", 0x89abcdef, 0xcdef);
    LOAD("movsbl (%1), %k0", 0x89abcdef, 0xffffffef);
    LOAD("movswq (%1), %0", 0x89abcdef, 0xffffffffffffcdef);
    LOAD("movslq (%1), %0", 0x89abcdef, 0xffffffff89abcdef);
    LOAD("addl (%1), %k0", 1, 0x55667789);
    LOAD("xorl (%1), %k0", 0xffffffff, 0xaa998877);
    LOAD("imull (%1), %k0", 2, 0xaaccef10);
    LOAD("testl $1, (%1); setnz %b0", 1, 0x1122334455667701);
    LOAD("cmpl %k0, (%1); sete %b0", 0x55667788, 0x1122334455667701);
    LOAD("btl $31, (%1); setc %b0", 0x80000000, 0x1122334455667701);
    LOAD("cmp %0, %0; cmovel (%1), %k0", 5, 5);
    LOAD("pushq (%1); popq %0", 0x1234, 0x1234);
}

static void stores(void)
{
    RMW("movl %1, (%0)", 0, 0x12345678, 0x12345678);
    RMW("movl $0x55aa55aa, (%0)", 0, 0, 0x55aa55aa);
    RMW("addl %1, (%0)", 0xfffffffe, 3, 1);
    RMW("lock; orl %1, (%0)", 0xf0, 0x0f, 0xff);
    RMW("notl (%0)", 0xff00ff00, 0, 0x00ff00ff);
    RMW("negl (%0)", 1, 0, 0xffffffff);
    RMW("incl (%0)", 0xffffffff, 0, 0);
    RMW("lock; decl (%0)", 0, 0, 0xffffffff);
    RMW("shll $4, (%0)", 0x11111111, 0, 0x11111110);
    RMW("xchgl %1, (%0)", 1, 0x77, 0x77);
    RMW("lock; xaddl %1, (%0)", 5, 6, 11);
    RMW("lock; btsl $7, (%0)", 0, 0, 0x80);
    RMW("btsl %1, (%0)", 0, 31, 0x80000000);
    RMW("btrl $0, (%0)", 3, 0, 2);
    RMW("movl $9, %%eax; lock; cmpxchgl %1, (%0)" /* the same */, 9, 0x42, 0x42);
    RMW("movl $9, %%eax; lock; cmpxchgl %1, (%0)" /* another: it stays */, 8, 0x42, 8);
    RMW("movnti %1, (%0)", 0, 0x31415926, 0x31415926);
}

static void strings(void)
{
    void *to = buffer;
    const void *from = (const void *)cell;
    uint64_t count = 3, rax = 0;

    *cell = 0xcafef00d;
    __asm__ volatile("movsl" : "+D"(to), "+S"(from) : : "memory");
    check("MOVSD from MMIO", 0xcafef00d, buffer[0]);
    check("RSI behind it", (uintptr_t)cell + 4, (uintptr_t)from);
    buffer[1] = 0x600df00d;
    to = (void *)(uintptr_t)cell;
    from = buffer + 1;
    __asm__ volatile("movsl" : "+D"(to), "+S"(from) : : "memory");
    check("MOVSD to MMIO", 0x600df00d, *cell);
    to = (void *)(uintptr_t)cell;
    __asm__ volatile("stosl" : "+D"(to) : "a"(0x1234) : "memory");
    check("STOSD to MMIO", 0x1234, *cell);
    from = (const void *)cell;
    __asm__ volatile("lodsl" : "+S"(from), "+a"(rax) : : "memory");
    check("LODSD from MMIO", 0x1234, rax);
    to = at(HPET_BASE);
    __asm__ volatile("repe scasb" : "+D"(to), "+c"(count) : "a"(0xff) : "memory", "cc");
    check("RCX behind REPE SCASB", 0, ones ? count : 0);
    for (unsigned n = 1; n <= 16; n++) {
        to = buffer;
        from = at(HPET_BASE + PAGE - n / 2); /* across a page */
        count = n;
        __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
        check("RCX behind REP MOVSB", 0, count);
        ones_or_any("REP MOVSB", *((uint8_t *)buffer + n - 1), 1);
    }
    to = at(HPET_BASE);
    count = 2 * PAGE / 8;
    __asm__ volatile("rep stosq" : "+D"(to), "+c"(count) : "a"(0) : "memory");
    check("RCX behind REP STOSQ of two pages", 0, count);
    /* From MMIO to a port, and from a port to MMIO. */
    *cell = PCI_VALUE;
    from = (const void *)cell;
    __asm__ volatile("outsl" : "+S"(from) : "d"(PCI_ADDRESS) : "memory");
    check("OUTSD from MMIO", PCI_VALUE, in32(PCI_ADDRESS));
    *cell = 0;
    to = (void *)(uintptr_t)cell;
    __asm__ volatile("insl" : "+D"(to) : "d"(PCI_ADDRESS) : "memory");
    check("INSD to MMIO", PCI_VALUE, *cell);
}

static volatile uint32_t calls;

static void called(void)
{
    calls++;
}

/* 64-bit pointers whose lower half is the cell, whose upper half reads as 0. */
static void branches(void)
{
    uint64_t sum = 0;

    *cell = (uint32_t)(uintptr_t)called;
    __asm__ volatile("call *(%0)"
                     :
                     : "r"(cell)
                     : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory", "cc");
    check("CALL through MMIO", 1, calls);
    __asm__ volatile("lea 1f(%%rip), %%rax; movl %%eax, (%1); jmp *(%1); ud2; 1: mov $1, %0"
                     : "=r"(sum)
                     : "r"(cell)
                     : "rax", "memory");
    check("JMP through MMIO", 1, sum);
    __asm__ volatile("pushq $77; popq (%0)" : : "r"(cell) : "memory");
}

/* The hole, and RAM behind it or before it, in one access. */
static void crossings(void)
{
    uint8_t *p;

    buffer[0] = 0x44332211;
    p = window(HPET_BASE, (uintptr_t)buffer) + PAGE;
    ones_or_any("MMIO, then RAM", mmio_read(p - 2, 4) & 0xffff, 2);
    check("MMIO, then RAM", 0x2211, mmio_read(p - 2, 4) >> 16);
    mmio_write(p - 4, 8, 0x8877665500000000);
    check("a write to MMIO, then RAM", 0x88776655, buffer[0]);
    p = window((uintptr_t)buffer, LAPIC_BASE) + PAGE;
    memset(buffer, 0, PAGE);
    mmio_write(p - 3, 4, 0xff332211);
    check("a write to RAM, then MMIO", 0x33221100, buffer[PAGE / 4 - 1]);
    check("a read of RAM, then MMIO", 0x332211, mmio_read(p - 3, 4) & 0xffffff);
}

/* ---- Faults on the way ------------------------------------------------------------------------------------------- */

static void move_to(void *to)
{
    const void *from = (const void *)cell;

    __asm__ volatile("movsl" : "+D"(to), "+S"(from) : : "memory");
}

static void faults_with(const char *what, void (*f)(void *), void *argument, int vector, uint64_t error, uint64_t cr2)
{
    check(what, (uint64_t)vector, (uint64_t)catch_trap(f, argument));
    check("its error code", error, trap_caught()->error_code);
    if (vector == VECTOR_PF)
        check("its CR2", cr2, read_cr2());
}

/* The other operand's: page faults with the error code of SDM Vol. 3, figure 4-12. */
static void faults(void)
{
    uint8_t *base = window_raw((uintptr_t)buffer | PTE_P | PTE_W, 0), *far = base + PAGE;
    void *bad = (void *)0x8000000000000000;

    out32(PCI_ADDRESS, PCI_VALUE);
    cell = (volatile uint32_t *)(LAPIC_BASE + APIC_TMICT);
    faults_with("MOVSD from MMIO to a page that is not there", move_to, far, VECTOR_PF, 2, (uintptr_t)far);
    faults_with("MOVSD from MMIO into it", move_to, far - 2, VECTOR_PF, 2, (uintptr_t)far);
    faults_with("MOVSD from MMIO to no canonical address", move_to, bad, VECTOR_GP, 0, 0);
    faults_with("REP INSD to a page that is not there", do_ins, far, VECTOR_PF, 2, (uintptr_t)far);
    faults_with("REP INSD into it", do_ins, far - 8, VECTOR_PF, 2, (uintptr_t)far);
    check("what REP INSD did before", PCI_VALUE, *(uint32_t *)(void *)(far - 4));
    faults_with("REP OUTSD from it", do_outs, far - 4, VECTOR_PF, 0, (uintptr_t)far);
    faults_with("REP INSD to no canonical address", do_ins, bad, VECTOR_GP, 0, 0);
    window_raw((uintptr_t)buffer | PTE_P | PTE_W, (uintptr_t)buffer | PTE_P);
    faults_with("MOVSD from MMIO to a read-only page", move_to, far, VECTOR_PF, 3, (uintptr_t)far);
    faults_with("REP INSD to a read-only page", do_ins, far, VECTOR_PF, 3, (uintptr_t)far);
}

static void unemulated(uint64_t kind)
{
    cell = (volatile uint32_t *)(LAPIC_BASE + APIC_TMICT);
    *cell = 1;
    print("hammer: unemulated %lu\n", kind);
    if (kind == 1)
        __asm__ volatile("paddd (%0), %%mm0; emms" : : "r"(cell) : "memory");
    else if (kind == 2)
        __asm__ volatile("addps (%0), %%xmm0" : : "r"(cell) : "memory");
    else if (kind == 3)
        __asm__ volatile("fildl (%0); fstp %%st(0)" : : "r"(cell) : "memory");
    else
        __asm__ volatile("call *%0" : : "r"(LAPIC_BASE) : "memory");
    print("hammer: unemulated %lu went through\n", kind);
}

void guest_main(void)
{
    uint64_t kind = guest_option("unemulated", 0);

    ones = guest_option("ones", 1);
    lapic_init(false);
    if (kind) {
        unemulated(kind);
        return;
    }
    string_ports();
    ports();
    hole();
    ioapic();
    lapic();
    lapic_write(APIC_LVTT, LVT_MASKED);
    lapic_write(APIC_TDCR, 0xa); /* divided by 128 */
    cell = (volatile uint32_t *)(LAPIC_BASE + APIC_TMICT);
    loads();
    stores();
    strings();
    branches();
    crossings();
    faults();
    print("hammer: IOAPIC, LAPIC, instructions, faults\n");
}
