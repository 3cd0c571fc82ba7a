# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh disable=SC2034
# Runs in the bench's machine by scenario.sh, for tests/bench/net: prints "# figure BACKEND-DIRECTION MONITOR MIB/S".
MEMORY=320
EXEC_LIMIT=120
modprobe -q -a tun || :

# start MONITOR NUMBER
start() {
    guest "$1" -netdev "tap,id=tap,ifname=tap$2,script=no,downscript=no" -device "virtio-net-pci,netdev=tap,mac=52:54:00:00:0$2:01" \
        -netdev "user,id=user,net=10.0.$2.0/24,hostfwd=tcp:127.0.0.1:900$2-:7003" -device "virtio-net-pci,netdev=user,mac=52:54:00:00:0$2:02"
    wait_for 20 ip addr add "192.168.$2.1/24" dev "tap$2"
    ip link set "tap$2" up
    need "$1 comes up" agent_answers "$1"
    guest_run "$1" "ip addr add 192.168.$2.2/24 dev eth0; ip link set eth0 up; ip addr add 10.0.$2.15/24 dev eth1; ip link set eth1 up"
}
MONITOR=host-vmm
start host-vmm 1
MONITOR=$QEMU
start qemu 2

# to_host BACKEND MONITOR ADDRESS
to_host() {
    tcp-flow listen 7001 receive >"$LOGS/flow" 2>&1 &
    guest_run "$2" "tcp-flow connect $3 7001 send $MIB" >&2
    wait $!
    note "figure $1-to-host $2 $(sed -n 's/.* \([0-9.]*\) MiB.*/\1/p' "$LOGS/flow")"
}
# to_guest BACKEND MONITOR ADDRESS PORT
to_guest() {
    guest_run "$2" "setsid tcp-flow listen 7003 receive >/tmp/flow 2>&1 </dev/null & sleep 0.2" >&2
    tcp-flow connect "$3" "$4" send "$MIB" >"$LOGS/flow" 2>&1
    note "figure $1-to-guest $2 $(guest_run "$2" 'cat /tmp/flow' | sed -n 's/.* \([0-9.]*\) MiB.*/\1/p')"
}
# pair FLOW ROUND: under one monitor and right after it under the other, each first in turn.
pair() {
    order='1 2'
    [ $(($2 % 2)) = 0 ] || order='2 1'
    for n in $order; do
        name=host-vmm
        [ "$n" = 1 ] || name=qemu
        case $1 in
            tap-to-host) MIB=$TAP_MIB to_host tap $name "192.168.$n.1" ;;
            tap-to-guest) MIB=$TAP_MIB to_guest tap $name "192.168.$n.2" 7003 ;;
            user-to-host) MIB=$USER_MIB to_host user $name "10.0.$n.2" ;;
            user-to-guest) MIB=$USER_MIB to_guest user $name 127.0.0.1 "900$n" ;;
        esac
    done
}
round=0
while [ $round -lt "$ROUNDS" ]; do
    for flow in tap-to-host tap-to-guest user-to-host user-to-guest; do
        pair $flow $round
    done
    round=$((round + 1))
done
