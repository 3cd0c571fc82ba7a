# SPDX-License-Identifier: GPL-2.0-or-later
# Two guests on one wire, a unix stream socket, and on another one of datagrams: ping and a transfer; one of them goes and
# comes back.
# limit: 180
EXEC_LIMIT=60
wire=$VIRT_SUITE_RUNTIME_DIR/wire
guest a -netdev "stream,id=n0,server=on,addr.type=unix,addr.path=$wire" -device virtio-net-pci,netdev=n0,mac=52:54:00:00:00:01 \
    -netdev "dgram,id=n1,local.type=unix,local.path=$wire.a,remote.type=unix,remote.path=$wire.b" -device virtio-net-pci,netdev=n1,mac=52:54:00:00:01:01
qmp_channel events a
guest b -netdev "stream,id=n0,addr.type=unix,addr.path=$wire" -device virtio-net-pci,netdev=n0,mac=52:54:00:00:00:02 \
    -netdev "dgram,id=n1,local.type=unix,local.path=$wire.b,remote.type=unix,remote.path=$wire.a" -device virtio-net-pci,netdev=n1,mac=52:54:00:00:01:02
ok "the connection is told" channel_wait events 20 'NETDEV_STREAM_CONNECTED.*"netdev-id" *: *"n0"'
for n in 1 2; do
    name=a
    [ $n = 1 ] || name=b
    need "$name answers" agent_answers $name
    guest_run $name "ip addr add 192.168.78.$n/24 dev eth0; ip link set eth0 up; ip addr add 192.168.79.$n/24 dev eth1; ip link set eth1 up" >&2
done
ok "a pings b over the stream" guest_run a 'ping -c 3 -i 0.2 -W 2 192.168.78.2'
ok "a pings b over datagrams" guest_run a 'ping -c 3 -i 0.2 -W 2 192.168.79.2'
for net in 78 79; do
    guest_run b 'rm -f /tmp/flow; setsid tcp-flow listen 7001 receive >/tmp/flow 2>&1 </dev/null &'
    sent=$(guest_run a "tcp-flow connect 192.168.$net.2 7001 send 4")
    got=$(guest_run b 'tail -n 1 /tmp/flow')
    note "net $net: $got"
    has "4 MiB from a to b over net $net" "$got" "^4194304 bytes"
    is "…the same on both sides" "${got##* }" "${sent##* }"
done
kill -KILL "$(pid_of b)"
ok "its end is told" channel_wait events 20 'NETDEV_STREAM_DISCONNECTED'
is "a has no carrier then" "$(guest_run a 'cat /sys/class/net/eth0/carrier')" 0
ok "…and goes on" guest_run a true
