// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * probe: does this machine's /dev/kvm really run 64-bit code?
 *
 * Some KVMs (nested, paravirtual ones) interpret guest code: a stock kernel crawls for many seconds and then
 * stops at an instruction that the interpreter lacks. A guest of a few dozen instructions (probe-guest.S)
 * tells within milliseconds: long mode, cmpxchg16b, xsave and xrstor, a loop against the clock, user space
 * and back.
 */
#pragma once

#include <gio/gio.h>

typedef struct ProbeResult {
    gint64 loop_ns;  /* how long the loop of 100,000 turns of a two-instruction loop took */
    gint64 total_ns; /* all, making the VM included */
} ProbeResult;

/* TRUE: fit. FALSE and one line that says what is wrong and what to do. Takes 3 s at most. result may be
 * NULL. */
gboolean probe_kvm(ProbeResult *result, GError **error);
