# SPDX-License-Identifier: GPL-2.0-or-later
# A guest that reboots comes up again in the same monitor, as often as it likes.
CPUS=2
booted a
qmp_channel events a
channel_mark events
pid=$(pid_of a)
for round in 2 3; do
    agent a guest-shutdown mode=reboot >/dev/null 2>&1
    need "user space is up for the ${round}. time" wait_for $BOOT_LIMIT user_space_up a $round
    need "the agent answers again" agent_answers a
done
ok "RESET by the guest was told" channel_has events '"event": "RESET"'
is "the monitor is the same process" "$(pid_of a)" "$pid"
is "both processors are back" "$(guest_run a nproc)" 2
qmp a system_reset
need "after system_reset too it comes up" wait_for $BOOT_LIMIT user_space_up a 4
need "…and the agent answers" agent_answers a
