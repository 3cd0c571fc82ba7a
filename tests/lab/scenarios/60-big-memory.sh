# SPDX-License-Identifier: GPL-2.0-or-later
# A guest with more memory than fits below the PCI window gets the rest above 4 GiB.
[ "$LAB_MEMORY" -ge 6144 ] || skip "the lab's machine has only $LAB_MEMORY MiB"
MEMORY=4608 EXEC_LIMIT=90
booted a
is "the guest has it all" "$(guest_run a 'awk "/^MemTotal/ { print (\$2 > 4300 * 1024 && \$2 < 4608 * 1024) }" /proc/meminfo')" 1
has "some of it above 4 GiB" "$(guest_run a 'dmesg')" 'BIOS-e820: \[mem 0x0000000100000000-0x00000001[0-9a-f]*\] usable'
is "it holds what is written there" "$(guest_run a 'mount -t tmpfs -o size=90% tmpfs /tmp && dd if=/dev/zero bs=1M count=300 2>/dev/null | tr "\0" x >/tmp/x && tr -d x </tmp/x | wc -c')" 0
