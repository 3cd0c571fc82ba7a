# SPDX-License-Identifier: GPL-2.0-or-later
# Sparse images on a file system that runs full: the guest pauses, goes on after cont when there is room, and has lost nothing.
command -v qemu-img >/dev/null || skip "there is no qemu-img (package qemu-utils)"
[ "$(id -u)" = 0 ] || skip "only root may mount"
MIB=1048576
room=$LOGS/room
mkdir -p "$room"
mount -t tmpfs -o size=6m full "$room" || skip "tmpfs cannot be mounted here"
trap 'umount -l "$room"' EXIT
truncate -s 32M "$room/one.raw"
qemu-img create -q -f qcow2 "$room/two.qcow2" 32M
booted a -object iothread,id=io \
    -drive "file=$room/one.raw,if=none,id=one,format=raw" -device virtio-blk-pci,drive=one,iothread=io,id=one \
    -drive "file=$room/two.qcow2,if=none,id=two,format=qcow2" -device virtio-blk-pci,drive=two,id=two
qmp_channel events a
write() { agent a guest-exec path=/bin/sh "arg:=[\"-c\", $(json_string "$1")]" capture-output=true | member pid; }
megabytes=6
for disk in vda vdb; do
    data="yes $disk | head -c $((4 * MIB))"
    channel_mark events
    running=$(write "$data | dd of=/dev/$disk bs=256k oflag=direct 2>&1 && $data | dd of=/dev/$disk bs=256k seek=64 conv=fsync 2>&1 && echo done")
    need "$disk: when there is no more room the guest is told nothing and pauses" wait_for 30 in_state a io-error
    ok "…by an event that says so" channel_wait events 10 'BLOCK_IO_ERROR.*"nospace": true'
    qmp a cont
    ok "…and again, as there is none yet" wait_for 30 in_state a io-error
    megabytes=$((megabytes + 8))
    mount -o remount,size=${megabytes}m "$room"
    qmp a cont
    ok "with more room it goes on" wait_for 60 guest_run_ended a "$running"
    has "…and the write succeeds" "$(member out-data <"$LOGS/exec.json" | base64 -d)" '^done$'
    is "…with nothing lost" "$(guest_run a "for s in 0 16; do dd if=/dev/$disk bs=1M skip=\$s count=4 iflag=direct 2>/dev/null | sha256sum; done | uniq | cut -d ' ' -f 1")" \
        "$(eval "$data" | sha256sum | cut -d ' ' -f 1)"
done
agent a guest-shutdown >/dev/null
ok "the guest shuts down" wait_for 30 exited a
ok "the image is without error" qemu-img check -q "$room/two.qcow2"
