/* The keys of the config file and what takes their values: private to the parser. */
#ifndef USER_LIB_CONFIG_KEYS_H
#define USER_LIB_CONFIG_KEYS_H

#include "user/lib/config.h"

/* SKIP: below a header that was refused, so that its keys mean nothing. */
enum config_section { SECTION_NONE, SECTION_LAPWING, SECTION_GUEST, SECTION_SKIP };

/* What a section's values are for. */
struct config_target {
    struct config *config;
    struct config_guest *guest; /* in a guest's section only */
};

struct config_key_rule {
    enum config_section section;
    const char *name, *right;
    /* NULL, or where in the value it stops being right. */
    const char *(*set)(const struct config_target *target, const struct config_text *value);
};

extern const struct config_key_rule config_keys[CONFIG_KEYS];

/* The text from n bytes behind its start on. */
static inline struct config_text config_text_from(struct config_text text, uint32_t n)
{
    text.at += n;
    text.length -= n;
    text.place.column += n;
    return text;
}

#endif
