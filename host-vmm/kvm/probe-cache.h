// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * probe-cache: the probe guest (probe.h) once for each boot of the host and each loading of KVM, not once a
 * start: it takes about as long as the rest of a start. That it came through is noted in the runtime folder.
 */
#pragma once

#include <gio/gio.h>

/* As probe_kvm(), unless it is known that it came through. What went wrong is never noted. */
gboolean probe_kvm_once(GError **error);
/* The same with another probe and another thing than /dev/kvm, for tests. */
gboolean probe_once(const char *device, gboolean (*probe)(GError **error), GError **error);
