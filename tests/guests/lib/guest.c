#include "tests/guests/lib/guest.h"

#define MULTIBOOT_LOADER  0x2badb002
#define MULTIBOOT_CMDLINE 4 /* in flags */
#define PVH_MAGIC         0x336ec578

#define PIC1_DATA  0x21
#define PIC2_DATA  0xa1
#define COM1       0x3f8
#define PIT_CH2    0x42
#define PIT_MODE   0x43
#define PORT_B     0x61
#define PORT_B_OUT 0x20
#define PIT_HZ     1193182
#define PIT_TICKS  3580 /* 3 ms: on a busy host, few longer ones are undisturbed */
#define PIT_COUNTS 30

extern uint32_t boot_magic, boot_info;
extern uint64_t boot_tsc;

struct pvh_start_info {
    uint32_t magic, version, flags, modules;
    uint64_t module_list, cmdline, rsdp;
};

struct multiboot_info {
    uint32_t flags, low, high, device, cmdline;
};

static const char *cmdline = "";
static uint64_t hz;

void guest_start(void);

static void find_cmdline(void)
{
    const struct multiboot_info *multiboot = (const void *)(uintptr_t)boot_info;
    const struct pvh_start_info *pvh = (const void *)(uintptr_t)boot_info;

    if (boot_magic == MULTIBOOT_LOADER) {
        if (multiboot->flags & MULTIBOOT_CMDLINE)
            cmdline = (const char *)(uintptr_t)multiboot->cmdline;
    } else if (pvh->magic == PVH_MAGIC) {
        if (pvh->cmdline)
            cmdline = (const char *)(uintptr_t)pvh->cmdline;
    } else {
        fail("magic number of the loader", PVH_MAGIC, boot_magic);
    }
}

void guest_serial_init(void)
{
    out8(COM1 + 1, 0);    /* no interrupts */
    out8(COM1 + 3, 0x80); /* DLAB */
    out8(COM1, 1);        /* 115200 Bd */
    out8(COM1 + 1, 0);
    out8(COM1 + 3, 3); /* 8N1 */
    out8(COM1 + 2, 7); /* FIFOs */
    out8(COM1 + 4, 3); /* DTR, RTS */
}

void guest_start(void)
{
    trap_init(0);
    out8(PIC1_DATA, 0xff);
    out8(PIC2_DATA, 0xff);
    guest_serial_init();
    find_cmdline();
    guest_main();
    print("%s: ok\n", guest_name);
    guest_exit(0);
}

const char *guest_cmdline(void)
{
    return cmdline;
}

uint64_t guest_option(const char *key, uint64_t otherwise)
{
    size_t n = strlen(key);
    uint64_t value = 0;

    for (const char *s = cmdline; *s; s++) {
        if ((s != cmdline && s[-1] != ' ') || memcmp(s, key, n) != 0 || s[n] != '=')
            continue;
        for (s += n + 1; *s >= '0' && *s <= '9'; s++)
            value = 10 * value + (uint64_t)(*s - '0');
        return value;
    }
    return otherwise;
}

uint64_t guest_began(void)
{
    return boot_tsc;
}

/* Channel 2 of the 8254 counts down once, gated by port B; its output rises at the end (82C54, mode 0). */
static uint64_t ticks_of_one_count(uint8_t port_b)
{
    uint64_t begin, end;

    out8(PORT_B, port_b);
    out8(PIT_MODE, 0xb0);
    out8(PIT_CH2, PIT_TICKS & 0xff);
    out8(PIT_CH2, PIT_TICKS >> 8);
    begin = rdtsc();
    out8(PORT_B, port_b | 1);
    while (!(in8(PORT_B) & PORT_B_OUT))
        pause();
    end = rdtsc();
    out8(PORT_B, port_b);
    return end - begin;
}

/* Whatever else a machine does makes a count look longer, and nothing makes it look shorter. */
uint64_t tsc_hz(void)
{
    uint64_t least = UINT64_MAX;

    if (hz)
        return hz;
    for (unsigned i = 0; i < PIT_COUNTS; i++) {
        uint64_t ticks = ticks_of_one_count(in8(PORT_B) & 0x0c);

        least = ticks < least ? ticks : least;
    }
    hz = least * PIT_HZ / PIT_TICKS;
    return hz;
}

void tsc_hz_known(uint64_t rate)
{
    hz = rate;
}

void delay_us(uint64_t us)
{
    uint64_t begin = rdtsc(), ticks = tsc_hz() / 1000 * us / 1000;

    while (rdtsc() - begin < ticks)
        pause();
}

bool wait_for(const volatile uint32_t *value, uint32_t wanted, unsigned ms)
{
    uint64_t begin = rdtsc(), ticks = tsc_hz() / 1000 * ms;

    while (*value != wanted)
        if (rdtsc() - begin > ticks)
            return *value == wanted;
        else
            pause();
    return true;
}

void lock_take(volatile uint32_t *lock)
{
    while (__atomic_exchange_n(lock, 1, __ATOMIC_ACQUIRE))
        while (*lock)
            pause();
}

void lock_release(volatile uint32_t *lock)
{
    __atomic_store_n(lock, 0, __ATOMIC_RELEASE);
}

void *memset(void *to, int byte, size_t n)
{
    void *at = to;

    __asm__ volatile("rep stosb" : "+D"(at), "+c"(n) : "a"(byte) : "memory");
    return to;
}

void *memcpy(void *to, const void *from, size_t n)
{
    void *at = to;

    __asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(n) : : "memory");
    return to;
}

int memcmp(const void *a, const void *b, size_t n)
{
    const uint8_t *x = a, *y = b;

    for (; n; n--, x++, y++)
        if (*x != *y)
            return *x - *y;
    return 0;
}

size_t strlen(const char *s)
{
    size_t n = 0;

    while (s[n])
        n++;
    return n;
}
