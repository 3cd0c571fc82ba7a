# SPDX-License-Identifier: GPL-2.0-or-later
# -netdev user in the sandbox, where the main thread makes a socket for each of the guest's connections: an address by DHCP,
# transfers both ways, one through a forwarded port.
# limit: 120
EXEC_LIMIT=60
ip link set lo up
booted a -sandbox on,open=deny -netdev user,id=n0,hostfwd=tcp:127.0.0.1:7005-:7006 -device virtio-net-pci,netdev=n0
ok "the guest has its address by DHCP" guest_run a 'ip link set eth0 up; udhcpc -n -q -t 5 -i eth0 -s /bin/true && ip addr add 10.0.2.15/24 dev eth0'
ok "the host answers" guest_run a 'ping -c 2 -i 0.2 -W 2 10.0.2.2'
tcp-flow listen 7001 receive >"$LOGS/flow" 2>&1 &
sent=$(guest_run a 'tcp-flow connect 10.0.2.2 7001 send 4')
wait $!
got=$(tail -n 1 "$LOGS/flow")
note "$got"
is "4 MiB to the host, the same on both sides" "${got%% *} ${got##* }" "4194304 ${sent##* }"
guest_run a 'rm -f /tmp/flow; setsid tcp-flow listen 7006 receive >/tmp/flow 2>&1 </dev/null &'
sent=$(timeout 30 tcp-flow connect 127.0.0.1 7005 send 4)
ended() { [ "$(guest_run a 'grep -c bytes /tmp/flow')" = 1 ]; }
ok "a connection through the forwarded port ends" wait_for 20 ended
got=$(guest_run a 'tail -n 1 /tmp/flow')
is "…4 MiB came through" "${got%% *} ${got##* }" "4194304 ${sent##* }"
ok "nobody answers at another port" guest_run a '! timeout 5 nc 10.0.2.2 7099 </dev/null'
ok "a server for names that is not there does no harm" guest_run a '! timeout 3 nslookup host.example 10.0.2.3'
ok "the guest lives on" agent_answers a
