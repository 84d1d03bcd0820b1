/* Dates of the proleptic Gregorian calendar. */
#ifndef USER_DEVICES_PC_CALENDAR_H
#define USER_DEVICES_PC_CALENDAR_H

#include "abi/types.h"

#define CALENDAR_DAY_SECONDS 86400

struct calendar_date {
    int64_t year;
    unsigned month;   /* 1..12 */
    unsigned day;     /* 1..31 */
    unsigned weekday; /* 0 is Sunday */
};

/* The date that is so many days after 1970-01-01. |days| < 2^40. */
struct calendar_date calendar_from_days(int64_t days);

/* The inverse. month: 1..12; day: 0..255; |year| < 2^30. A day beyond its month's end counts on into the next month. */
int64_t calendar_to_days(int64_t year, unsigned month, unsigned day);

#endif
