# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 300
# vmctl vcpus takes a guest under load from one processor to eight and back, and says when the guest refuses.
CPUS=1,maxcpus=8
booted a
agent a guest-exec path=/bin/sh 'arg:=["-c", "for i in 1 2 3; do while :; do :; done & done"]' >/dev/null
round=0
while [ $((round += 1)) -le "${ROUNDS:-1}" ]; do
    need "round $round: eight" timeout 60 vmctl vcpus a 8
    is "…are online" "$(guest_run a nproc)" 8
    is "…each with a timer that runs" "$(guest_run a 'for c in 0 1 2 3 4 5 6 7; do taskset -c $c usleep 1000 && echo tick; done' | grep -c tick)" 8
    need "…and back to one" timeout 60 vmctl vcpus a 1
    is "…which is left" "$(guest_run a nproc)" 1
done
has "it tells how many there may be" "$(vmctl vcpus a)" '1 of 8'

# Two tasks that have been promised 90 % of a processor each: the kernel does not let go of the second one.
need "two vCPUs" timeout 60 vmctl vcpus a 2
agent a guest-exec path=/bin/sh 'arg:=["-c", "for i in 1 2; do /usr/sbin/chrt-deadline -d -T 90000000 -P 100000000 0 sleep 1000 & done"]' >/dev/null
busy() { [ "$(guest_run a 'ps | grep -c "sleep 1[0]00"')" = 2 ]; }
need "…are promised to tasks" wait_for 10 busy
qmp_channel events a
refusal=$(timeout 60 vmctl vcpus a 1 2>&1)
is "the refusal's status" $? 1
has "…is said in words" "$refusal" 'the guest refuses to give back vCPU vcpu1'
ok "DEVICE_UNPLUG_GUEST_ERROR was told" channel_has events 'DEVICE_UNPLUG_GUEST_ERROR'
is "…and both go on" "$(guest_run a nproc)" 2
guest_run a 'killall sleep'
ok "without the tasks it goes" timeout 60 vmctl vcpus a 1
ok "more than possible is refused" sh -c '! vmctl vcpus a 9'
ok "none is refused" sh -c '! vmctl vcpus a 0'
