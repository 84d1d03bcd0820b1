/*
 * Tables that the prompt's commands print. A table may be long and the console slow, so that control prints it a row at
 * a time and sees to everything else between the rows.
 */
#ifndef USER_CONTROL_GUESTS_SHOW_H
#define USER_CONTROL_GUESTS_SHOW_H

#include "user/control/guests/guests.h"

enum show_table { SHOW_NOTHING, SHOW_GUESTS, SHOW_VCPUS, SHOW_MEMORY };

struct show {
    enum show_table table; /* what is being printed */
    bool begun;            /* its head is printed */
    unsigned guest;        /* the next row: of this index in the list */
    unsigned vcpu;         /* VCPUS: and of this vCPU */
    unsigned behind;       /* the index behind the last guest's */
};

/* Begin a table; of one guest only, or of all (NULL). */
void show_begin(struct show *show, const struct guests *guests, enum show_table table, const struct guest *only);

/* Print the next row. False: there was none, and the table is complete. */
bool show_row(struct show *show, struct mux *mux, const struct guests *guests);

#endif
