# SPDX-License-Identifier: GPL-2.0-or-later
# vCPUs come and go: plugged by device_add, put online by the guest, taken back by device_del; a reset with one that was
# plugged.
CPUS=1,maxcpus=4
booted a
qmp_channel events a

online() { guest_run a 'for f in /sys/devices/system/cpu/cpu[1-9]*/online; do [ "$(cat "$f")" = 1 ] || echo 1 >"$f"; done; nproc'; }
processors() { guest_run a 'ls -d /sys/devices/system/cpu/cpu[0-9]* | wc -l'; }
has_processors() { [ "$(processors)" = "$1" ]; }
plug() { qmp a device_add driver=host-x86_64-cpu "id=vcpu$1" socket-id:=0 "core-id:=$1" thread-id:=0; }
unplug() { qmp a device_del "id=vcpu$1"; }

is "one of four is there" "$(qmp a query-hotpluggable-cpus | grep -c qom-path)" 1
is "the guest has one processor" "$(processors)" 1
round=0
while [ $((round += 1)) -le 2 ]; do
    for n in 1 2 3; do
        channel_mark events
        need "round $round: vCPU $n is plugged" plug $n
        need "the guest has taken it up" channel_wait events 20 "ACPI_DEVICE_OST.*\"device\": \"vcpu$n\".*\"status\": 0"
    done
    need "the guest has four processors" wait_for 10 has_processors 4
    is "…all of them online" "$(online)" 4
    is "…each working and getting timer interrupts" \
        "$(guest_run a 'for c in 0 1 2 3; do taskset -c $c sh -c "usleep 20000; echo \$((6 * 7))" & done; wait' | grep -c 42)" 4
    for n in 3 2 1; do
        channel_mark events
        need "vCPU $n is asked back" unplug $n
        need "the guest has given it up" channel_wait events 20 "DEVICE_DELETED.*\"device\": \"vcpu$n\""
    done
    is "one processor is left" "$(processors)" 1
done
is "the first vCPU cannot go" "$(qmp a device_del id=vcpu0 2>&1 | grep -c 'not found')" 1

channel_mark events
need "one is plugged for the reset" plug 2
need "…and taken up" channel_wait events 20 'ACPI_DEVICE_OST.*"device": "vcpu2".*"status": 0'
resets=0
while [ $((resets += 1)) -le "${ROUNDS:-1}" ]; do
    qmp a system_reset
    need "reset $resets: it comes up again" wait_for "$BOOT_LIMIT" user_space_up a $((resets + 1))
    need "…and the agent answers" agent_answers a
    is "…with the plugged one among its processors" "$(guest_run a nproc)" 2
done
