# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 300
# A guest writes to a raw and a qcow2 disk, and its monitor is killed: qemu-img finds no error, and what the guest had flushed
# is there. ROUNDS says how often.
command -v qemu-img >/dev/null || skip "there is no qemu-img (package qemu-utils)"
size=16M

# The kinds of image take turns.
make_images() {
    rm -f /tmp/killed.*
    truncate -s $size /tmp/killed.raw /tmp/killed.base
    options=cluster_size=64k
    case $(($1 % 4)) in
        1) options="cluster_size=4k,backing_file=/tmp/killed.base,backing_fmt=raw" ;;
        2) options=compat=0.10 ;;
        3) options=cluster_size=512,refcount_bits=64 ;;
    esac
    qemu-img create -q -f qcow2 -o "$options" /tmp/killed.qcow2 $size
}
# The last number that the guest has said is safe, in a whole line.
flushed() { tr -d '\r' <"$LOGS/$1.serial" | sed -n '$!s,.*flushed '"$2"' \([0-9]*\)$,\1,p' | sort -n | tail -n 1; }
writing() { [ -n "$(flushed "$1" /dev/vda)" ] && [ -n "$(flushed "$1" /dev/vdb)" ]; }
# No errors; 3: clusters are lost, which may be.
checked() {
    status=0
    qemu-img check -q /tmp/killed.qcow2 || status=$?
    [ $status = 0 ] || [ $status = 3 ]
}
there() { disk-load check "$1" "$2" || return 1; }

round=0 total=0
while [ $((round += 1)) -le "${ROUNDS:-2}" ]; do
    make_images $round
    name=k$round
    MEMORY=192 guest $name -object iothread,id=io \
        -drive file=/tmp/killed.raw,if=none,id=r,format=raw -device virtio-blk-pci,drive=r \
        -drive file=/tmp/killed.qcow2,if=none,id=q,format=qcow2 -device virtio-blk-pci,drive=q,iothread=io
    need "round $round: the guest is up" agent_answers $name
    agent $name guest-exec path=/bin/sh 'arg:=["-c", "(disk-load mark /dev/vda & disk-load mark /dev/vdb) >/dev/ttyS0"]' >/dev/null
    need "…and writes to both disks" wait_for 20 writing $name
    usleep $(($(od -An -N2 -tu2 /dev/urandom) * 20))
    kill -KILL "$(pid_of $name)"
    wait_for 10 exited $name
    raw=$(flushed $name /dev/vda) qcow2=$(flushed $name /dev/vdb)
    ok "qemu-img finds no error after the kill" checked
    ok "the raw image has all $raw blocks that were flushed" there /tmp/killed.raw "$raw"
    qemu-img convert -f qcow2 -O raw /tmp/killed.qcow2 /tmp/killed.copy
    ok "the qcow2 image has all $qcow2" there /tmp/killed.copy "$qcow2"
    total=$((total + raw + qcow2))
    rm -f "$LOGS/$name.serial"
done
note "$total blocks were flushed in all"
rm -f /tmp/killed.*
