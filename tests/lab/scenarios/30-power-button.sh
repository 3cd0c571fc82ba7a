# SPDX-License-Identifier: GPL-2.0-or-later
# The ACPI power button shuts the guest down in order.
booted a
qmp_channel events a
channel_mark events
qmp a system_powerdown
ok "the monitor ends" wait_for 30 exited a
is "…with status 0" "$(status_of a)" 0
ok "POWERDOWN was told" channel_has events '"event" *: *"POWERDOWN"'
ok "SHUTDOWN by the guest was told" channel_has events '"event": "SHUTDOWN".*"guest-shutdown"|"guest-shutdown".*"event": "SHUTDOWN"'
has "the guest went down in order" "$(cat "$LOGS/a.serial")" 'Power down|system is going down|Requesting system poweroff'
