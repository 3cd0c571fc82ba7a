# SPDX-License-Identifier: GPL-2.0-or-later
# balloond gives a busy guest vCPUs, takes them back when it is calm, again and again ($ROUNDS times), and backs off from a
# guest that refuses. Times are told, not tested.
command -v balloond >/dev/null || skip "balloond is not built"
CPUS=1,maxcpus=2
# With $ROUNDS the first busy guest waits as long as the law has it.
up_for=2s
[ -z "$ROUNDS" ] || up_for=8s
booted a -device virtio-balloon-pci,id=balloon0
cat >"$LOGS/balloond.conf" <<END
[host]
tick = 500ms
[connect a]
type = host-vmm
folder = $VIRT_SUITE_RUNTIME_DIR
[audit]
file = $LOGS/audit
[control]
socket = $LOGS/balloond.sock
[vcpu]
mode = act
up-for = $up_for
up-pause = 2s
down-for = 3s
down-pause = 2s
wait = 100%
host = 100%
changes = 100000
END
balloond -v -c "$LOGS/balloond.conf" 2>"$LOGS/balloond.log" &
daemon=$!
echo $daemon >>"$LOGS/pids"
knows() { balloonctl -s "$LOGS/balloond.sock" --json "$@" | tr -d '\n '; }
known() { knows explain a | grep -qE "$1"; }
plugged() { qmp a query-cpus-fast | grep -c cpu-index; }
has_plugged() { [ "$(plugged)" = "$1" ]; }
online() { guest_run a nproc; }
has_online() { [ "$(online)" = "$1" ]; }
need "balloond manages the guest" wait_for 30 known '"managed":true'
round=0
while [ $((round += 1)) -le "${ROUNDS:-1}" ]; do
    guest_run a 'setsid sh -c "while [ ! -e /tmp/calm ]; do :; done" >/dev/null 2>&1 </dev/null &'
    begun=$(ticks)
    need "round $round: a busy guest is given a vCPU" wait_for 60 has_plugged 2
    took=$(since "$begun")
    need "…and uses it" wait_for 30 has_online 2
    note "vCPU plugged after $took s, used after $(since "$begun") s"
    guest_run a 'touch /tmp/calm'
    begun=$(ticks)
    need "…and loses it when it is calm" wait_for 60 has_plugged 1
    note "gone after $(since "$begun") s"
    is "…one is left" "$(online)" 1
    guest_run a 'rm /tmp/calm'
    if [ $up_for = 8s ]; then
        up_for=2s
        sed -i 's/^up-for.*/up-for = 2s/' "$LOGS/balloond.conf"
        kill -HUP $daemon
    fi
done

# A task that has been promised 90 % of each vCPU: the guest's kernel does not let go of the second one.
agent a guest-exec path=/bin/sh 'arg:=["-c", "while [ ! -e /tmp/calm ]; do :; done"]' >/dev/null
need "a vCPU more" wait_for 60 has_online 2
guest_run a 'for i in 1 2; do setsid /usr/sbin/chrt-deadline -d -T 90000000 -P 100000000 0 sleep 1000 >/dev/null 2>&1 </dev/null & done; touch /tmp/calm'
ok "a guest that refuses is left alone for long" wait_for 60 known '"no_removal_for":3[0-9]{6}'
is "…and keeps both" "$(plugged)" 2
is "…online" "$(online)" 2
has "…which is told" "$(knows status)" '"refused":[1-9]'
kill -TERM $daemon
ok "balloond ends when told to" wait_for 10 sh -c "! kill -0 $daemon"
has "what it decided of vCPUs replays" "$(balloonctl replay "$LOGS/audit" 2>&1)" 'all the same'
