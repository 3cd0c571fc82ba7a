# SPDX-License-Identifier: GPL-2.0-or-later
# The sandbox, which each guest of the lab has, at its strictest: nothing can be opened after the start; a guest with disks,
# one of them by a descriptor that was inherited, works all the same.
case $MONITOR in qemu*) skip "the threads' lists are host-vmm's" ;; esac
truncate -s 16M /tmp/given.img /tmp/named.img /tmp/later.img
exec 9<>/tmp/given.img 8<>/tmp/later.img
booted a -sandbox on,open=deny,spawn=deny -object iothread,id=io -device virtio-scsi-pci,id=scsi0,iothread=io \
    -add-fd fd=9,set=1 -add-fd fd=8,set=2 -blockdev driver=file,node-name=given,filename=/dev/fdset/1 -device scsi-hd,drive=given \
    -drive file=/tmp/named.img,if=virtio,format=raw,aio=threads
threads() {
    for file in /proc/"$(pid_of a)"/task/*/status; do
        grep -q '^Name:.*kvm-' "$file" || sed -n "s/^$1:[[:space:]]*//p" "$file"
    done | sort -u
}
is "each thread has a list" "$(threads Seccomp)" 2
is "…and no capability" "$(threads 'Cap[A-Z][a-z]*')" 0000000000000000
there() { guest_run a '[ -b /dev/sda ] && [ -b /dev/vda ]'; }
need "the guest has its disks" wait_for 20 there
for pair in sda=given vda=named; do
    wrote=$(guest_run a "dd if=/dev/urandom of=/dev/${pair%=*} bs=64k count=8 conv=fsync 2>/dev/null; head -c 524288 /dev/${pair%=*} | sha256sum")
    is "what it writes to ${pair%=*} is in the image" "$(head -c 524288 "/tmp/${pair#*=}.img" | sha256sum)" "$wrote"
done
has "an image by its name is refused" "$(qmp a blockdev-add driver=file node-name=n filename=/tmp/later.img 2>&1)" 'Operation not permitted'
has "…and a network" "$(qmp a netdev_add type=stream id=n server:=true 'addr:={"type": "unix", "path": "/tmp/n.sock"}' 2>&1)" 'Operation not permitted'
ok "…an image by its descriptor is attached" qmp a blockdev-add driver=file node-name=n filename=/dev/fdset/2
ok "…and detached" qmp a blockdev-del node-name=n
qmp a system_reset
need "the guest can be started again" wait_for "$BOOT_LIMIT" user_space_up a 2
ok "…with its agent" agent_answers a
qmp a quit >/dev/null
ok "it ends" wait_for 60 exited a
is "…with status 0" "$(status_of a)" 0
is "nothing was said about lists" "$(grep -c 'not on its list' "$LOGS/a.stderr")" 0
exec 9>&- 8>&-
