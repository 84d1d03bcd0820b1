/* What the loader of a device world would refuse: found by the loader itself, into memory of which no guest is made. */
#ifndef TOOLS_CHECK_IMAGE_H
#define TOOLS_CHECK_IMAGE_H

#include "user/lib/config.h"

#define CHECK_MESSAGE_SIZE 320

/*
 * A guest whose section is right, with the host's paths of its files (initrd NULL: none). False: it cannot be loaded;
 * message says why, and *key is what in the section is to be changed.
 */
bool check_image(const struct config_guest *guest, const char *image, const char *initrd, char *const modules[],
                 char message[CHECK_MESSAGE_SIZE], enum config_key *key);

#endif
