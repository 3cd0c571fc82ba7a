// SPDX-License-Identifier: GPL-2.0-or-later
#include "virt-top/numbers.h"

#include <stdio.h>
#include <string.h>

/* The locale must not turn points into commas, in files least of all. */
static const char *with_point(char *text, const char *format, double value)
{
    return g_ascii_formatd(text, NUMBER_SIZE, format, value);
}

const char *number_int(guint64 value, char *text)
{
    static const char units[] = "KMG";

    if (value == DOMAIN_UNKNOWN) {
        return strcpy(text, "    ");
    }
    if (value <= 9999) {
        snprintf(text, NUMBER_SIZE, "%4u", (guint)value);
        return text;
    }
    for (guint i = 0; i < strlen(units); i++) {
        value /= 1024;
        if (value <= 999) {
            snprintf(text, NUMBER_SIZE, "%3u%c", (guint)value, units[i]);
            return text;
        }
    }
    return strcpy(text, ">!!!");
}

const char *number_percent(double value, char *text)
{
    if (!(value > 0)) {
        return strcpy(text, " 0.0");
    }
    if (value <= 9.9) {
        text[0] = ' ';
        g_ascii_formatd(text + 1, NUMBER_SIZE - 1, "%.1f", value);
        return text;
    }
    return value <= 99.9 ? with_point(text, "%.1f", value) : strcpy(text, "100 ");
}

const char *number_time(guint64 ns, char *text)
{
    guint64 hundredths, seconds, minutes, hours;

    if (ns == DOMAIN_UNKNOWN) {
        return strcpy(text, "         ");
    }
    hundredths = ns / 10000000;
    seconds = hundredths / 100;
    minutes = seconds / 60;
    hours = minutes / 60;
    if (hours < 12) {
        snprintf(text, NUMBER_SIZE, "%3u:%02u.%02u", (guint)minutes, (guint)(seconds % 60),
                 (guint)(hundredths % 100));
    } else if (hours <= 999) {
        snprintf(text, NUMBER_SIZE, "%3u:%02u:%02u", (guint)hours, (guint)(minutes % 60),
                 (guint)(seconds % 60));
    } else {
        snprintf(text, NUMBER_SIZE, "%3ud%02u:%02u", (guint)(hours / 24), (guint)(hours % 24),
                 (guint)(minutes % 60));
    }
    return text;
}

const char *number_float(double value, char *text)
{
    with_point(text, "%.12g", value);
    if (strspn(text, "-0123456789") == strlen(text)) {
        strcat(text, ".");
    }
    return text;
}
