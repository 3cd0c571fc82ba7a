# SPDX-License-Identifier: GPL-2.0-or-later
# Memory comes and goes while the guest runs: by virtio-mem, as much as is asked for; a reset with some that was plugged.
MEMORY=128,maxmem=1G
APPEND=memhp_default_state=online_movable
MIB=1048576
booted a -object memory-backend-ram,id=more,size=512M -device virtio-mem-pci,id=vm0,memdev=more
qmp_channel events a

device() { qmp a query-memory-devices; }
plugged() { [ "$(device | member size)" = "$1" ]; }
request() { qmp a qom-set path=/machine/peripheral/vm0 property=requested-size "value:=$1"; }
total() { guest_run a "awk '/MemTotal/ { print int(\$2 / 1024) }' /proc/meminfo"; }
more_than() { [ "$(total)" -ge "$1" ]; }
less_than() { [ "$(total)" -lt "$1" ]; }
held() { awk '/^Rss:/ { n += $2 } END { print n }' "/proc/$(pid_of a)/smaps_rollup"; }
holds_less_than() { [ "$(held)" -lt "$1" ]; }

guest_run a 'modprobe virtio_mem'
before=$(total)
is "at first there is none of it" "$(device | member size)" 0
channel_mark events
request $((128 * MIB))
need "128 MiB are plugged" wait_for 60 plugged $((128 * MIB))
ok "MEMORY_DEVICE_SIZE_CHANGE is told" channel_wait events 10 MEMORY_DEVICE_SIZE_CHANGE
is "…and counted" "$(qmp a query-memory-size-summary | member plugged-memory)" $((128 * MIB))
ok "the guest has them" wait_for 20 more_than $((before + 100))
ok "…and uses them" guest_run a 'mkdir /tmp/big && mount -t tmpfs -o size=200m none /tmp/big && dd if=/dev/zero of=/tmp/big/file bs=1M count=130; s=$(wc -c </tmp/big/file); umount /tmp/big; [ "$s" = 136314880 ]'
request 0
need "it gives them back" wait_for 60 plugged 0
ok "…and knows it" less_than $((before + 32))
ok "…and the host has them" wait_for 10 holds_less_than $((160 * 1024))
request $((128 * MIB))
need "…and come again" wait_for 60 plugged $((128 * MIB))
qmp a system_reset
need "after a reset it comes up again" wait_for $BOOT_LIMIT user_space_up a 2
need "…and the agent answers" agent_answers a
is "…without what was plugged" "$(device | member size)" 0
guest_run a 'modprobe virtio_mem'
need "…until the driver is there" wait_for 60 plugged $((128 * MIB))
has "more than there is is refused" "$(request $((1024 * MIB)) 2>&1)" 'requested-size'
