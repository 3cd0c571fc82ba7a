# SPDX-License-Identifier: GPL-2.0-or-later
# The watchdog expires, the kernel panics, the generation id changes: what the guest does and what the monitor makes of it.
booted a -device i6300esb,id=dog -device pvpanic -device pvpanic-pci -device vmgenid,id=gen0,guid=00112233-4455-6677-8899-aabbccddeeff
qmp_channel events a

# ---- generation id: this kernel has no driver for it, so ACPI's view and the memory are looked at ----
has "ACPI tells of the generation id" "$(guest_run a 'cat /sys/bus/acpi/devices/QEMUVGID:00/path')" VGEN
number() { guest_run a 'devmem 0xff028 32; devmem 0xff02c 32'; }
is "…which lies in memory" "$(number | tr '\n' ' ')" '0x00112233 0x66774455 '
gpe() { guest_run a 'awk "{ print \$1 }" /sys/firmware/acpi/interrupts/gpe05'; }
is "…has not changed yet" "$(gpe)" 0
qmp a qom-set path=/machine/peripheral/gen0 property=guid value=ffeeddcc-4455-6677-8899-aabbccddeeff
is "…can be changed" "$(number | tr '\n' ' ')" '0xFFEEDDCC 0x66774455 '
notified() { [ "$(gpe)" = 1 ]; }
ok "…which is told to the guest" wait_for 20 notified

# ---- watchdog: armed by its registers, for this kernel has no driver for it either ----
# Two stages of a quarter of a second.
arm_watchdog() {
    guest_run a 'for d in /sys/bus/pci/devices/*; do [ "$(cat $d/device)" = 0x25ab ] && break; done
        read -r base rest <$d/resource
        put() { devmem $((base + 12)) 16 0x80; devmem $((base + 12)) 16 0x86; devmem $((base + $1)) 32 $2; }
        put 0 0x40000; put 4 0x40000
        printf "\007\000" >/tmp/settings; printf "\002" >/tmp/enable
        dd if=/tmp/settings of=$d/config bs=1 seek=96 conv=notrunc 2>/dev/null
        setsid sh -c "sleep 0.2; dd if=/tmp/enable of=$d/config bs=1 seek=104 conv=notrunc" >/dev/null 2>&1 </dev/null &'
}
qmp a watchdog-set-action action=pause
ok "the watchdog is armed" arm_watchdog
ok "it expires: WATCHDOG, action pause" channel_wait events 20 '"event": "WATCHDOG".*"action": "pause"'
ok "…the guest is paused" wait_for 10 in_state a watchdog
qmp a cont
ok "…and goes on" agent_answers a
channel_mark events
qmp a watchdog-set-action action=reset
ok "it is armed again" arm_watchdog
ok "it expires: RESET" channel_wait events 20 '"event": "RESET"'
need "…the guest comes up again" wait_for "$BOOT_LIMIT" user_space_up a 2
need "…and its agent" agent_answers a

# ---- panic ----
channel_mark events
qmp a set-action panic=pause
ok "drivers for the panic devices" guest_run a 'modprobe -a pvpanic_mmio pvpanic_pci'
agent a guest-exec path=/bin/sh 'arg:=["-c", "echo c >/proc/sysrq-trigger"]' >/dev/null
ok "a panic is told" channel_wait events 30 '"event": "GUEST_PANICKED".*"action": "pause"'
ok "…and pauses the guest" wait_for 10 in_state a guest-panicked
has "…which says why" "$(cat "$LOGS/a.serial")" 'sysrq triggered crash'
qmp a set-action panic=exit-failure
qmp a cont
ok "with the second device's word the monitor ends" wait_for 30 exited a
is "…with status 1" "$(status_of a)" 1
