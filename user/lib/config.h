/*
 * The config file: docs/config.md describes it to users. The same code runs in the control world and on the host. It
 * allocates nothing, calls no system, and trusts neither the text nor its length.
 */
#ifndef USER_LIB_CONFIG_H
#define USER_LIB_CONFIG_H

#include "abi/abi.h"

/* A place in the text, both from 1; a column is a byte. line 0: nowhere. */
struct config_place {
    uint32_t line, column;
};

/* A part of the text, which the caller of config_parse keeps. Not NUL-terminated. length 0: not given. */
struct config_text {
    const char *at;
    uint32_t length;
    struct config_place place;
};

#define CONFIG_STRING_(x)     #x
#define CONFIG_STRING(x)      CONFIG_STRING_(x)
#define CONFIG_MODULE_NAME    "lapwing.conf" /* the boot module that is the config file */
#define CONFIG_LINE_MAX       4095           /* bytes without the line's end */
#define CONFIG_MODULES_MAX    16
#define CONFIG_MEMORY_DEFAULT (256ull << 20)
#define CONFIG_ESCAPE_DEFAULT 0x1d /* Ctrl-] */
#define CONFIG_WIDTH_DEFAULT  80
#define CONFIG_WIDTH_MIN      40 /* the longest name and a few columns of text */
#define CONFIG_WIDTH_MAX      1000

#define CONFIG_FILE_NAME                                                                                               \
    "file name of at most 127 bytes, without blanks, quotes and backslashes, and not " CONFIG_MODULE_NAME
#define CONFIG_FILE_LIST                                                                                               \
    "up to 16 file names, each a " CONFIG_FILE_NAME ", separated by commas, "                                          \
    "with up to 2047 bytes of arguments in all, such as \"a arg1, b\""

/* Every key that there is. X(section, ID, name, what would be right); set_ID in config.c takes the value. */
#define CONFIG_KEY_TABLE(X)                                                                                            \
    X(LAPWING, WIDTH, "width", "the terminal's columns, a number from 40 to 1000")                                     \
    X(LAPWING, ESCAPE, "escape", "ctrl- and one of a-g, k, l, n-z, \\, ], ^ or _, such as ctrl-]")                     \
    X(LAPWING, LOG, "log", "error, warning, info or debug")                                                            \
    X(LAPWING, ON_END, "on-end", "poweroff, reboot or stay")                                                           \
    X(GUEST, IMAGE, "image", "one " CONFIG_FILE_NAME)                                                                  \
    X(GUEST, INITRD, "initrd", "one " CONFIG_FILE_NAME)                                                                \
    X(GUEST, MODULES, "modules", CONFIG_FILE_LIST)                                                                     \
    X(GUEST, CMDLINE, "cmdline", "at most 2047 bytes")                                                                 \
    X(GUEST, MEMORY, "memory", "a size from 2M to 512G in steps of 4K, such as 512M")                                  \
    X(GUEST, VCPUS, "vcpus", "a number from 1 to " CONFIG_STRING(ABI_MAX_VCPUS))                                       \
    X(GUEST, CPUS, "cpus", "CPUs below " CONFIG_STRING(ABI_MAX_CPUS) ", each once, such as 0-1,3")                     \
    X(GUEST, WEIGHT, "weight", "a number from 1 to " CONFIG_STRING(ABI_MAX_WEIGHT) " (100 is usual)")                  \
    X(GUEST, CPU_LIMIT, "cpu-limit", "a percent of one CPU, from 1 to 25600, such as 150 for one and a half")          \
    X(GUEST, LAPIC, "lapic", "on or off")                                                                              \
    X(GUEST, LAPIC_ACCELERATION, "lapic-acceleration", "on or off")                                                    \
    X(GUEST, EXIT_DEVICE, "exit-device", "on or off")                                                                  \
    X(GUEST, ON_EXIT, "on-exit", "stop or restart")

enum config_key {
#define X(section, id, name, right) CONFIG_##id,
    CONFIG_KEY_TABLE(X)
#undef X
        CONFIG_KEYS
};

/* The key's name in the file, such as "on-exit". */
const char *config_key_name(enum config_key key);

enum config_on_end { CONFIG_POWEROFF, CONFIG_REBOOT, CONFIG_STAY };

/* A log line is shown if its level is this or less. */
enum config_log { CONFIG_LOG_ERROR, CONFIG_LOG_WARNING, CONFIG_LOG_INFO, CONFIG_LOG_DEBUG };

struct config_guest {
    struct abi_vm_config vm; /* image, initrd and modules[] are -1 until config_resolve */
    struct config_text image, initrd, modules[CONFIG_MODULES_MAX];
    struct config_place header;           /* of its section */
    struct config_place set[CONFIG_KEYS]; /* of each key's value */
    bool bad;                             /* something in its section is wrong: do not start it */
};

struct config {
    uint32_t width; /* columns of the terminal */
    uint8_t escape; /* the byte that the escape key sends */
    uint8_t log;    /* enum config_log */
    uint8_t on_end; /* enum config_on_end */
    struct config_place header;
    struct config_place set[CONFIG_KEYS];
    uint32_t guest_count; /* the bad ones among them */
    struct config_guest guests[ABI_MAX_VMS];
};

/* Who hears of problems: one call for each, the message in one line without a newline, valid during the call. */
struct config_reporter {
    void (*report)(void *context, struct config_place place, const char *message);
    void *context;
};

/*
 * Read the whole file. Each problem is reported and reading goes on behind it; a guest with a problem is marked bad and
 * the others are whole. Returns how many problems there were. *config is written only, and refers to text.
 */
unsigned config_parse(struct config *config, const char *text, size_t size, const struct config_reporter *reporter);

#define CONFIG_MEMORY_UNKNOWN UINT64_MAX /* not checked */

/* What the machine has. */
struct config_machine {
    uint64_t memory; /* bytes for all guests together, looked at when all names are found */
    uint32_t cpus;   /* 0: not known, not checked */
    /* The number of the file or boot module with that name, or negative if there is none. Of one that is there,
     * once. */
    int32_t (*find)(void *context, const struct config_text *name);
    void *context;
    const char *missing; /* what is wrong with the name that find did not know, and what to do; find may set it */
};

/*
 * Fit what config_parse gave to the machine: look up every name, count the boot modules, check CPUs and memory. A guest
 * that does not fit is reported and marked bad; memory is given in the order of the file and in steps of 2 MiB, as root
 * gives it. Returns how many problems there were.
 */
unsigned config_resolve(struct config *config, const struct config_machine *machine,
                        const struct config_reporter *reporter);

/* A size such as 4096, 64K, 512M or 2G, without a sign or blanks. False: it is none, or is 2^64 or more. */
bool config_size(const char *at, size_t length, uint64_t *size);

/* The size as a user would write it, such as 512M, into out. */
#define CONFIG_SIZE_TEXT 24
void config_size_text(char out[CONFIG_SIZE_TEXT], uint64_t size);

#endif
