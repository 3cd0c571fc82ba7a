# SPDX-License-Identifier: GPL-2.0-or-later
# A guest's cards on a tap interface with two queues and on a user network: ping, names, 100 MiB and whole; the
# link by set_link; and a tap that vanishes in the middle of a transfer.
# limit: 240
MEMORY=384
CPUS=2
EXEC_LIMIT=90
modprobe -q tun || :
[ -c /dev/net/tun ] || skip "there is no /dev/net/tun here"
[ "$(id -u)" = 0 ] || skip "only root may make tap interfaces"
booted a -netdev tap,id=n0,ifname=lab0,queues=2,script=no,downscript=no \
    -device virtio-net-pci,netdev=n0,id=net0,mac=52:54:00:00:00:01,mq=on \
    -netdev '{"type":"user","id":"n1","hostname":"box","hostfwd":[{"str":"tcp:127.0.0.1:7122-:7003"}]}' \
    -device virtio-net-pci,netdev=n1,id=net1
ip addr add 192.168.77.1/24 dev lab0
ip link set lab0 up
is "the card has its address" "$(guest_run a 'cat /sys/class/net/eth0/address')" 52:54:00:00:00:01
guest_run a 'ip addr add 192.168.77.2/24 dev eth0 && ip link set eth0 up' >&2
ok "the host pings the guest" wait_for 20 ping -c 1 -W 2 192.168.77.2
ok "the guest pings the host, 1400 bytes" guest_run a 'ping -c 3 -i 0.2 -s 1400 192.168.77.1'
is "the guest uses both queues" "$(guest_run a 'ls -d /sys/class/net/eth0/queues/tx-* | wc -l')" 2

guest_run a 'printf "#!/bin/sh\n[ \$1 != bound ] || { ip addr add \$ip/24 dev \$interface; echo \$ip \$hostname \$dns >/tmp/lease; }\n" >/tmp/dhcp
    chmod +x /tmp/dhcp; ip link set eth1 up; udhcpc -i eth1 -n -q -s /tmp/dhcp' >&2
is "DHCP gives address, name and name server" "$(guest_run a 'cat /tmp/lease')" "10.0.2.15 box 10.0.2.3"
ok "the guest pings the gateway" guest_run a 'ping -c 2 -i 0.2 10.0.2.2'

# compare PID WHAT MIB LINE: both sides' last lines; the sum is over all bytes in their order.
compare() {
    wait "$1"
    other=$(tail -n 1 "$LOGS/flow")
    note "$2: $4"
    has "$2: $3 MiB" "$4" "^$(($3 * 1048576)) bytes"
    is "$2: the same on both sides" "${other##* }" "${4##* }"
}
tcp-flow listen 7001 receive >"$LOGS/flow" 2>&1 &
compare $! "tap, to the host" 10 "$(guest_run a 'tcp-flow connect 192.168.77.1 7001 send 10')"
tcp-flow listen 7002 send 100 >"$LOGS/flow" 2>&1 &
compare $! "tap, to the guest" 100 "$(guest_run a 'tcp-flow connect 192.168.77.1 7002 receive')"
tcp-flow listen 7004 receive >"$LOGS/flow" 2>&1 &
compare $! "user, to the host" 10 "$(guest_run a 'tcp-flow connect 10.0.2.2 7004 send 10')"
guest_run a 'setsid tcp-flow listen 7003 receive >/tmp/flow 2>&1 </dev/null &'
tcp-flow connect 127.0.0.1 7122 send 100 >"$LOGS/flow" 2>&1 &
wait $!
compare $! "user, to the guest by hostfwd" 100 "$(guest_run a 'tail -n 1 /tmp/flow')"

carrier() { guest_run a 'cat /sys/class/net/eth0/carrier'; }
qmp a set_link name=net0 up:=false >&2
is "set_link takes the carrier away" "$(carrier)" 0
qmp a set_link name=net0 up:=true >&2
is "…and brings it back" "$(carrier)" 1
ok "the host pings the guest again" wait_for 20 ping -c 1 -W 2 192.168.77.2

guest_run a 'setsid sh -c "tcp-flow connect 192.168.77.1 7005 send 100000" >/dev/null 2>&1 </dev/null &'
tcp-flow listen 7005 receive >/dev/null 2>&1 &
echo $! >>"$LOGS/pids"
sleep 1
tunctl -d lab0 >&2 || ip link delete lab0 >&2
ok "a tap that vanishes is told" wait_for 20 grep -q "netdev 'n0': the tap interface 'lab0' is gone" "$LOGS/a.stderr"
is "…once" "$(grep -c 'lab0' "$LOGS/a.stderr")" 1
is "…and to the guest" "$(carrier)" 0
ok "the guest goes on: the other card works" guest_run a 'ping -c 1 10.0.2.2'
in_state a running
before=$(awk '{ print $14 + $15 }' "/proc/$(pid_of a)/stat")
sleep 1
has "…and the monitor rests" "$(($(awk '{ print $14 + $15 }' "/proc/$(pid_of a)/stat") - before))" '^[0-9]$|^[1-4][0-9]$'
