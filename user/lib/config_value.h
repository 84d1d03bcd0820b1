/*
 * Values of the config file. Each function returns NULL if the whole text is such a value, otherwise where in the text
 * it stops being one; then nothing, or only a part of the result, was written.
 */
#ifndef USER_LIB_CONFIG_VALUE_H
#define USER_LIB_CONFIG_VALUE_H

#include "user/lib/config.h"

/* Blanks are space and tab. */
bool config_is_blank(char c);

/* Without blanks at both ends. */
struct config_text config_trim(struct config_text text);

bool config_text_is(const struct config_text *text, const char *string);

/* A decimal number in [min, max]. */
const char *config_value_number(const struct config_text *text, uint32_t min, uint32_t max, uint32_t *value);

/* A size in [ABI_MIN_MEMORY, ABI_MAX_MEMORY] in steps of 4 KiB. */
const char *config_value_memory(const struct config_text *text, uint64_t *value);

/* One of the count words: *value is its number. */
const char *config_value_word(const struct config_text *text, const char *const *words, unsigned count, uint8_t *value);

/* Numbers and ranges below ABI_MAX_CPUS, separated by commas, none twice. */
const char *config_value_cpus(const struct config_text *text, uint64_t cpus[ABI_MAX_CPUS / 64]);

/* "ctrl-" and a key that terminals send for nothing else: *value is the byte it sends. */
const char *config_value_escape(const struct config_text *text, uint8_t *value);

/*
 * A name that a boot module can have: not too long, nor that of the config file. No blanks, which end it; and no quotes
 * and backslashes: GRUB puts a backslash before each of them in a module's command line.
 */
const char *config_value_file(const struct config_text *text, struct config_text *name);

/* Text of less than size bytes, copied with a NUL. */
const char *config_value_string(const struct config_text *text, char *out, size_t size);

#endif
