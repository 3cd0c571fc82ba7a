# SPDX-License-Identifier: GPL-2.0-or-later
# -no-reboot: a guest's reboot ends the monitor. A triple fault is a reboot as well.
booted a -no-reboot
agent a guest-shutdown mode=reboot >/dev/null 2>&1
ok "the monitor ends" wait_for 120 exited a
is "…with status 0" "$(status_of a)" 0
APPEND='reboot=triple' booted b -no-reboot
agent b guest-shutdown mode=reboot >/dev/null 2>&1
ok "a triple fault ends the monitor" wait_for 120 exited b
is "…with status 0" "$(status_of b)" 0
APPEND='reboot=kbd' booted c -no-reboot
agent c guest-shutdown mode=reboot >/dev/null 2>&1
ok "a reset by the keyboard controller ends the monitor" wait_for 120 exited c
is "…with status 0" "$(status_of c)" 0
