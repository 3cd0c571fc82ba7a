// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * numbers: the forms in which virt-top 1.1.1 writes numbers, to the character.
 */
#pragma once

#include <glib.h>

#include "lib/domain.h"

enum { NUMBER_SIZE = 32 };

/* 4 characters: as it is to 9999, then K, M, G by 1024 while <= 999; ">!!!" above, four blanks for
 * DOMAIN_UNKNOWN. */
const char *number_int(guint64 value, char *text);
/* 4 characters: " 0.0", " 1.1", "22.2", "100 ". */
const char *number_percent(double value, char *text);
/* 9 characters: "mmm:ss.cc" below 12 hours, "hhh:mm:ss" to 999 hours, "dddDhh:mm" with a small d. */
const char *number_time(guint64 ns, char *text);
/* As OCaml writes a float: %.12g, with a "." at its end if it would look like an integer. */
const char *number_float(double value, char *text);
/* As it is, without a NUL; returns the place behind it. */
char *number_decimal(guint64 value, char *text);
