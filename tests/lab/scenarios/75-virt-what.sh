# SPDX-License-Identifier: GPL-2.0-or-later
# virt-what tells what it is in: a guest of host-vmm (or of QEMU on KVM, with --monitor qemu), asked through the agent; and the
# nested machine, which is QEMU without KVM.
[ -x "$LAB/bin/virt-what" ] || skip "virt-what is not built"
command='VIRT_WHAT_LIBEXECDIR=/bin VIRT_WHAT_SBINDIR=/bin VIRT_WHAT_SIGNATURES=/bin/signatures sh /bin/virt-what'
case $MONITOR in
    qemu*) monitor_fact='' ;;
    *) monitor_fact='host-vmm' ;;
esac
booted a
is "the guest's facts" "$(guest_run a "$command" | tr '\n' ' ')" "kvm "
is "the extended facts name the monitor" "$(guest_run a "$command --extended" | tr '\n' ' ')" "kvm ${monitor_fact:+$monitor_fact }"
said=$(guest_run a "$command --json")
has "--json has KVM's leaf" "$said" '"source":"cpuid 0x40000[01]00","has":"KVMKVMKVM"'
has "--json has one layer" "$said" '"layers":\["kvm"\],"container":null,"confidential":\[\],"nested":false'
[ -z "$monitor_fact" ] || has "--json has the monitor's ACPI tables" "$said" '"source":"/sys/firmware/acpi/tables","like":"\* VSUITE HOST-VMM"'
is "systemd's word" "$(guest_run a "$command --systemd")" "kvm"
has "somebody without rights gets facts, and is told what is missing" \
    "$(guest_run a "echo somebody::1000:1000::/:/bin/sh >>/etc/passwd; su somebody -c '$command --extended' 2>&1" | tr '\n' ' ')" \
    '^kvm virt-what: could not look at .*/proc/1/environ, /sys/firmware/acpi/tables $'
if [ "$("$LAB/bin/virt-what-cpuid-helper")" = TCGTCGTCGTCG ]; then
    VIRT_WHAT_LIBEXECDIR=$LAB/bin VIRT_WHAT_SBINDIR=$LAB/bin VIRT_WHAT_SIGNATURES=$LAB/bin/signatures
    export VIRT_WHAT_LIBEXECDIR VIRT_WHAT_SBINDIR VIRT_WHAT_SIGNATURES
    is "the nested machine is QEMU without KVM" "$(sh "$LAB/bin/virt-what" | tr '\n' ' ')" "qemu "
fi
