# SPDX-License-Identifier: GPL-2.0-or-later
# A guest's card on a tap interface: ping, 100 MiB each way and whole, the link by set_link, and a tap that vanishes in the
# middle of a transfer.
MEMORY=384
modprobe -q tun || :
[ -c /dev/net/tun ] || skip "there is no /dev/net/tun here"
ip link show >&2
guest a -netdev tap,id=n0,ifname=lab0,script=no,downscript=no -device virtio-net-pci,netdev=n0,id=net0,mac=52:54:00:00:00:01
wait_for 10 ip addr add 192.168.77.1/24 dev lab0
ip link set lab0 up
need "the guest comes up" agent_answers a
is "the card has its address" "$(guest_run a 'cat /sys/class/net/eth0/address')" 52:54:00:00:00:01
guest_run a 'ip addr add 192.168.77.2/24 dev eth0 && ip link set eth0 up' >&2
ok "the host pings the guest" wait_for 20 ping -c 1 -W 2 192.168.77.2
ok "the guest pings the host, 1400 bytes" guest_run a 'ping -c 3 -s 1400 192.168.77.1'

# flow WHAT GUEST-ROLE HOST-ROLE: 100 MiB between them, the same on both sides.
flow() {
    case $2 in
        send)
            tcp-flow listen 7001 receive >"$LOGS/flow" 2>&1 &
            guest_run a 'tcp-flow connect 192.168.77.1 7001 send 100' >"$LOGS/flow.guest"
            ;;
        receive)
            tcp-flow listen 7002 send 100 >"$LOGS/flow" 2>&1 &
            guest_run a 'tcp-flow connect 192.168.77.1 7002 receive' >"$LOGS/flow.guest"
            ;;
    esac
    wait $!
    note "$1: $(cat "$LOGS/flow.guest")"
    has "$1: 100 MiB" "$(cat "$LOGS/flow.guest")" '^104857600 bytes'
    is "$1: the same on both sides" "$(sed -n 's/.*sum //p' "$LOGS/flow")" "$(sed -n 's/.*sum //p' "$LOGS/flow.guest")"
}
EXEC_LIMIT=60
flow "guest to host" send
flow "host to guest" receive
