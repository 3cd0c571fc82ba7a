// SPDX-License-Identifier: GPL-2.0-or-later
#include "virt-top/numbers.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define SIGNIFICANT 12 /* digits of a float */

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

char *number_decimal(guint64 value, char *text)
{
    char digits[20];
    guint count = 0;

    do {
        digits[count++] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    while (count > 0) {
        *text++ = digits[--count];
    }
    return text;
}

/* What %.12g makes of a number that is not whole, from 0.0001 to below 1e11, without printf's arithmetic of
 * any size, which is half of what a row of CSV costs: 12 digits of m * 2^e are the whole part of m * 10^k *
 * 2^e, which has 103 bits at most. FALSE: not such a number. */
static gboolean float_digits(double value, char *text)
{
    static const guint64 powers[] = {1ull,
                                     10ull,
                                     100ull,
                                     1000ull,
                                     10000ull,
                                     100000ull,
                                     1000000ull,
                                     10000000ull,
                                     100000000ull,
                                     1000000000ull,
                                     10000000000ull,
                                     100000000000ull,
                                     1000000000000ull,
                                     10000000000000ull,
                                     100000000000000ull,
                                     1000000000000000ull};
    const guint64 limit = powers[SIGNIFICANT];
    guint64 whole = 0, fraction, mantissa;
    __extension__ unsigned __int128 scaled, half;
    int exponent;
    guint k = 1;

    if (!(value >= 1e-4 && value < 1e11)) {
        return FALSE;
    }
    mantissa = (guint64)ldexp(frexp(value, &exponent), 53);
    exponent = 53 - exponent; /* value = mantissa / 2^exponent */
    if (exponent <= 0) {
        return FALSE;
    }
    /* As many decimal places as make 12 digits of it. */
    while (k + 1 < G_N_ELEMENTS(powers) && value * (double)powers[k] < 1e11) {
        k++;
    }
    for (;; k--) {
        scaled = mantissa;
        scaled *= powers[k];
        half = 1;
        half <<= exponent - 1;
        whole = (guint64)(scaled >> exponent);
        scaled &= (half << 1) - 1;
        whole += scaled > half || (scaled == half && (whole & 1) != 0);
        if (whole < limit || k == 1) {
            break; /* else it was rounded up to one digit more, or the estimate was one too many */
        }
    }
    if (whole >= limit || whole < limit / 10) {
        return FALSE;
    }
    fraction = whole % powers[k];
    text = number_decimal(whole / powers[k], text);
    *text++ = '.';
    for (; fraction != 0; fraction %= powers[k]) {
        k--;
        *text++ = (char)('0' + fraction / powers[k]);
    }
    *text = '\0';
    return TRUE;
}

const char *number_float(double value, char *text)
{
    if (value >= 0 && value < 1e12 && value == floor(value) && !signbit(value)) {
        char *end = number_decimal((guint64)value, text);

        end[0] = '.';
        end[1] = '\0';
        return text;
    }
    if (float_digits(value, text)) {
        return text;
    }
    with_point(text, "%.12g", value);
    if (strspn(text, "-0123456789") == strlen(text)) {
        strcat(text, ".");
    }
    return text;
}
