# SPDX-License-Identifier: GPL-2.0-or-later
# A PS/2 keyboard: the kernel finds it, hears keys, and Ctrl-Alt-Del has init reboot; a kernel told to uses it to reset.
APPEND='reboot=k'
booted a -device i8042
has "the kernel has found the controller" "$(guest_run a 'dmesg | grep i8042')" 'i8042 KBD port at 0x60,0x64 irq 1'
keyboard() { guest_run a 'grep -l "AT Translated Set 2 keyboard" /sys/class/input/*/name'; }
need "…and the keyboard" wait_for 20 keyboard
event=$(guest_run a 'for d in /sys/class/input/event*; do grep -q "AT Translated" $d/device/name && echo /dev/input/${d##*/}; done')
guest_run a "setsid sh -c 'head -c 144 $event >/tmp/keys' >/dev/null 2>&1 </dev/null & sleep 0.5"
qmp a send-key 'keys:=[{"type": "qcode", "data": "a"}]' >&2
pressed() { [ "$(guest_run a 'wc -c </tmp/keys')" = 144 ]; }
ok "a key arrives" wait_for 20 pressed
# struct input_event: type at 16, code at 18, value at 20; the second of three is the key.
has "…as the one that it is" "$(guest_run a 'hexdump -v -e "24/1 \"%02x\" \"\n\"" /tmp/keys')" '^.{32}01001e0001000000$'
qmp a send-key 'keys:=[{"type": "qcode", "data": "ctrl"}, {"type": "qcode", "data": "alt"}, {"type": "qcode", "data": "delete"}]' >&2
ok "Ctrl-Alt-Del reboots, by the controller" wait_for "$BOOT_LIMIT" user_space_up a 2
is "what is no key is refused" "$(qmp a send-key 'keys:=[{"type": "qcode", "data": "x1"}]' 2>&1 | grep -c 'Key 0 is none')" 1
