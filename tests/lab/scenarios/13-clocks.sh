# SPDX-License-Identifier: GPL-2.0-or-later
# Time: kvm-clock, the CMOS clock, and the guest's idea of the date.
near() { [ $(($1 - $2)) -ge -5 ] && [ $(($1 - $2)) -le 5 ]; }
booted a
clocks=/sys/devices/system/clocksource/clocksource0
has "kvm-clock is there" "$(guest_run a "cat $clocks/available_clocksource")" kvm-clock
# A TSC that the host's kernel keeps time by is invariant for the guest, which prefers it.
case $(cat $clocks/current_clocksource) in
    tsc) wanted=tsc ;;
    *) wanted=kvm-clock ;;
esac
is "the clock source is $wanted" "$(guest_run a "cat $clocks/current_clocksource")" $wanted
booted b -cpu host,migratable=on
is "a guest that may be moved keeps to kvm-clock" "$(guest_run b "cat $clocks/current_clocksource")" kvm-clock
kill -KILL "$(pid_of b)"
is "the hypervisor is KVM" "$(guest_run a 'grep -c hypervisor /proc/cpuinfo')" 1
host=$(date -u +%s)
cmos=$(guest_run a 'cat /sys/class/rtc/rtc0/since_epoch')
ok "the CMOS clock ($cmos) is the host's ($host), within 5 s" near "$cmos" "$host"
ok "hwclock reads it" guest_run a 'hwclock -u -r'
host=$(date -u +%s)
time=$(agent a guest-get-time | tr -dc 0-9)
ok "guest-get-time is the host's, within 5 s" near $((time / 1000000000)) "$host"
ok "the RTC's alarm interrupt works" guest_run a \
    'echo 0 >/sys/class/rtc/rtc0/wakealarm; n=$(awk "/rtc0/ { print \$2 }" /proc/interrupts)
     echo +2 >/sys/class/rtc/rtc0/wakealarm; sleep 4; [ "$(awk "/rtc0/ { print \$2 }" /proc/interrupts)" -gt "$n" ]'
# A billion seconds: 2001-09-09. How long the commands take is no matter.
since_then() { [ "$1" -ge 1000000000 ] && [ "$1" -le 1000000600 ]; }
clock_is_there() { since_then "$(agent a guest-get-time | tr -dc 0-9 | cut -c 1-10)"; }
ok "guest-set-time" agent a guest-set-time time=1000000000000000000
ok "…sets the system's clock" clock_is_there
ok "…and the CMOS clock" since_then "$(guest_run a 'cat /sys/class/rtc/rtc0/since_epoch')"
guest_run a 'date -s @1100000000'
ok "guest-set-time without a time" agent a guest-set-time
ok "…reads the CMOS clock" clock_is_there
