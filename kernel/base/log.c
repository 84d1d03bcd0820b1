#include "kernel/base/log.h"

#include "kernel/base/logring.h"
#include "kernel/base/serial.h"
#include "kernel/base/spinlock.h"
#include "kernel/base/time.h"
#include "lib/format.h"
#include "lib/string.h"

static struct {
    struct spinlock lock;
    struct logring ring;
    bool indirect; /* control prints the lines that come from now on */
} logger;

static void line_to(unsigned part, enum log_level level, const char *fmt, va_list args)
{
    struct abi_log_line *line = logring_add(&logger.ring, part);
    int n = vformat(line->text, ABI_LOG_TEXT + 1, fmt, args);

    line->level = (uint8_t)level;
    line->length = (uint8_t)MIN(MAX(n, 0), ABI_LOG_TEXT);
    for (uint32_t i = 0; i < line->length; i++) {
        if ((uint8_t)line->text[i] < ' ' || line->text[i] == 0x7f)
            line->text[i] = '?';
    }

    if (!logger.indirect) {
        serial_write("lapwing| ", 9);
        serial_write(line->text, line->length);
        serial_write("\r\n", 2);
    }
}

/* A line of root's own. */
static void line(enum log_level level, const char *fmt, va_list args)
{
    line_to(logger.indirect ? LOGRING_ROOT : LOGRING_START, level, fmt, args);
}

void log_line(enum log_level level, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    spin_lock(&logger.lock);
    line(level, fmt, args);
    spin_unlock(&logger.lock);
    va_end(args);
}

void log_vm_line(uint32_t vm, enum log_level level, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    spin_lock(&logger.lock);
    line_to(LOGRING_VM(vm), level, fmt, args);
    spin_unlock(&logger.lock);
    va_end(args);
}

/* As log_vm_line(), but the caller holds logger.lock. */
static void vm_line(uint32_t vm, enum log_level level, const char *fmt, ...) PRINTF_LIKE(3, 4);
static void vm_line(uint32_t vm, enum log_level level, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    line_to(LOGRING_VM(vm), level, fmt, args);
    va_end(args);
}

static void say_dropped(uint32_t vm, const char *name, uint32_t dropped)
{
    vm_line(vm, LOG_WARNING, "guest %s: %u lines of its device world dropped", name, dropped);
}

bool log_world_line(uint32_t vm, const char *name, struct log_budget *budget, enum log_level level, const char *text,
                    uint32_t length)
{
    uint32_t dropped = 0;
    bool taken = true;

    spin_lock(&logger.lock);
    switch (log_budget_take(budget, tsc_now(), tsc_hz(), &dropped)) {
    case LOG_TAKE_LATE:
        say_dropped(vm, name, dropped);
        /* fall through */
    case LOG_TAKE:
        vm_line(vm, level, "world of %s: %.*s", name, (int)length, text);
        break;
    case LOG_DROP_FIRST:
        vm_line(vm, LOG_WARNING, "guest %s: its device world logs too much: lines are dropped", name);
        break;
    case LOG_DROP:
        taken = false;
        break;
    }

    spin_unlock(&logger.lock);
    return taken;
}

void log_world_end(uint32_t vm, const char *name, const struct log_budget *budget)
{
    if (!budget->dropped)
        return;
    spin_lock(&logger.lock);
    say_dropped(vm, name, budget->dropped);
    spin_unlock(&logger.lock);
}

bool log_read(uint64_t number, struct abi_log_line *out)
{
    spin_lock(&logger.lock);

    const struct abi_log_line *found = logring_find(&logger.ring, number);
    if (found)
        *out = *found;

    spin_unlock(&logger.lock);
    return found != NULL;
}

uint64_t log_hand_over(void)
{
    spin_lock(&logger.lock);
    logger.indirect = true;
    uint64_t printed = logger.ring.end;
    spin_unlock(&logger.lock);
    return printed;
}

void log_take_over(void)
{
    logger.indirect = false;
    serial_write("\r\n", 2);
}

void log_last(const char *fmt, va_list args)
{
    line(LOG_ERROR, fmt, args);
}
