# SPDX-License-Identifier: GPL-2.0-or-later
# A SCSI bus with two disks and a CD-ROM: read, written, discarded, grown, and there again after a reboot.
dd if=/dev/urandom of=/tmp/disk0 bs=1M count=16 2>/dev/null
dd if=/dev/zero of=/tmp/disk1 bs=1M count=16 2>/dev/null
dd if=/dev/urandom of=/tmp/cd bs=1M count=4 2>/dev/null
sum_of() { sha256sum "$1" | cut -d ' ' -f 1; }
drive() { printf 'raw,node-name=%s,discard=unmap,file.driver=file,file.filename=/tmp/%s' "$1" "$1"; }
booted a -object iothread,id=io -device virtio-scsi-pci,id=scsi0,iothread=io \
    -blockdev "$(drive disk0)" -device scsi-hd,drive=disk0,id=d0,bus=scsi0.0,scsi-id=0,lun=0,serial=one \
    -blockdev "$(drive disk1)" -device scsi-hd,drive=disk1,id=d1,bus=scsi0.0,scsi-id=0,lun=1 \
    -blockdev "$(drive cd)" -device scsi-cd,drive=cd,id=c0,bus=scsi0.0,scsi-id=5
there() { guest_run a '[ -b /dev/sda ] && [ -b /dev/sdb ] && [ -b /dev/sr0 ]'; }
need "the guest finds two disks and a CD-ROM" wait_for 20 there
# The kernel names disks in the order in which it finds them, which differs. block_at TARGET:LUN: the name.
block_at() { guest_run a "ls /sys/bus/scsi/devices/*:0:$1/block"; }
one=$(block_at 0:0) two=$(block_at 0:1)
# row_of NAME: the disk's row of guest-get-disks, without blanks. Its members come in any order.
row_of() { agent a guest-get-disks | tr -d ' \n' | sed 's/},{/\n/g' | grep "\"name\":\"/dev/$1\""; }
row=$(row_of "$two")
has "…guest-get-disks says on which bus" "$row" '"bus-type":"scsi"'
has "…which target" "$row" '"target":0[,}]'
has "…which unit" "$row" '"unit":1[,}]'
has "…the CD-ROM's target" "$(row_of sr0)" '"target":5[,}]'
is "…the disk's size" "$(guest_run a "cat /sys/block/$one/size")" 32768
is "…its contents" "$(guest_run a "sha256sum /dev/$one | cut -d ' ' -f 1")" "$(sum_of /tmp/disk0)"
is "…the CD's" "$(guest_run a 'sha256sum /dev/sr0 | cut -d " " -f 1')" "$(sum_of /tmp/cd)"
is "…that it cannot be written" "$(guest_run a 'dd if=/dev/zero of=/dev/sr0 bs=2k count=1 2>/dev/null; echo $?')" 1
guest_run a "dd if=/dev/$one of=/dev/$two bs=64k conv=fsync 2>/dev/null"
is "what the guest has written is in the image" "$(sum_of /tmp/disk1)" "$(sum_of /tmp/disk0)"
before=$(du -k /tmp/disk1 | cut -f 1)
guest_run a "blkdiscard -o 4194304 -l 8388608 /dev/$two"
ok "discarded blocks are the host's again" [ "$(du -k /tmp/disk1 | cut -f 1)" -lt $((before - 7000)) ]
agent a guest-shutdown mode=reboot >/dev/null 2>&1
need "after a reboot it is up" wait_for "$BOOT_LIMIT" user_space_up a 2
need "…and the agent answers" agent_answers a
need "…with its disks" wait_for 20 there
is "…and their contents" "$(guest_run a "sha256sum /dev/$(block_at 0:0) | cut -d ' ' -f 1")" "$(sum_of /tmp/disk0)"
rm -f /tmp/disk0 /tmp/disk1 /tmp/cd
