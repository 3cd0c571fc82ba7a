# SPDX-License-Identifier: GPL-2.0-or-later
# Without MSI every virtio function works by its interrupt line.
APPEND='pci=nomsi'
booted a -object rng-random,id=rng0,filename=/dev/urandom -device virtio-rng-pci,rng=rng0
is "no MSI is in use" "$(guest_run a 'grep -c MSI /proc/interrupts')" 0
has "virtio interrupts arrive by the IO-APIC" "$(guest_run a 'cat /proc/interrupts')" 'IO-APIC.*virtio'
is "rng answers" "$(guest_run a 'dd if=/dev/hwrng bs=512 count=4 iflag=fullblock 2>/dev/null | wc -c')" 2048
channel_open console "$(sockets a)/console.sock"
channel_send console ''
channel_send console 'echo line $((6 * 7))'
ok "the console answers" channel_wait console 20 'line 42'
is "no interrupt was spurious" "$(guest_run a 'dmesg | grep -i "nobody cared"')" ""
