/*
 * The control world's outside for host tests: user/control/os.h by a small model of root. Include it in one file of a
 * test. VMs "run" until the test ends them; the console and the log are strings.
 */
#ifndef TESTS_UNIT_FAKE_OS_H
#define TESTS_UNIT_FAKE_OS_H

#include <stdio.h>
#include <string.h>

#include "user/control/os.h"

#define FAKE_HZ   1000000ull /* TSC ticks per second */
#define FAKE_TEXT (1u << 18)
#define FAKE_VMS  8

struct fake_vm {
    bool exists, stopped;
    struct abi_vm_config config;
    struct abi_vm_info info;
    struct abi_console console;
    unsigned notified;
};

static struct fake_os {
    uint64_t now;
    uint8_t buffer[ABI_BUFFER_SIZE];
    struct abi_info info;
    char console[FAKE_TEXT]; /* all that was written to the console, NUL-terminated */
    size_t console_length, console_seen;
    size_t console_room; /* bytes the console takes before it is full; a PARK makes room for 16 */
    bool console_limited;
    char typed[16384]; /* what the keyboard has for us */
    size_t typed_length, typed_at;
    struct abi_log_line log[4096];
    size_t log_count;
    uint64_t log_first; /* number of log[0] */
    void (*at_log_read)(void);
    struct fake_vm vms[FAKE_VMS];
    struct abi_vm_config config; /* being built */
    int create_error;            /* if not 0: the answer to VM_CREATE */
    unsigned creates, destroys, parks, halts, resets;
    struct {
        uint16_t port;
        uint8_t size;
        uint32_t value;
    } out[16]; /* PORT_OUT */
    unsigned outs;
    uint8_t memory[8192]; /* physical memory from FAKE_MEMORY on */
    uint64_t park_deadline;
    void (*at_park)(void); /* happens once, during the next PARK */
    void (*at_console_write)(void);
} fake;

#define FAKE_MEMORY 0xe0000ull

static inline void fake_reset(void)
{
    memset(&fake, 0, sizeof(fake));
    fake.now = 1000 * FAKE_HZ;
    fake.info.tsc_hz = FAKE_HZ;
    fake.info.cpu_count = 4;
}

/* A boot module, with the text that the test keeps. */
static inline void fake_module(const char *name, const char *text)
{
    struct abi_module *module = &fake.info.modules[fake.info.module_count++];

    snprintf(module->name, sizeof(module->name), "%s", name);
    module->address = (uint64_t)(uintptr_t)text;
    module->size = strlen(text);
}

/* A line of the log. */
static inline void fake_log(unsigned level, const char *text)
{
    struct abi_log_line *line = &fake.log[fake.log_count];

    line->number = fake.log_first + fake.log_count++;
    line->level = (uint8_t)level;
    line->length = (uint8_t)snprintf(line->text, ABI_LOG_TEXT + 1, "%s", text);
}

static inline void fake_type(const char *text)
{
    size_t n = strlen(text);

    memcpy(fake.typed + fake.typed_length, text, n);
    fake.typed_length += n;
}

static inline void fake_end(unsigned vm, enum abi_end reason, uint32_t status)
{
    fake.vms[vm].info.state = ABI_VM_ENDED;
    fake.vms[vm].info.end_reason = reason;
    fake.vms[vm].info.end_status = status;
    fake.vms[vm].info.ended_tsc = fake.now;
}

/* A guest prints, as far as its ring takes it: how many bytes. */
static inline uint32_t fake_print(unsigned vm, const char *text)
{
    struct abi_ring *ring = &fake.vms[vm].console.out;
    uint32_t n = 0;

    for (; text[n] && ring->head - ring->tail < ABI_RING_SIZE; n++)
        ring->data[ring->head++ % ABI_RING_SIZE] = (uint8_t)text[n];
    return n;
}

/* What the guest's keyboard ring holds, taken out. */
static inline const char *fake_input(unsigned vm)
{
    static char text[ABI_RING_SIZE + 1];
    struct abi_ring *ring = &fake.vms[vm].console.in;
    size_t n = 0;

    while (ring->tail != ring->head)
        text[n++] = (char)ring->data[ring->tail++ % ABI_RING_SIZE];
    text[n] = '\0';
    return text;
}

/* What was written to the console since the last call. */
static inline const char *fake_console(void)
{
    const char *text = fake.console + fake.console_seen;

    fake.console_seen = fake.console_length;
    return text;
}

static inline int64_t fake_create(void)
{
    fake.creates++;
    if (fake.create_error)
        return fake.create_error;
    for (unsigned i = 0; i < FAKE_VMS; i++) {
        struct fake_vm *vm = &fake.vms[i];

        if (vm->exists)
            continue;
        memset(vm, 0, sizeof(*vm));
        vm->exists = true;
        vm->config = fake.config;
        vm->info.state = ABI_VM_RUNNING;
        vm->info.created_tsc = vm->info.booted_tsc = fake.now;
        vm->info.memory = fake.config.memory;
        vm->info.exits = 42;
        return i;
    }
    return E_BUSY;
}

static inline int64_t fake_console_write(size_t length)
{
    if (fake.at_console_write)
        fake.at_console_write();
    if (fake.console_limited) {
        length = MIN(length, fake.console_room);
        fake.console_room -= length;
    }
    memcpy(fake.console + fake.console_length, fake.buffer, length);
    fake.console_length += length;
    fake.console[fake.console_length] = '\0';
    return (int64_t)length;
}

static inline int64_t fake_console_read(size_t max)
{
    size_t n = MIN(max, fake.typed_length - fake.typed_at);

    memcpy(fake.buffer, fake.typed + fake.typed_at, n);
    fake.typed_at += n;
    return (int64_t)n;
}

static inline int64_t fake_log_read(uint64_t number)
{
    uint64_t n = MAX(number, fake.log_first) - fake.log_first;

    if (fake.at_log_read)
        fake.at_log_read();
    if (n >= fake.log_count)
        return 0;
    memcpy(fake.buffer, &fake.log[n], sizeof(fake.log[n]));
    return 1;
}

static inline int64_t fake_vm_call(enum abi_syscall number, struct fake_vm *vm, uint64_t b, uint64_t c)
{
    static struct abi_vcpu_info vcpu = {.mp_state = ABI_MP_HALTED, .where = 2, .cpu = 1};

    if (!vm->exists)
        return E_NOENT;
    switch (number) {
    case SYS_VM_NOTIFY:
        vm->notified++;
        return OK;
    case SYS_VM_STOP:
        if (vm->info.state != ABI_VM_ENDED)
            fake_end((unsigned)(vm - fake.vms), (enum abi_end)b, (uint32_t)c);
        return OK;
    case SYS_VM_DESTROY:
        fake.destroys++;
        vm->exists = false;
        memset(&vm->console, 0xff, sizeof(vm->console)); /* it is not ours any more */
        return OK;
    case SYS_VM_PAUSE:
    case SYS_VM_RESUME:
        vm->info.paused = number == SYS_VM_PAUSE;
        return OK;
    case SYS_VCPU_INFO:
        vcpu.exits[ABI_EXIT_HLT] = 7;
        vcpu.apic_id = (uint32_t)b;
        memcpy(fake.buffer, &vcpu, sizeof(vcpu));
        return OK;
    default:
        memcpy(fake.buffer, &vm->info, sizeof(vm->info));
        return OK;
    }
}

static inline int64_t fake_machine_call(enum abi_syscall number, uint64_t a, uint64_t b, uint64_t c)
{
    struct abi_system_info system = {.guest_memory_total = 1ull << 30, .guest_memory_free = 1ull << 30};

    switch (number) {
    case SYS_SYSTEM_INFO:
        memcpy(fake.buffer, &system, sizeof(system));
        return OK;
    case SYS_PORT_IN:
        return 1; /* SCI_EN */
    case SYS_PORT_OUT:
        fake.out[fake.outs].port = (uint16_t)a;
        fake.out[fake.outs].size = (uint8_t)b;
        fake.out[fake.outs++].value = (uint32_t)c;
        return OK;
    case SYS_PHYS_READ:
        if (a < FAKE_MEMORY || b > sizeof(fake.memory) || a - FAKE_MEMORY > sizeof(fake.memory) - b)
            return E_PERM;
        memcpy(fake.buffer, fake.memory + (a - FAKE_MEMORY), b);
        return (int64_t)b;
    case SYS_HALT:
        fake.halts++;
        return OK;
    case SYS_RESET:
        fake.resets++;
        return OK;
    default:
        return E_NOSYS;
    }
}

int64_t os_call(enum abi_syscall number, uint64_t a, uint64_t b, uint64_t c)
{
    switch (number) {
    case SYS_PARK:
        fake.parks++;
        fake.park_deadline = a;
        fake.console_room += 16;
        if (fake.at_park) {
            fake.at_park();
            fake.at_park = NULL;
        }
        if (a != NEVER)
            fake.now = MAX(fake.now, a);
        return OK;
    case SYS_CONSOLE_WRITE:
        return fake_console_write(a);
    case SYS_CONSOLE_READ:
        return fake_console_read(a);
    case SYS_LOG_READ:
        return fake_log_read(a);
    case SYS_VM_CONFIG:
        if (a + b > sizeof(fake.config))
            return E_RANGE;
        memcpy((uint8_t *)&fake.config + a, fake.buffer, b);
        return OK;
    case SYS_VM_CREATE:
        return fake_create();
    case SYS_VM_NOTIFY:
    case SYS_VM_STOP:
    case SYS_VM_DESTROY:
    case SYS_VM_PAUSE:
    case SYS_VM_RESUME:
    case SYS_VM_INFO:
    case SYS_VCPU_INFO:
        return a < FAKE_VMS ? fake_vm_call(number, &fake.vms[a], b, c) : E_NOENT;
    default:
        return fake_machine_call(number, a, b, c);
    }
}

uint8_t *os_buffer(void) { return fake.buffer; }

uint64_t os_now(void) { return fake.now; }

const struct abi_info *os_info(void) { return &fake.info; }

struct abi_console *os_console(unsigned vm) { return &fake.vms[vm].console; }

const char *os_module(const struct abi_module *module) { return (const char *)(uintptr_t)module->address; }

#endif
