# SPDX-License-Identifier: GPL-2.0-or-later
# A guest is reset again and again, $ROUNDS times (3), in turn by itself, by the monitor and by the monitor in the middle of
# its boot; each time it comes up in the same process, its devices work, and its agent answers.
CPUS=2
truncate -s 16M "$LOGS/disk"
booted a -drive "if=none,id=disk,file=$LOGS/disk,format=raw" -device virtio-blk-pci,drive=disk -device virtio-balloon-pci
qmp_channel events a
channel_mark events
pid=$(pid_of a)
before=$(find "/proc/$pid/fd" -type l | wc -l)
resets=0
reset_by_monitor() {
    qmp a system_reset >&2 || return 1
    resets=$((resets + 1))
}

round=0
while [ $round -lt "${ROUNDS:-3}" ]; do
    round=$((round + 1))
    ups=$(grep -c L2-UP "$LOGS/a.serial")
    case $((round % 3)) in
        1)
            how='its own reboot'
            agent a guest-shutdown mode=reboot >/dev/null 2>&1
            ;;
        2)
            how='system_reset'
            need "round $round: system_reset" reset_by_monitor
            ;;
        0)
            how='system_reset on the way up'
            need "round $round: system_reset" reset_by_monitor
            # 0.1 to 3.3 s later: the kernel starts, is at its drivers, or is up already.
            usleep $(($(od -An -N 2 -t u2 /dev/urandom) * 50 + 100000))
            ups=$(grep -c L2-UP "$LOGS/a.serial")
            need "round $round: system_reset" reset_by_monitor
            ;;
    esac
    need "round $round: user space is up after $how" wait_for $BOOT_LIMIT user_space_up a $((ups + 1))
    need "round $round: the agent answers" agent_answers a
done
is "the monitor is the same process" "$(pid_of a)" "$pid"
is "it says that the guest runs" "$(run_state a)" running
is "both processors are back" "$(guest_run a nproc)" 2
ok "the disk works" guest_run a 'echo written >/dev/vda && sync && head -n 1 /dev/vda | grep -q written'
ok "RESET by the guest was told" channel_has events '"event": "RESET".*guest-reset|guest-reset.*"event": "RESET"'
is "…and each of the monitor's" "$(channel_text events | grep -c host-qmp-system-reset)" $resets
no_more() { [ "$(find "/proc/$pid/fd" -type l | wc -l)" -le "$before" ]; }
ok "no reset costs a descriptor" wait_for 20 no_more
