# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 300
# A chain of images that qemu-img made is read and written by a guest, then read back by qemu-img; and random requests of all
# kinds through virtio-blk and virtio-scsi, each answer compared with what it must be. ROUNDS: times 300 of these.
command -v qemu-img >/dev/null || skip "there is no qemu-img (package qemu-utils)"
at=/tmp/images
mkdir -p $at
dd if=/dev/urandom of=$at/base.raw bs=1M count=4 2>/dev/null
(
    cd $at || exit
    qemu-img create -q -f qcow2 -b base.raw -F raw -o cluster_size=4k middle.qcow2 6M
    qemu-img create -q -f qcow2 -b middle.qcow2 -F qcow2 top.qcow2 8M
    qemu-img create -q -f qcow2 -o cluster_size=8k verify.qcow2 12M
    truncate -s 12M verify.raw
)
sum_of() { sha256sum "$1" | cut -d ' ' -f 1; }
# What the chain must hold, kept as a plain file.
cp $at/base.raw $at/wanted
truncate -s 8M $at/wanted
CPUS=2
booted a -object iothread,id=io \
    -drive file=$at/top.qcow2,if=none,id=chain,format=qcow2,discard=unmap -device virtio-blk-pci,drive=chain,iothread=io \
    -drive file=$at/verify.qcow2,if=none,id=v1,format=qcow2,discard=unmap -device virtio-blk-pci,drive=v1 \
    -device virtio-scsi-pci,iothread=io \
    -drive file=$at/verify.raw,if=none,id=v2,format=raw,discard=unmap -device scsi-hd,drive=v2
is "a chain of three images reads as it should" "$(guest_run a 'sha256sum </dev/vda | cut -d " " -f 1')" "$(sum_of $at/wanted)"
for place in 3 1000 5000 8500 15000; do
    write="dd of=FILE bs=512 seek=$place count=700 conv=notrunc,fsync 2>/dev/null"
    yes "data for $place" | eval "$(echo "$write" | sed "s,FILE,$at/wanted,")"
    guest_run a "yes 'data for $place' | $(echo "$write" | sed s,FILE,/dev/vda,)"
done
is "…and what was written" "$(guest_run a 'echo 3 >/proc/sys/vm/drop_caches; sha256sum </dev/vda | cut -d " " -f 1')" "$(sum_of $at/wanted)"
operations=$((${ROUNDS:-1} * 300))
EXEC_LIMIT=500
is "requests of all kinds to a qcow2 disk" "$(guest_run a "disk-verify /dev/vdb $operations 1 2>&1")" "verified $operations"
is "…and to a SCSI disk" "$(guest_run a "disk-verify /dev/sda $operations 2 2>&1")" "verified $operations"
agent a guest-shutdown >/dev/null
ok "the guest shuts down" wait_for 30 exited a
for image in middle top verify; do
    ok "qemu-img finds no error in $image.qcow2" qemu-img check -q $at/$image.qcow2
done
qemu-img convert -f qcow2 -O raw $at/top.qcow2 $at/copy
is "qemu-img reads back what was written" "$(sum_of $at/copy)" "$(sum_of $at/wanted)"
rm -rf $at
