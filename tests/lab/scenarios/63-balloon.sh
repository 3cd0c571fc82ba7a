# SPDX-License-Identifier: GPL-2.0-or-later
# The balloon takes memory away and gives it back, tells statistics; free pages are reported by themselves.
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
