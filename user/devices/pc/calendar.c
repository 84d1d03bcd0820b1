#include "user/devices/pc/calendar.h"

#define DAYS_PER_ERA      146097 /* 400 years */
#define DAYS_0000_TO_1970 719468 /* from 1 March of the year 0 */
#define THURSDAY          4      /* 1970-01-01 */

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* Here a year begins in March, so that the leap day is its last day. Then the first day of a month is a linear function
 * of the month. */
struct calendar_date calendar_from_days(int64_t days)
{
    int64_t shifted = days + DAYS_0000_TO_1970;
    int64_t era = floor_div(shifted, DAYS_PER_ERA);
    unsigned day_of_era = (unsigned)(shifted - era * DAYS_PER_ERA);
    unsigned year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / (DAYS_PER_ERA - 1)) / 365;
    unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    unsigned march_month = (5 * day_of_year + 2) / 153;
    struct calendar_date date;

    date.day = day_of_year - (153 * march_month + 2) / 5 + 1;
    date.month = march_month < 10 ? march_month + 3 : march_month - 9;
    date.year = era * 400 + year_of_era + (date.month <= 2);
    date.weekday = (unsigned)(days + THURSDAY - floor_div(days + THURSDAY, 7) * 7);
    return date;
}

int64_t calendar_to_days(int64_t year, unsigned month, unsigned day)
{
    int64_t march_year = month <= 2 ? year - 1 : year;
    unsigned march_month = month <= 2 ? month + 9 : month - 3;
    int64_t era = floor_div(march_year, 400);
    unsigned year_of_era = (unsigned)(march_year - era * 400);
    int64_t day_of_year = (int64_t)(153 * march_month + 2) / 5 + day - 1;

    return era * DAYS_PER_ERA + 365 * year_of_era + year_of_era / 4 - year_of_era / 100 + day_of_year -
           DAYS_0000_TO_1970;
}
