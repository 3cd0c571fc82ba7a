# SPDX-License-Identifier: GPL-2.0-or-later
# balloond leads a guest that works on one node and has most of its memory on another one to one of them: its memory is moved
# to where it works, for that takes less.
# For a machine with two nodes: LAB_NODES=2 tests/lab/run --scenario 87
command -v balloond >/dev/null || skip "balloond is not built"
[ -d /sys/devices/system/node/node1 ] || skip "this machine has one node"
mib_on() { # NODE: MiB of the guest there
    awk -v node="N$1=" '{ for (i = 1; i <= NF; i++) if (index($i, node) == 1) n += substr($i, length(node) + 1)
        } END { print int(n / 256) }' "/proc/$(pid_of a)/numa_maps"
}
MEMORY=768 booted a -machine mem-merge=off
pid=$(pid_of a)
vcpu=
for task in /proc/"$pid"/task/*; do
    case $(cat "$task/comm") in CPU*) vcpu=${task##*/} ;; esac
done
need "its vCPU's thread is found" test -n "$vcpu"
allowed() { sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' "/proc/$vcpu/status"; }
# Most of its memory on the second node, some of it on the first, where it goes on running.
pin() { taskset -p "$1" "$vcpu"; }
ok "it runs on the second node" pin 2
need "the guest has a place for files" guest_run a 'mkdir /t && mount -t tmpfs -o size=600M tmpfs /t'
touch_memory() { EXEC_LIMIT=60 guest_run a "dd if=/dev/zero of=/t/$1 bs=1M count=$2 2>/dev/null"; }
ok "…and fills memory there" touch_memory x 300
ok "it runs on the first" pin 1
ok "…and fills some there" touch_memory y 40
first=$(mib_on 0)
second=$(mib_on 1)
note "before: $first MiB on the first node, $second on the second"
need "most of it is on the second" test "$second" -gt "$first"
echo 0 >/proc/sys/kernel/numa_balancing 2>/dev/null
guest_run a 'while :; do :; done >/dev/null 2>&1 & echo' >/dev/null
printf '[ksm]\nmode = off\n[numa]\nmode = act\nsample = 1s\ngain = 1\n[connect a]\ntype = host-vmm\nfolder = %s\n[control]\nsocket = %s\n' \
    "$VIRT_SUITE_RUNTIME_DIR" "$LOGS/balloond.sock" >"$LOGS/balloond.conf"
balloond -v -c "$LOGS/balloond.conf" 2>"$LOGS/balloond.log" &
daemon=$!
echo $daemon >>"$LOGS/pids"
led() { grep -q ': to node' "$LOGS/balloond.log"; }
together() { [ "$(mib_on 0)" -lt $(((first + second) / 5)) ] || [ "$(mib_on 1)" -lt $(((first + second) / 5)) ]; }
ok "balloond leads it to one node" wait_for 60 led
ok "…and moves its memory there" wait_for 60 together
note "after: $(mib_on 0) MiB on the first node, $(mib_on 1) on the second"
balloonctl -s "$LOGS/balloond.sock" --json explain a >"$LOGS/explained.json"
kill $daemon
is_back() { [ "$(allowed)" = 0 ]; }
ok "at its end the affinity is what it was" wait_for 20 is_back
