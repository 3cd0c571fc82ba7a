# SPDX-License-Identifier: GPL-2.0-or-later
# -cpu, as the CPUID instruction tells it in the guest: levels have exactly their features; features switched by name; Hyper-V's
# leaves; clocks.
case $MONITOR in qemu*) skip "levels are host-vmm's" ;; esac
cpu() { guest_run "$1" "guest-cpuid $2"; }
# Without what KVM offers beyond a CPU.
features() { cpu "$1" features | tr ' ' '\n' | grep -v '^kvm' | sort | tr '\n' ' '; }
sorted() { echo "$@" | tr ' ' '\n' | sort | tr '\n' ' '; }
v1='de pse tsc msr pae mce apic sep mtrr pge mca pat pse36 clflush nx lm vme hypervisor x2apic tsc-deadline arat cmov cx8 fpu fxsr mmx syscall sse sse2'
v2="$v1 cx16 lahf-lm popcnt pni sse4.1 sse4.2 ssse3"

booted a -cpu x86-64-v1
# The lab's emulated host may lack some of what a level has: that is told, and left out.
lacks=$(sed -n 's/.*this host has no \([^ ]*\) .*/\1/p' "$LOGS/a.stderr" | tr '\n' '|')
without() { sorted "$@" | tr ' ' '\n' | grep -vxE "${lacks}-" | tr '\n' ' '; }
is "x86-64-v1 has exactly its features" "$(features a)" "$(without $v1)"
is "…and a name of its own" "$(guest_run a 'sed -n "s/^model name[^:]*: //p" /proc/cpuinfo')" "Virtual CPU x86-64-v1"
agent a guest-shutdown mode=powerdown >/dev/null 2>&1

booted b -cpu x86-64-v2,+aes,-popcnt
lacks=$(sed -n 's/.*this host has no \([^ ]*\) .*/\1/p' "$LOGS/b.stderr" | tr '\n' '|')
is "x86-64-v2 with a feature more and one less" "$(features b)" "$(without "$v2" aes | sed 's/popcnt //')"
agent b guest-shutdown mode=powerdown >/dev/null 2>&1

booted c -cpu host,hv-relaxed,hv-vapic,hv-time,hv-vpindex,hv-synic,hv-stimer,hv-spinlocks=0x1fff
is "Hyper-V's vendor leaf" "$(cpu c 40000000)" "40000005 7263694d 666f736f 76482074"
is "…its interface" "$(cpu c 40000001 | cut -d ' ' -f 1)" 31237648
is "…its features" "$(cpu c 40000003 | cut -d ' ' -f 1,2)" "0000027e 00000030"
is "…its advice" "$(cpu c 40000004 | cut -d ' ' -f 1,2)" "00000028 00001fff"
is "KVM's leaf has moved" "$(cpu c 40000100 | cut -d ' ' -f 2)" 4b4d564b
agent c guest-shutdown mode=powerdown >/dev/null 2>&1

booted d -cpu host,kvmclock=off
has "kvmclock=off: the guest has another clock" \
    "$(guest_run d 'cat /sys/devices/system/clocksource/clocksource0/available_clocksource')" '^[^k]*$'
