# SPDX-License-Identifier: GPL-2.0-or-later
# nested=off: the guest cannot run guests. nested=on: host-vmm runs inside it, its probe guest and one with devices.
[ -e "$LAB/guest/nested" ] || skip "the image for it was not made"
case $MONITOR in qemu*) skip "the switch is host-vmm's" ;; esac
cat "$LAB/guest/initrd" "$LAB/guest/nested" >"$LOGS/initrd"
INITRD=$LOGS/initrd
booted off -cpu host,nested=off
is "nested=off: the guest's CPU has no SVM" "$(guest_run off 'guest-cpuid features' | grep -cw svm)" 0
ok "…and its kernel no KVM" guest_run off '! modprobe kvm_amd && ! [ -e /dev/kvm ]'
qmp off quit >/dev/null

booted on -cpu host,nested=on
is "nested=on: the guest's CPU has SVM" "$(guest_run on 'guest-cpuid features' | grep -cw svm)" 1
need "…and its kernel KVM" guest_run on 'modprobe kvm_amd && [ -c /dev/kvm ]'
EXEC_LIMIT=90
has "…on which the probe guest runs" "$(guest_run on 'timeout 60 host-vmm -accel kvm,probe=only 2>&1')" 'KVM runs 64-bit guests'
inner='echo p | timeout 60 host-vmm -nodefaults -kernel /bin/payload -serial stdio -object iothread,id=io -device virtio-rng-pci -smp 2 2>&1'
said=$(guest_run on "$inner; echo status \$?" | tr -d '\r' | tr '\n' ' ')
has "…and a guest of its own, which powers off" "$said" 'payload up.*status 0'
