// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * trim: gives back what only starting up needed, since a host of many guests pays for it many times.
 */
#pragma once

/* Code and constants of the program and its libraries leave the process' page tables; what is used again
 * comes back from the page cache by itself. The C library's free memory goes back to the kernel. */
void trim_after_start(void);
