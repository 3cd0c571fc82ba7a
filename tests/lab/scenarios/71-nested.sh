# SPDX-License-Identifier: GPL-2.0-or-later
# nested=off: the guest cannot run guests.
[ -e "$LAB/guest/nested" ] || skip "the image for it was not made"
case $MONITOR in qemu*) skip "the switch is host-vmm's" ;; esac
cat "$LAB/guest/initrd" "$LAB/guest/nested" >"$LOGS/initrd"
INITRD=$LOGS/initrd
booted off -cpu host,nested=off
is "nested=off: the guest's CPU has no SVM" "$(guest_run off 'guest-cpuid features' | grep -cw svm)" 0
ok "…and its kernel no KVM" guest_run off '! modprobe kvm_amd && ! [ -e /dev/kvm ]'
