# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 240
# Disks: what a guest writes is in the image and comes back; several at once; one read-only; on an I/O thread.
MIB=1048576
truncate -s $((64 * MIB)) /tmp/one.img /tmp/two.img
head -c $MIB /dev/urandom >/tmp/three.img
CPUS=2
booted a -object iothread,id=io \
    -blockdev '{"driver":"file","filename":"/tmp/one.img","node-name":"one-storage","auto-read-only":true,"discard":"unmap"}' \
    -blockdev '{"node-name":"one","read-only":false,"driver":"raw","discard":"unmap","file":"one-storage"}' \
    -device virtio-blk-pci,drive=one,id=disk1,iothread=io,serial=first,num-queues=2 \
    -drive file=/tmp/two.img,if=virtio,format=raw,cache=writeback \
    -drive file=/tmp/three.img,if=none,id=three,format=raw,readonly=on -device virtio-blk-pci,drive=three,serial=third
sum_of() { head -c "$2" "$1" | sha256sum | cut -d ' ' -f 1; }
# The guest's names for the disks, by their serials; one has none.
disks=$(guest_run a 'for d in /sys/block/vd*; do echo "$(cat $d/serial)=/dev/${d##*/}"; done')
disk() { echo "$disks" | sed -n "s/^$1=//p"; }
one=$(disk first) two=$(disk '') three=$(disk third)
is "three disks are there" "$(echo "$one $two $three" | wc -w)" 3
for pair in "$one /tmp/one.img" "$two /tmp/two.img"; do
    device=${pair% *} image=${pair#* }
    wrote=$(guest_run a "head -c $((3 * MIB)) /dev/urandom >/tmp/data; dd if=/tmp/data of=$device bs=64k conv=fsync 2>/dev/null; sha256sum </tmp/data | cut -d ' ' -f 1")
    is "$image: what was written is in the image" "$(sum_of "$image" $((3 * MIB)))" "$wrote"
    is "$image: and comes back" "$(guest_run a "echo 3 >/proc/sys/vm/drop_caches; head -c $((3 * MIB)) $device | sha256sum | cut -d ' ' -f 1")" "$wrote"
done
is "a file system holds" "$(guest_run a "mke2fs -q -F $one >/dev/null 2>&1 && mkdir -p /mnt && mount $one /mnt && cp /bin/busybox /mnt/b && umount /mnt && mount $one /mnt && cmp /bin/busybox /mnt/b && umount /mnt && echo same")" same
is "the read-only one reads" "$(guest_run a "sha256sum <$three | cut -d ' ' -f 1")" "$(sum_of /tmp/three.img $MIB)"
is "…and is read-only" "$(guest_run a "cat /sys/block/${three##*/}/ro")" 1
before=$(stat -c %b /tmp/one.img)
guest_run a "blkdiscard $one" >/dev/null
ok "a discard gives the room back" [ "$(stat -c %b /tmp/one.img)" -lt "$before" ]
qmp a stop
qmp a cont
is "after stop and cont it goes on" "$(guest_run a "head -c $MIB /dev/zero | dd of=$one conv=fsync 2>/dev/null && echo written")" written
monitor b -nodefaults -m 128 -kernel "$LAB/guest/vmlinuz" -drive file=/tmp/two.img,if=virtio,format=raw
ok "a second monitor on an image refuses" wait_for 10 exited b
is "…with status 1" "$(status_of b)" 1
has "…and says why" "$(cat "$LOGS/b.stderr")" "'/tmp/two.img' is in use by another process"
agent a guest-shutdown >/dev/null
ok "the guest shuts down" wait_for 30 exited a
