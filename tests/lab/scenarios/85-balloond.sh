# SPDX-License-Identifier: GPL-2.0-or-later
# balloond on a guest, on a host whose memory is made up: a pressure step, a starving guest, a daemon that is killed, a guest
# that goes. Times are told, not tested. $ROUNDS (0) is how often the daemon is killed; with it the guest is larger, too.
command -v balloond >/dev/null || skip "balloond is not built"
# limit: 300
MIB=1048576
# MiB: what pressure leaves it at most, and what it comes to use then.
MEMORY=512 SMALL=300 NEED=250
[ -z "$ROUNDS" ] || MEMORY=1024 SMALL=428 NEED=400
truncate -s $((1024 * MIB)) /tmp/swap.img
booted a -device virtio-balloon-pci,id=balloon0 -drive file=/tmp/swap.img,if=none,id=d0,format=raw -device virtio-blk-pci,drive=d0
disk=$(guest_run a 'ls /sys/block | grep -m 1 vd')
need "the guest has swap" guest_run a "mkswap /dev/$disk && swapon /dev/$disk && mkdir /t && mount -t tmpfs -o size=2G tmpfs /t"
root=$LOGS/root
mkdir -p "$root/proc"
host() {
    printf 'MemTotal: %d kB\nMemAvailable: %d kB\n' $((8192 * 1024)) $(($1 * 1024)) >"$root/proc/new"
    mv "$root/proc/new" "$root/proc/meminfo"
}
cat >"$LOGS/balloond.conf" <<END
[connect a]
type = host-vmm
folder = $VIRT_SUITE_RUNTIME_DIR
[audit]
file = $LOGS/audit
[control]
socket = $LOGS/balloond.sock
END
start() {
    balloond -v -c "$LOGS/balloond.conf" --root "$root" 2>"$LOGS/balloond.log" &
    daemon=$!
    echo $daemon >>"$LOGS/pids"
}
knows() { balloonctl -s "$LOGS/balloond.sock" --json explain a | tr -d '\n ' | grep -qE "$1"; }
managed() { knows '"managed":true.*"trust":"full"' || knows '"trust":"full".*"managed":true'; }
acted() { [ "$(grep -c ' -> ' "$LOGS/balloond.log")" -gt "${1:-0}" ]; }
size() { echo $(($(qmp a query-balloon | member actual) / MIB)); }
at_most() { [ "$(size)" -le "$1" ]; }
at_least() { [ "$(size)" -ge "$1" ]; }
swapped() { guest_run a "awk '/^pswpout/ { print \$2 }' /proc/vmstat"; }
# It has room for all that it wrote and for itself; or for most of it, what went to swap meanwhile not being read again, has
# written all, does not swap and has some room left.
fed() {
    seen_at=$(ticks)
    at_least $((NEED + 100)) || { at_least $((NEED + 50)) && guest_run a "$calm"; }
}
calm='pgrep -x dd >/dev/null && exit 1
    swaps() { awk "/^pswp/ { n += \$2 } END { print n }" /proc/vmstat; }
    before=$(swaps)
    sleep 2
    [ "$(swaps)" = "$before" ] && [ "$(awk "/^MemAvailable/ { print \$2 }" /proc/meminfo)" -ge 16384 ]'
# The host holds that much of the guest from now on; in the guest it is free again.
touch_memory() { EXEC_LIMIT=60 guest_run a "dd if=/dev/zero of=/t/x bs=1M count=$1 2>/dev/null; rm /t/x"; }

host 5000
need "the host comes to hold most of the guest" touch_memory $((MEMORY * 2 / 3))
start
need "balloond manages the guest" wait_for 30 managed
is "nothing is taken while there is plenty" "$(size)" $MEMORY
before=$(swapped)
begun=$(ticks)
host 400
wait_for 60 acted
first=$(since "$begun")
need "under pressure it goes down to $SMALL MiB" wait_for 60 at_most $SMALL
note "pressure step: first action after $first s, $SMALL MiB after $(since "$begun") s"
is "it did not swap" "$(swapped)" "$before"
ok "its minimum stays to it" at_least $((MEMORY / 4))

host 5000
sleep 1
done_before=$(grep -c ' -> ' "$LOGS/balloond.log")
need "the guest begins to use more" guest_run a "setsid dd if=/dev/zero of=/t/hog bs=1M count=$NEED >/dev/null 2>&1 </dev/null &"
begun=$(ticks)
wait_for 60 acted "$done_before"
first=$(since "$begun")
need "a guest that starves is given what it needs" wait_for 60 fed
note "starving guest: first action after $first s, $(size) MiB after $(since "$begun" "$seen_at") s"

# Killed while the balloon is on its way: the next daemon adopts what it finds, and sizes do not creep.
round=0 sizes=''
while [ $((round += 1)) -le "${ROUNDS:-0}" ]; do
    kill -KILL $daemon
    qmp a balloon "value:=$((MEMORY * MIB))"
    wait_for 30 at_least $MEMORY
    touch_memory 300
    # Short enough that cold memory is taken, and not so short that what is in use is tried for (docs/policy.md, Taking).
    host 640
    start
    need "round $round: it acts" wait_for 30 acted
    kill -KILL $daemon
    start
    need "…and the next one manages the guest" wait_for 30 managed
    ok "…which keeps what it needs" at_least $((NEED + 50))
    kept=$(size)
    sizes="$sizes $kept"
    [ $round != 1 ] || kept_first=$kept
done
if [ -n "$ROUNDS" ]; then
    note "after each kill:$sizes MiB"
    ok "…and no less each time" [ "$kept" -ge $((kept_first - 64)) ]
fi
kill -KILL "$(pid_of a)"
gone() { balloonctl -s "$LOGS/balloond.sock" --json status | tr -d '\n ' | grep -qF '"guests":[]'; }
ok "a guest that has gone is forgotten" wait_for 30 gone
kill -TERM $daemon
ok "balloond ends when told to" wait_for 10 sh -c "! kill -0 $daemon"
