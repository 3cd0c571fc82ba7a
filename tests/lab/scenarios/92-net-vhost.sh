# SPDX-License-Identifier: GPL-2.0-or-later
# vhost=on: the kernel moves the packets of two cards, one with MSI-X and one without; the link goes and comes, the guest
# reboots, the tap vanishes.
# limit: 240
MEMORY=384
EXEC_LIMIT=60
modprobe -q -a tun vhost_net || :
[ -c /dev/net/tun ] || skip "there is no /dev/net/tun here"
[ -c /dev/vhost-net ] || skip "there is no /dev/vhost-net here"
[ "$(id -u)" = 0 ] || skip "only root may make tap interfaces"
booted a -netdev tap,id=n0,ifname=vlab0,vhost=on -device virtio-net-pci,netdev=n0,id=net0,mac=52:54:00:00:00:01 \
    -netdev tap,id=n1,ifname=vlab1,vhost=on -device virtio-net-pci,netdev=n1,id=net1,mac=52:54:00:00:00:02,vectors=0
for n in 0 1; do
    ip addr add "192.168.8$n.1/24" dev vlab$n
    ip link set vlab$n up
done
addresses() {
    guest_run a 'for n in 0 1; do ip addr add 192.168.8$n.2/24 dev eth$n; ip link set eth$n up; done' >&2
}
addresses
transfer() {
    tcp-flow listen 7001 receive >"$LOGS/flow" 2>&1 &
    sent=$(guest_run a "tcp-flow connect 192.168.$1.1 7001 send 10")
    wait $!
    got=$(tail -n 1 "$LOGS/flow")
    note "$2: to the host: $got"
    is "$2: 10 MiB to the host, the same on both sides" "${got%% *} ${got##* }" "10485760 ${sent##* }"
    tcp-flow listen 7002 send "$3" >"$LOGS/flow" 2>&1 &
    got=$(guest_run a "tcp-flow connect 192.168.$1.1 7002 receive")
    wait $!
    sent=$(tail -n 1 "$LOGS/flow")
    note "$2: to the guest: $got"
    is "$2: $3 MiB to the guest, the same on both sides" "${got%% *} ${got##* }" "$(($3 * 1048576)) ${sent##* }"
}
ok "the host pings the guest" wait_for 20 ping -c 1 -W 2 192.168.80.2
ok "the guest pings the host by the card without MSI-X" guest_run a 'ping -c 2 -i 0.2 192.168.81.1'
spent() { awk '{ print $14 + $15 }' "/proc/$(pid_of a)/task/$(pid_of a)/stat"; }
before=$(spent)
transfer 80 "MSI-X" 100
note "the monitor's main thread: $(($(spent) - before)) ticks for it"
transfer 81 "INTx" 10
qmp a set_link name=net0 up:=false >&2
is "set_link takes the carrier away" "$(guest_run a 'cat /sys/class/net/eth0/carrier')" 0
ok "…and nothing goes through" guest_run a '! ping -c 1 -W 1 192.168.80.1'
qmp a set_link name=net0 up:=true >&2
ok "…until it is back" wait_for 20 ping -c 1 -W 2 192.168.80.2
qmp a system_reset >&2
need "the guest reboots" wait_for 60 user_space_up a 2
need "…its agent answers" agent_answers a
addresses
ok "…and the cards work again" guest_run a 'ping -c 1 -W 5 192.168.80.1 && ping -c 1 -W 5 192.168.81.1'
tunctl -d vlab0 >&2 || ip link delete vlab0 >&2
ok "a tap that vanishes is told" wait_for 20 grep -q "netdev 'n0': the tap interface 'vlab0' is gone" "$LOGS/a.stderr"
is "…and to the guest" "$(guest_run a 'cat /sys/class/net/eth0/carrier')" 0
ok "the other card goes on" guest_run a 'ping -c 1 -W 5 192.168.81.1'
is "nothing else was complained about" "$(grep -c . "$LOGS/a.stderr")" 1
