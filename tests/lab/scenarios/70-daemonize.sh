# SPDX-License-Identifier: GPL-2.0-or-later
# -daemonize: the command returns when sockets and pid file are there; the monitor runs on by itself.
run=$(sockets a)
mkdir -p "$run"
monitor_and_status() {
    timeout 20 $MONITOR -name a -nodefaults -m 256 -kernel "$LAB/guest/vmlinuz" -initrd "$LAB/guest/initrd" -append quiet \
        -qmp "unix:$run/qmp.sock,server=on,wait=off" -pidfile "$run/pid" -daemonize >"$LOGS/a.stdout" 2>"$LOGS/a.stderr"
    echo $?
}
is "it returns with status 0" "$(monitor_and_status)" 0
pid=$(cat "$run/pid")
echo "$pid" >>"$LOGS/pids"
ok "the pid file names a live process" kill -0 "$pid"
is "QMP answers at once" "$(run_state a)" running
is "the daemon has a session of its own" "$(awk '{ print $6 }' "/proc/$pid/stat")" "$pid"
is "a second one is refused" "$(monitor_and_status)" 1
ok "…and the first one answers" in_state a running
kill -TERM "$pid"
ok "SIGTERM ends it" wait_for 10 [ ! -d "/proc/$pid" ]
is "pid file and sockets are gone" "$(find "$run" -type s -o -name pid)" ""
