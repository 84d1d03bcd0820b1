#include "user/lib/config.h"

#include "lib/format.h"
#include "lib/string.h"
#include "user/lib/config_keys.h"
#include "user/lib/config_value.h"

#define MESSAGE_SIZE 320
#define QUOTE_MAX    40 /* bytes of the user's text that a message repeats */

struct parser {
    struct config_target target;
    const struct config_reporter *reporter;
    unsigned problems;
    enum config_section section;
};

static void problem(struct parser *parser, struct config_place place, const char *fmt, ...) PRINTF_LIKE(3, 4);
static void problem(struct parser *parser, struct config_place place, const char *fmt, ...)
{
    char message[MESSAGE_SIZE];
    va_list args;

    va_start(args, fmt);
    vformat(message, sizeof(message), fmt, args);
    va_end(args);
    parser->problems++;
    if (parser->section == SECTION_GUEST)
        parser->target.guest->bad = true;
    parser->reporter->report(parser->reporter->context, place, message);
}

/* For "%.*s". */
static int quote_length(const struct config_text *text)
{
    return (int)MIN(text->length, (uint32_t)QUOTE_MAX);
}

/* The names of a section's keys, as "a, b, c". */
static void list_keys(enum config_section section, char *out, size_t size)
{
    size_t used = 0;

    out[0] = '\0';
    for (unsigned i = 0; i < CONFIG_KEYS; i++) {
        if (config_keys[i].section == section && used < size)
            used += (size_t)format(out + used, size - used, "%s%s", used ? ", " : "", config_keys[i].name);
    }
}

static void unknown_key(struct parser *parser, const struct config_text *name)
{
    char list[128];

    for (unsigned i = 0; i < CONFIG_KEYS; i++) {
        if (config_text_is(name, config_keys[i].name)) {
            problem(parser, name->place, "\"%s\" belongs into a %s section", config_keys[i].name,
                    config_keys[i].section == SECTION_GUEST ? "[guest NAME]" : "[lapwing]");
            return;
        }
    }
    list_keys(parser->section, list, sizeof(list));
    problem(parser, name->place, "unknown key \"%.*s\": this section may have %s", quote_length(name), name->at, list);
}

static void parse_key(struct parser *parser, const struct config_text *name, const struct config_text *value)
{
    struct config_place *set =
        parser->section == SECTION_GUEST ? parser->target.guest->set : parser->target.config->set;
    unsigned i = 0;
    const char *wrong;

    while (i < CONFIG_KEYS && (config_keys[i].section != parser->section || !config_text_is(name, config_keys[i].name)))
        i++;
    if (i == CONFIG_KEYS) {
        unknown_key(parser, name);
        return;
    }
    if (set[i].line) {
        problem(parser, name->place, "\"%s\" is set in line %u already: keep one of the two", config_keys[i].name,
                set[i].line);
        return;
    }
    set[i] = value->place;
    if (value->length == 0 && i != CONFIG_CMDLINE) {
        problem(parser, value->place, "\"%s\" has no value: it is %s", config_keys[i].name, config_keys[i].right);
        return;
    }
    wrong = config_keys[i].set(&parser->target, value);
    if (wrong)
        problem(parser, config_text_from(*value, (uint32_t)(wrong - value->at)).place, "bad value for \"%s\": it is %s",
                config_keys[i].name, config_keys[i].right);
}

static void parse_assignment(struct parser *parser, const struct config_text *line)
{
    struct config_text name = *line, value;

    for (name.length = 0; name.length < line->length && line->at[name.length] != '=';)
        name.length++;
    if (name.length == line->length) {
        problem(parser, line->place, "this is no \"key = value\", no [section] and no comment, which starts with #");
        return;
    }
    value = config_trim(config_text_from(*line, name.length + 1));
    name = config_trim(name);
    if (name.length == 0)
        problem(parser, name.place, "there is no key before the =");
    else if (parser->section == SECTION_NONE)
        problem(parser, name.place, "a key before the first section: put [lapwing] or [guest NAME] above it");
    else
        parse_key(parser, &name, &value);
}

/* What can be said of a guest only when its section is complete. */
static void finish_section(struct parser *parser)
{
    const struct config_guest *guest = parser->target.guest;
    const struct config_place *initrd, *modules;

    if (parser->section != SECTION_GUEST)
        return;
    initrd = &guest->set[CONFIG_INITRD];
    modules = &guest->set[CONFIG_MODULES];
    if (!guest->set[CONFIG_IMAGE].line)
        problem(parser, guest->header, "this guest has no image: add \"image = FILE\"");
    if (initrd->line && modules->line)
        problem(parser, initrd->line > modules->line ? *initrd : *modules,
                "a guest has either an initrd (bzImage, PVH) or modules (multiboot1, PVH), not both: remove one");
    if (!guest->vm.lapic && guest->vm.vcpus > 1)
        problem(parser, guest->set[CONFIG_VCPUS],
                "without LAPICs only one vCPU can ever be started: set vcpus = 1 or lapic = on");
}

static void begin_lapwing(struct parser *parser, const struct config_text *line)
{
    if (parser->target.config->header.line) {
        problem(parser, line->place, "[lapwing] begins in line %u already: move these keys there",
                parser->target.config->header.line);
        return;
    }
    parser->target.config->header = line->place;
    parser->section = SECTION_LAPWING;
}

/* Letters, digits, '-', '_' and '.', the first a letter; and not what the hypervisor's own lines are marked with. */
static bool name_is_valid(const struct config_text *name)
{
    if (name->length == 0 || name->length >= ABI_NAME_SIZE || config_text_is(name, "lapwing"))
        return false;
    for (uint32_t i = 0; i < name->length; i++) {
        char c = name->at[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

        if (!letter && (i == 0 || ((c < '0' || c > '9') && c != '-' && c != '_' && c != '.')))
            return false;
    }
    return true;
}

static void begin_guest(struct parser *parser, const struct config_text *line, const struct config_text *name)
{
    struct config *config = parser->target.config;
    struct config_guest *guest = &config->guests[config->guest_count];

    if (config->guest_count == ABI_MAX_VMS) {
        problem(parser, line->place, "too many guests: there may be " CONFIG_STRING(ABI_MAX_VMS));
        return;
    }
    *guest = (struct config_guest){
        .vm = {.memory = CONFIG_MEMORY_DEFAULT,
               .vcpus = 1,
               .weight = 100,
               .cpu_limit = ABI_NO_CPU_LIMIT,
               .lapic = 1,
               .acceleration = 1,
               .image = -1,
               .initrd = -1},
        .header = line->place,
    };
    memset(guest->vm.modules, 0xff, sizeof(guest->vm.modules));
    config->guest_count++;
    parser->target.guest = guest;
    parser->section = SECTION_GUEST;
    if (!name_is_valid(name)) {
        problem(parser, name->place,
                "bad guest name: it is a letter and up to 30 letters, digits, \"-\", \"_\" and \".\", not \"lapwing\"");
        return;
    }
    memcpy(guest->vm.name, name->at, name->length);
    for (const struct config_guest *other = config->guests; other < guest; other++) {
        if (config_text_is(name, other->vm.name)) {
            problem(parser, name->place, "there is a guest \"%s\" in line %u already: rename one", other->vm.name,
                    other->header.line);
            return;
        }
    }
}

/* Called in SECTION_SKIP, which stays if the header is refused. */
static void parse_header(struct parser *parser, const struct config_text *line)
{
    struct config_text inner = *line;

    if (line->at[line->length - 1] != ']') {
        problem(parser, line->place, "a section begins with [lapwing] or [guest NAME] alone on its line");
        return;
    }
    inner.length--;
    inner = config_trim(config_text_from(inner, 1));
    if (config_text_is(&inner, "lapwing")) {
        begin_lapwing(parser, line);
    } else if (inner.length >= 5 && memcmp(inner.at, "guest", 5) == 0 &&
               (inner.length == 5 || config_is_blank(inner.at[5]))) {
        struct config_text name = config_trim(config_text_from(inner, 5));

        begin_guest(parser, line, &name);
    } else {
        problem(parser, inner.place, "unknown section \"%.*s\": there are [lapwing] and [guest NAME]",
                quote_length(&inner), inner.at);
    }
}

/* How many bytes the UTF-8 character at the start of the text has; 0: it is none. */
static uint32_t utf8_length(const struct config_text *text)
{
    const uint8_t *s = (const uint8_t *)text->at;
    uint32_t size = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : s[0] < 0xf5 ? 4 : 0;

    if (size > text->length)
        return 0;
    for (uint32_t i = 1; i < size; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    }
    return size;
}

/* Its lines appear on a terminal, and its names have to be those of files. */
static bool is_utf8(struct parser *parser, const struct config_text *line)
{
    for (uint32_t i = 0; i < line->length;) {
        struct config_text rest = config_text_from(*line, i);
        uint32_t length = utf8_length(&rest);

        if (length == 0) {
            problem(parser, rest.place, "byte 0x%02x: this is no UTF-8; write it as such, or without it",
                    (uint8_t)rest.at[0]);
            return false;
        }
        i += length;
    }
    return true;
}

/* False: reported, and the line means nothing. */
static bool check_bytes(struct parser *parser, const struct config_text *line)
{
    if (line->length > CONFIG_LINE_MAX) {
        problem(parser, config_text_from(*line, CONFIG_LINE_MAX).place,
                "this line is too long: a line has at most " CONFIG_STRING(CONFIG_LINE_MAX) " bytes");
        return false;
    }
    for (uint32_t i = 0; i < line->length; i++) {
        uint8_t c = (uint8_t)line->at[i];

        if ((c < 0x20 && c != '\t') || c == 0x7f) {
            problem(parser, config_text_from(*line, i).place, "control character 0x%02x: remove it", c);
            return false;
        }
    }
    return is_utf8(parser, line);
}

static void parse_line(struct parser *parser, struct config_text raw)
{
    struct config_text line;

    if (raw.length > 0 && raw.at[raw.length - 1] == '\r')
        raw.length--;
    line = config_trim(raw);
    if (line.length > 0 && line.at[0] == '[') {
        /* Whatever is wrong with a header, it is no fault of the section above, and what follows belongs below it. */
        finish_section(parser);
        parser->section = SECTION_SKIP;
    }
    if (!check_bytes(parser, &raw) || line.length == 0 || line.at[0] == '#' || line.at[0] == ';')
        return;
    if (line.at[0] == '[')
        parse_header(parser, &line);
    else if (parser->section != SECTION_SKIP)
        parse_assignment(parser, &line);
}

unsigned config_parse(struct config *config, const char *text, size_t size, const struct config_reporter *reporter)
{
    struct parser parser = {.target = {.config = config}, .reporter = reporter};
    struct config_place place = {1, 1};
    const char *end = text + size;

    memset(config, 0, offsetof(struct config, guests));
    config->escape = CONFIG_ESCAPE_DEFAULT;
    config->width = CONFIG_WIDTH_DEFAULT;
    config->log = CONFIG_LOG_INFO;
    if (size >= 2 && (memcmp(text, "\xff\xfe", 2) == 0 || memcmp(text, "\xfe\xff", 2) == 0)) {
        problem(&parser, place, "this file is UTF-16: save it as UTF-8 or ASCII");
        return parser.problems;
    }
    if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) /* a byte-order mark of UTF-8 says nothing */
        text += 3;
    for (; text < end; place.line++) {
        size_t length = 0;

        while (text + length < end && text[length] != '\n')
            length++;
        parse_line(&parser, (struct config_text){text, (uint32_t)MIN(length, (size_t)UINT32_MAX), place});
        text += length + (text + length < end);
    }
    finish_section(&parser);
    parser.section = SECTION_NONE;
    if (config->guest_count == 0)
        problem(&parser, (struct config_place){1, 1}, "there is no guest: add a [guest NAME] section");
    return parser.problems;
}
