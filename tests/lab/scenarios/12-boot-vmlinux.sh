# SPDX-License-Identifier: GPL-2.0-or-later
# The ELF kernel boots by its PVH entry.
KERNEL=vmlinux
booted a
is "the kernel is the one given" "$(guest_run a 'uname -r')" "$(cat "$LAB/guest/release")"
is "the kernel command line arrived" "$(guest_run a 'tr " " "\n" </proc/cmdline | grep hostname=')" hostname=a
is "ACPI is there" "$(guest_run a 'ls /sys/firmware/acpi/tables | grep -c -e DSDT -e FACP -e APIC')" 3
CPUS=2
booted b
is "a second one beside it has 2 processors" "$(guest_run b 'nproc')" 2
