# SPDX-License-Identifier: GPL-2.0-or-later
# A monitor that is killed leaves nothing that stops the next start on the same paths.
booted a
kill -KILL "$(pid_of a)"
need "it is gone" wait_for 10 exited a
ok "its sockets are left" [ -S "$(sockets a)/qmp.sock" ]
: >"$LOGS/a.serial"
booted a
is "the next one on the same paths runs" "$(run_state a)" running
monitor b -nodefaults -m 128 -kernel "$LAB/guest/vmlinuz" -qmp "unix:$(sockets a)/qmp.sock,server=on,wait=off"
ok "a third one on a path that is being served refuses" wait_for 10 exited b
is "…with status 1" "$(status_of b)" 1
has "…and says so" "$(cat "$LOGS/b.stderr")" qmp.sock
ok "…and the second one still answers" in_state a running
