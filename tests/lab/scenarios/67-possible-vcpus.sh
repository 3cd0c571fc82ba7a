# SPDX-License-Identifier: GPL-2.0-or-later
# 255 vCPUs are possible; the last of them is plugged.
CPUS=1,maxcpus=255
booted a
qmp_channel events a
is "255 are possible" "$(guest_run a 'cat /sys/devices/system/cpu/possible')" 0-254
is "the monitor says so too" "$(qmp a query-hotpluggable-cpus | grep -c vcpus-count)" 255
channel_mark events
need "the last one is plugged" qmp a device_add driver=host-x86_64-cpu id=last socket-id:=0 core-id:=254 thread-id:=0
need "the guest has taken it up" channel_wait events 20 'ACPI_DEVICE_OST.*"device": "last".*"status": 0'
# The guest counts them as they come.
is "it works" "$(guest_run a 'echo 1 >/sys/devices/system/cpu/cpu1/online; taskset -c 1 sh -c "echo \$((6 * 7))"')" 42
is "…being the one of that APIC id" "$(guest_run a 'grep -c "^apicid.*: 254$" /proc/cpuinfo')" 1
