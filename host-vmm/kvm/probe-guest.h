// SPDX-License-Identifier: GPL-2.0-or-later
/* probe-guest: what probe.c and probe-guest.S agree on. */
#pragma once

#define PROBE_PORT 0xf4

#define PROBE_LOOP_TURNS 100000

#define PROBE_STAGE_LONG_MODE  1
#define PROBE_STAGE_CMPXCHG16B 2
#define PROBE_STAGE_XRSTOR     3
#define PROBE_STAGE_LOOP       4
#define PROBE_STAGE_USER       5

#ifndef __ASSEMBLER__
extern const unsigned char probe_guest_start[], probe_guest_end[];
#endif
