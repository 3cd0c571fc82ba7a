# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 120
# Sockets between host and guest: both ways, over a reset, without MSI-X, and two guests that want one number.
modprobe -q vhost_vsock || :
[ -c /dev/vhost-vsock ] || skip "there is no /dev/vhost-vsock here"
# flows NAME CID MIB
flows() {
    need "$1: its driver" guest_run "$1" 'modprobe vmw_vsock_virtio_transport'
    guest_run "$1" 'setsid tcp-flow listen vsock:7003 receive >/tmp/flow 2>&1 </dev/null &'
    sent=$(tcp-flow connect "vsock:$2" 7003 send "$3")
    got=$(guest_run "$1" 'tail -n 1 /tmp/flow')
    has "$1, to the guest: $3 MiB" "$got" "^$(($3 << 20)) bytes"
    is "…the same on both sides" "${got##* }" "${sent##* }"
    tcp-flow listen vsock:7004 receive >"$LOGS/flow" 2>&1 &
    sent=$(guest_run "$1" "tcp-flow connect vsock:2 7004 send $3")
    wait $!
    got=$(tail -n 1 "$LOGS/flow")
    has "$1, to the host: $3 MiB" "$got" "^$(($3 << 20)) bytes"
    is "…the same on both sides" "${got##* }" "${sent##* }"
}
booted a -device vhost-vsock-pci,guest-cid=42,id=vsock0
flows a 42 8
monitor c -nodefaults -m 64 -kernel "$LAB/guest/vmlinuz" -device vhost-vsock-pci,guest-cid=42
ok "a second guest of that number is refused" wait_for 20 exited c
has "…and told why" "$(cat "$LOGS/c.stderr")" "guest-cid=42 is another guest's"
qmp a system_reset
need "after a reset it comes up again" wait_for "$BOOT_LIMIT" user_space_up a 2
need "…and the agent answers" agent_answers a
flows a 42 1
is "nothing was complained of" "$(cat "$LOGS/a.stderr")" ''
kill -TERM "$(pid_of a)"
booted b -device vhost-vsock-pci,guest-cid=43,vectors=0
flows b 43 2
