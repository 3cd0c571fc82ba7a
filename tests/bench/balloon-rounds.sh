# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh disable=SC2034
# Runs in the bench's machine by scenario.sh, for tests/bench/balloon: prints "# figure DIRECTION MONITOR SECONDS", and
# the processor time that the monitor took, its guest included: other load on the machine does not change that.
MEMORY=768
EXEC_LIMIT=120
FULL=$((768 << 20)) SMALL=$((256 << 20))
MONITOR=host-vmm
booted host-vmm -device virtio-balloon-pci,id=balloon0
MONITOR=$QEMU
booted qemu -device virtio-balloon-pci,id=balloon0

# Hundredths of a second.
hundredths() { read -r n _ </proc/uptime && echo "${n%.*}${n#*.}"; }
reached() { [ "$(qmp "$1" query-balloon | member actual)" = "$2" ]; }
# Of the monitor, in hundredths of a second.
processor_time() { awk '{ print $14 + $15 }' "/proc/$(pid_of "$1")/stat"; }
seconds() { echo "$(($1 / 100)).$(printf %02d $(($1 % 100)))"; }
# take DIRECTION MONITOR BYTES
take() {
    used=$(processor_time "$2") begun=$(hundredths)
    qmp "$2" balloon "value:=$3"
    need "$2: $1" wait_for 120 reached "$2" "$3"
    took=$(($(hundredths) - begun))
    note "figure $1 $2 $(seconds $took)"
    note "figure $1-processor $2 $(seconds $(($(processor_time "$2") - used)))"
}
round=0
while [ $round -lt "$ROUNDS" ]; do
    order='host-vmm qemu'
    [ $((round % 2)) = 0 ] || order='qemu host-vmm'
    for name in $order; do
        guest_run "$name" 'mkdir -p /tmp/used && mount -t tmpfs -o size=90% used /tmp/used && dd if=/dev/zero of=/tmp/used/file bs=1M count=540 2>/dev/null; umount /tmp/used'
        take in-512-MiB "$name" $SMALL
        take out-512-MiB "$name" $FULL
    done
    round=$((round + 1))
done
