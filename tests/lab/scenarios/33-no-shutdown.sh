# SPDX-License-Identifier: GPL-2.0-or-later
# -no-shutdown: the guest's power-off leaves the monitor there, stopped; a reset and cont start the guest again.
booted a -no-shutdown
qmp_channel events a
agent a guest-shutdown mode=powerdown >/dev/null 2>&1
need "the state becomes shutdown" wait_for 30 in_state a shutdown
ok "the monitor lives" alive a
ok "SHUTDOWN was told" channel_has events '"event": "SHUTDOWN"'
ok "STOP was told" channel_has events '"event": "STOP"'
qmp a system_reset
qmp a cont
need "user space is up again" wait_for "$BOOT_LIMIT" user_space_up a 2
is "the state is running" "$(run_state a)" running
qmp a quit
ok "quit ends the monitor" wait_for 10 exited a
is "…with status 0" "$(status_of a)" 0
