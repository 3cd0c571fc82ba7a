# SPDX-License-Identifier: GPL-2.0-or-later
# virtio-rng is the guest's hardware generator.
booted a -object rng-random,id=rng0,filename=/dev/urandom -device virtio-rng-pci,rng=rng0
is "it is the current generator" "$(guest_run a 'cut -d . -f 1 /sys/class/misc/hw_random/rng_current')" virtio_rng
is "64 KiB can be read" "$(guest_run a 'dd if=/dev/hwrng bs=4096 count=16 iflag=fullblock 2>/dev/null | wc -c')" 65536
ok "two reads differ" guest_run a '[ "$(dd if=/dev/hwrng bs=32 count=1 2>/dev/null | sha256sum)" != "$(dd if=/dev/hwrng bs=32 count=1 2>/dev/null | sha256sum)" ]'
