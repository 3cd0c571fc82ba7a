# SPDX-License-Identifier: GPL-2.0-or-later
# What vmctl agent does through a guest's port: programs, files, vCPUs.
CPUS=2
booted a
vm() { timeout 60 vmctl agent a "$@"; }
is "exec: output" "$(vm exec uname -r)" "$(cat "$LAB/guest/release")"
is "exec: input" "$(echo 'from outside' | vm exec cat)" 'from outside'
vm exec sh -c 'exit 7' || status=$?
is "exec: status" "$status" 7
dd if=/dev/urandom of="$LOGS/file" bs=1M count=5 2>/dev/null
vm exec mount -t tmpfs tmpfs /tmp
ok "push" vm push "$LOGS/file" /tmp/file
ok "pull" vm pull /tmp/file "$LOGS/back"
ok "what comes back is the same" cmp "$LOGS/file" "$LOGS/back"
rm -f "$LOGS/file" "$LOGS/back"
has "vcpus: one less" "$(vm vcpus 1)" '1 vCPU online'
is "…as the guest sees it" "$(vm exec cat /sys/devices/system/cpu/online)" 0
has "vcpus: all" "$(vm vcpus on=1)" '2 vCPUs online'
is "…as the guest sees it" "$(vm exec cat /sys/devices/system/cpu/online)" 0-1
