# SPDX-License-Identifier: GPL-2.0-or-later
# The balloon takes memory away and gives it back, tells statistics; free pages are reported by themselves.
# limit: 300
MEMORY=512
booted a -device virtio-balloon-pci,id=balloon0,free-page-reporting=on
qmp_channel events a
MIB=1048576

actual() { qmp a query-balloon | member actual; }
reached() { [ "$(actual)" = "$1" ]; }
# What of the guest's RAM the host holds, KiB.
held() { awk '/^Rss:/ { n += $2 } END { print n }' "/proc/$(pid_of a)/smaps_rollup"; }
less_than() { [ "$(held)" -lt "$1" ]; }
total() { guest_run a "awk '/MemTotal/ { print int(\$2 / 1024) }' /proc/meminfo"; }

is "at first the guest has all of it" "$(actual)" $((512 * MIB))
guest_run a 'dd if=/dev/zero of=/tmp/big bs=1M count=200 2>/dev/null; rm /tmp/big'
channel_mark events
qmp a balloon "value:=$((256 * MIB))"
need "256 MiB are reached" wait_for 60 reached $((256 * MIB))
ok "BALLOON_CHANGE was told" channel_has events '"event": "BALLOON_CHANGE"'
ok "the host has the memory back" wait_for 10 less_than $((290 * 1024))
has "the guest sees it" "$(total)" '^(1[5-9][0-9]|2[0-4][0-9])$'
qmp a balloon "value:=$((512 * MIB))"
need "and back to 512 MiB" wait_for 60 reached $((512 * MIB))
qmp a qom-set path=/machine/peripheral/balloon0 property=guest-stats-polling-interval value:=1
stats() { qmp a qom-get path=/machine/peripheral/balloon0 property=guest-stats; }
has_stats() { stats | grep -q stat-total-memory; }
need "the guest tells statistics" wait_for 20 has_stats
has "…its total memory among them" "$(stats | member stat-total-memory)" '^[45][0-9]{8}$'
ok "free pages that the guest used are the host's again" wait_for 30 less_than $((250 * 1024))

# Nearly all that is free goes while a guest works, and comes back: no task of it dies for want of memory. In a guest of
# 100 MiB times $ROUNDS (2).
kill -TERM "$(pid_of a)"
MEMORY=$((${ROUNDS:-2} * 100))
booted b -device virtio-balloon-pci,id=balloon0,free-page-reporting=on
guest_run b 'setsid sh -c "n=0; while [ ! -e /tmp/enough ]; do head -c 8388608 /dev/zero >/tmp/work && n=\$((n + 1)) && echo \$n >/tmp/turns; done" >/dev/null 2>&1 </dev/null &'
reached_by_b() { [ "$(qmp b query-balloon | member actual)" = "$1" ]; }
turns() { guest_run b 'cat /tmp/turns'; }
works() { [ "$(turns)" -gt "${1:-0}" ]; }
need "the guest works" wait_for 30 works
free=$(guest_run b "awk '/^MemFree/ { print int(\$2 / 1024) }' /proc/meminfo")
note "$free MiB are free"
target=$(((MEMORY - free + 64) * MIB))
qmp b balloon "value:=$target"
wait_for 120 reached_by_b $target || note "only $(($(qmp b query-balloon | member actual) / MIB)) of $((target / MIB)) MiB, $(guest_run b 'grep -E "MemFree|MemAvail" /proc/meminfo; dmesg | tail -n 3' | tr '\n' ' ')"
need "the balloon takes all but 64 MiB of what is free" reached_by_b $target
before=$(turns)
ok "…the guest goes on working" wait_for 30 works "$before"
qmp b balloon "value:=$((MEMORY * MIB))"
need "…and gets it back" wait_for 60 reached_by_b $((MEMORY * MIB))
ok "…and works" wait_for 30 works "$(turns)"
guest_run b 'touch /tmp/enough'
is "nothing was killed" "$(guest_run b 'dmesg | grep -ciE "out of memory|oom-kill"')" 0
