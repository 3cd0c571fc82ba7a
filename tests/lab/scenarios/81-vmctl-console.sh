# SPDX-License-Identifier: GPL-2.0-or-later
# The person's console, on a serial port and on virtio; a guest that is stopped while it boots; one in the foreground.
run() { vmctl run "$@" --kernel "$LAB/guest/vmlinuz" --initrd "$LAB/guest/initrd" --append quiet; }
need "run starts a guest" run serial
ok "its console shows it boot" vmctl console serial --until L2-UP --timeout 60
has "a line typed there is answered" "$(echo 'echo the answer is $((6 * 7))' | vmctl console serial --until 'is 42' --timeout 30)" \
    'the answer is 42'
# A script talks, then another comes: the console is free again at once.
ok "and again" sh -c "echo 'uname -s' | vmctl console serial --until Linux --timeout 30"
need "its agent answers" agent_answers serial
has "list knows the agent" "$(vmctl list)" '^serial +running .* 512 MiB +yes '
is "guest-exec gives what uname says" "$(guest_run serial 'uname -r')" "$(cat "$LAB/guest/release")"
said=$(vmctl stop serial --timeout 60)
has "stop: by the button" "$said" 'guest serial is stopped'
is "…and not the hard way" "$(echo "$said" | grep -c 'hard way')" 0

need "run with a virtio console" run virtio --console virtio
need "its agent answers" agent_answers virtio
ok "a line typed there is answered" sh -c "echo 'uname -s' | vmctl console virtio --until Linux --timeout 30"
ok "the agent shuts it down" vmctl agent virtio guest-shutdown
ok "it ends" sh -c 'for i in 1 2 3 4 5 6 7 8 9 10; do vmctl status virtio >/dev/null || exit 0; sleep 1; done; exit 1'

need "run a guest to stop while it boots" run booting
said=$(vmctl stop booting --timeout 60)
has "it stops" "$said" 'guest booting is stopped'
is "…and not the hard way" "$(echo "$said" | grep -c 'hard way')" 0

mkfifo "$LOGS/keys"
vmctl run front --kernel "$LAB/guest/vmlinuz" --initrd "$LAB/guest/initrd" --foreground <>"$LOGS/keys" >"$LOGS/front.out" 2>&1 &
front=$!
ok "in the foreground: the kernel's first line" wait_for 60 grep -q 'Linux version' "$LOGS/front.out"
ok "in the foreground: user space" wait_for 60 grep -q L2-UP "$LOGS/front.out"
ok "in the foreground: a shell" wait_for 60 grep -q 'lab# ' "$LOGS/front.out"
echo poweroff >"$LOGS/keys"
wait $front
is "in the foreground: its end" $? 0
has "in the foreground: it is said" "$(cat "$LOGS/front.out")" 'guest front has ended'
is "nothing is left but the log of the one that ended by itself" "$(ls "$VIRT_SUITE_RUNTIME_DIR")" virtio
