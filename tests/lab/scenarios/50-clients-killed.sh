# SPDX-License-Identifier: GPL-2.0-or-later
# Clients of the agent, QMP and the console are killed at random moments; monitor and guest go on.
booted a
run=$(sockets a)
# 1 to 400 ms
soon() { usleep $(($(od -An -N 2 -t u2 /dev/urandom) % 400 * 1000 + 1000)); }
round=0
while [ $round -lt 10 ]; do
    round=$((round + 1))
    for kind in qmp agent console; do
        rm -f "$LOGS/$kind.in"
        mkfifo "$LOGS/$kind.in"
        socat "UNIX-CONNECT:$run/$kind.sock" - <>"$LOGS/$kind.in" >/dev/null 2>&1 &
        echo $! >"$LOGS/$kind.victim"
        case $kind in
            qmp) echo '{"execute": "qmp_capabilities"}{"execute": "query-commands"}{"execute": "query-st' ;;
            agent) echo '{"execute": "guest-info"}{"execute": "guest-file-read", "arguments": {"handle": 1, "co' ;;
            console) echo 'seq 1 60' ;;
        esac >"$LOGS/$kind.in" &
    done
    soon
    for kind in console agent qmp; do
        kill -KILL "$(cat "$LOGS/$kind.victim")"
        soon
    done
done
ok "the monitor lives" alive a
is "it says that the guest runs" "$(run_state a)" running
ok "the agent answers" agent_answers a
channel_open console "$run/console.sock"
channel_send console ''
channel_send console 'echo still $((6 * 7))'
ok "the console answers" channel_wait console 60 'still 42'
is "the guest's kernel saw no trouble" "$(guest_run a 'dmesg | grep -i -e "BUG:" -e "virtio.*error" -e "hung task"')" ""
guest_run a 'kill -KILL $(pidof guest-agent)' >/dev/null 2>&1
ok "the agent, killed, is started again by the guest and answers" agent_answers a
ok "the monitor lives after all" alive a
