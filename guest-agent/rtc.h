// SPDX-License-Identifier: GPL-2.0-or-later
/* rtc: the hardware clock, /dev/rtc0 (rtc(4)). Whether it is in UTC or in local time is in the third line of
 * /etc/adjtime (adjtime_config(5)); without that file it is UTC. May block for some milliseconds. */
#pragma once

#include <gio/gio.h>

gboolean rtc_is_there(void);
gboolean rtc_write_from_system(GError **error);
gboolean rtc_read_to_system(GError **error);
