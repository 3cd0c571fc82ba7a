# SPDX-License-Identifier: GPL-2.0-or-later
# $ROUNDS guests (4) run at once on one host, with this and that beside their memory; each answers its agent, knows its own
# name, and stops when it is told to.
# limit: 240
# shellcheck disable=SC2086 # lists
MEMORY=160
count=${ROUNDS:-4}
# Their kernel comes from the cache, or goes there, or unpacks itself.
machine='' machine_own=''
if [ "$MONITOR" = host-vmm ]; then
    machine="-machine pc,kernel-cache=/tmp/$SCENARIO.kernels"
    machine_own='-machine pc,kernel-unpack=off'
fi
names=''
n=0
while [ $n -lt "$count" ]; do
    n=$((n + 1))
    name=g$n
    names="$names $name"
    case $((n % 4)) in
        1)
            truncate -s 16M "$LOGS/$name.disk"
            guest $name $machine -drive "if=none,id=disk,file=$LOGS/$name.disk,format=raw" -device virtio-blk-pci,drive=disk
            ;;
        2) guest $name $machine -netdev user,id=net -device virtio-net-pci,netdev=net ;;
        3) guest $name $machine_own -device virtio-balloon-pci,id=balloon0 -device virtio-rng-pci ;;
        0) CPUS=2 guest $name ;;
    esac
done
for name in $names; do
    need "$name reaches user space" wait_for $((BOOT_LIMIT + count * 10)) user_space_up "$name"
done
for name in $names; do
    ok "$name's agent answers" agent_answers "$name"
    is "$name is itself" "$(agent "$name" guest-get-host-name | member host-name)" "$name"
done
running=0
for name in $names; do
    ! in_state "$name" running || running=$((running + 1))
done
is "all of them run at once" $running "$count"
[ -z "$machine" ] || is "their kernel was kept once" "$(find "/tmp/$SCENARIO.kernels" -type f | wc -l)" 1
has "the disk is there" "$(guest_run g1 'cat /sys/block/vda/size')" '^32768$'
has "the network is there" "$(guest_run g2 'ip link set eth0 up && udhcpc -i eth0 -n -q -t 20 2>&1')" '10\.0\.2\.'
qmp g3 balloon value:=$((128 * 1048576)) >&2
balloon_reached() { [ "$(qmp g3 query-balloon | member actual)" = $((128 * 1048576)) ]; }
ok "the balloon takes memory" wait_for 60 balloon_reached
is "two processors are there" "$(guest_run g4 nproc)" 2
for name in $names; do
    # Half of them in order, by the power button and by the agent; the others by quit.
    case ${name#g} in
        *[13579]) qmp "$name" quit >&2 ;;
        *[26]) qmp "$name" system_powerdown >&2 ;;
        *) agent "$name" guest-shutdown mode=powerdown >/dev/null 2>&1 ;;
    esac
done
for name in $names; do
    ok "$name stops" wait_for 60 exited "$name"
    is "…with status 0" "$(status_of "$name")" 0
done
rm -rf "/tmp/$SCENARIO.kernels"
