/* Tables that the prompt's commands print. */
#ifndef USER_CONTROL_SHOW_H
#define USER_CONTROL_SHOW_H

#include "user/control/guests.h"

void show_guests(struct mux *mux, const struct guests *guests);

/* Of one guest: two lines for each vCPU. */
void show_vcpus(struct mux *mux, const struct guest *guest);

void show_memory(struct mux *mux, const struct guests *guests);

#endif
