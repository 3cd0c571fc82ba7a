# SPDX-License-Identifier: GPL-2.0-or-later
# -cpu, as the CPUID instruction tells it in the guest: a level has exactly its features.
case $MONITOR in qemu*) skip "levels are host-vmm's" ;; esac
cpu() { guest_run "$1" "guest-cpuid $2"; }
# Without what KVM offers beyond a CPU.
features() { cpu "$1" features | tr ' ' '\n' | grep -v '^kvm' | sort | tr '\n' ' '; }
sorted() { echo "$@" | tr ' ' '\n' | sort | tr '\n' ' '; }
v1='de pse tsc msr pae mce apic sep mtrr pge mca pat pse36 clflush nx lm vme hypervisor x2apic tsc-deadline arat cmov cx8 fpu fxsr mmx syscall sse sse2'

booted a -cpu x86-64-v1
# The lab's emulated host may lack some of what a level has: that is told, and left out.
lacks=$(sed -n 's/.*this host has no \([^ ]*\) .*/\1/p' "$LOGS/a.stderr" | tr '\n' '|')
without() { sorted "$@" | tr ' ' '\n' | grep -vxE "${lacks}-" | tr '\n' ' '; }
is "x86-64-v1 has exactly its features" "$(features a)" "$(without $v1)"
is "…and a name of its own" "$(guest_run a 'sed -n "s/^model name[^:]*: //p" /proc/cpuinfo')" "Virtual CPU x86-64-v1"
