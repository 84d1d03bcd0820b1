#include "user/lib/config_value.h"

#include "lib/format.h"
#include "lib/string.h"

bool config_is_blank(char c)
{
    return c == ' ' || c == '\t';
}

struct config_text config_trim(struct config_text text)
{
    while (text.length > 0 && config_is_blank(text.at[0])) {
        text.at++;
        text.length--;
        text.place.column++;
    }
    while (text.length > 0 && config_is_blank(text.at[text.length - 1]))
        text.length--;
    return text;
}

bool config_text_is(const struct config_text *text, const char *string)
{
    size_t length = strlen(string);

    return text->length == length && memcmp(text->at, string, length) == 0;
}

/* Digits at *at, which moves behind them. False: there is none, or the number is more than max. */
static bool take_number(const char **at, const char *end, uint64_t max, uint64_t *value)
{
    const char *start = *at;

    for (*value = 0; *at < end && **at >= '0' && **at <= '9'; (*at)++) {
        uint64_t digit = (uint64_t)(**at - '0');

        if (*value > (max - digit) / 10) {
            *at = start;
            return false;
        }
        *value = *value * 10 + digit;
    }
    return *at > start;
}

const char *config_value_number(const struct config_text *text, uint32_t min, uint32_t max, uint32_t *value)
{
    const char *at = text->at, *end = at + text->length;
    uint64_t number;

    if (!take_number(&at, end, max, &number))
        return at;
    if (at < end)
        return at;
    if (number < min)
        return text->at;
    *value = (uint32_t)number;
    return NULL;
}

/* As config_size; otherwise where it goes wrong. */
static const char *take_size(const char *at, const char *end, uint64_t *size)
{
    const char *start = at;
    unsigned shift = 0;

    if (!take_number(&at, end, UINT64_MAX, size))
        return at;
    if (at < end) {
        shift = *at == 'K' ? 10 : *at == 'M' ? 20 : *at == 'G' ? 30 : 0;
        if (shift == 0 || at + 1 < end)
            return shift == 0 ? at : at + 1;
    }
    if (*size > UINT64_MAX >> shift)
        return start;
    *size <<= shift;
    return NULL;
}

bool config_size(const char *at, size_t length, uint64_t *size)
{
    return take_size(at, at + length, size) == NULL;
}

void config_size_text(char out[CONFIG_SIZE_TEXT], uint64_t size)
{
    static const char units[] = {'G', 'M', 'K'};

    for (unsigned i = 0; i < ARRAY_SIZE(units); i++) {
        uint64_t unit = 1ull << (30 - 10 * i);

        if (size >= unit && size % unit == 0) {
            format(out, CONFIG_SIZE_TEXT, "%llu%c", (unsigned long long)(size / unit), units[i]);
            return;
        }
    }
    format(out, CONFIG_SIZE_TEXT, "%llu", (unsigned long long)size);
}

const char *config_value_memory(const struct config_text *text, uint64_t *value)
{
    uint64_t size;
    const char *wrong = take_size(text->at, text->at + text->length, &size);

    if (wrong)
        return wrong;
    if (size < ABI_MIN_MEMORY || size > ABI_MAX_MEMORY || size % PAGE_SIZE != 0)
        return text->at;
    *value = size;
    return NULL;
}

const char *config_value_word(const struct config_text *text, const char *const *words, unsigned count, uint8_t *value)
{
    for (unsigned i = 0; i < count; i++) {
        if (config_text_is(text, words[i])) {
            *value = (uint8_t)i;
            return NULL;
        }
    }
    return text->at;
}

const char *config_value_cpus(const struct config_text *text, uint64_t cpus[ABI_MAX_CPUS / 64])
{
    const char *at = text->at, *end = at + text->length;

    memset(cpus, 0, ABI_MAX_CPUS / 8);
    for (;;) {
        const char *item;
        uint64_t first, last;

        while (at < end && config_is_blank(*at))
            at++;
        item = at;
        if (!take_number(&at, end, ABI_MAX_CPUS - 1, &first))
            return at;
        last = first;
        if (at < end && *at == '-') {
            at++;
            if (!take_number(&at, end, ABI_MAX_CPUS - 1, &last))
                return at;
        }
        if (last < first)
            return item;
        for (uint64_t cpu = first; cpu <= last; cpu++) {
            if (cpus[cpu / 64] & BIT(cpu % 64))
                return item;
            cpus[cpu / 64] |= BIT(cpu % 64);
        }
        while (at < end && config_is_blank(*at))
            at++;
        if (at == end)
            return NULL;
        if (*at != ',')
            return at;
        at++;
    }
}

const char *config_value_escape(const struct config_text *text, uint8_t *value)
{
    char key;

    if (text->length != 6 || memcmp(text->at, "ctrl-", 5) != 0)
        return text->at;
    key = text->at[5];
    /* Ctrl-H, I, J, M and [ are what Backspace, Tab, Enter and the cursor keys send. */
    if (key == 'h' || key == 'i' || key == 'j' || key == 'm')
        return text->at + 5;
    if ((key < 'a' || key > 'z') && (key < '\\' || key > '_'))
        return text->at + 5;
    *value = (uint8_t)key & 0x1f;
    return NULL;
}

const char *config_value_file(const struct config_text *text, struct config_text *name)
{
    if (config_text_is(text, CONFIG_MODULE_NAME))
        return text->at;
    for (uint32_t i = 0; i < text->length; i++) {
        char c = text->at[i];

        if (config_is_blank(c) || c == '\'' || c == '"' || c == '\\' || i == ABI_MODULE_NAME_SIZE - 1)
            return text->at + i;
    }
    *name = *text;
    return NULL;
}

const char *config_value_string(const struct config_text *text, char *out, size_t size)
{
    if (text->length >= size)
        return text->at + size - 1;
    memcpy(out, text->at, text->length);
    out[text->length] = '\0';
    return NULL;
}
