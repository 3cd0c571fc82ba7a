# SPDX-License-Identifier: GPL-2.0-or-later
# A stock kernel boots from its bzImage; the agent in it answers over virtio-serial; the guest powers itself off.
booted a
release=$(cat "$LAB/guest/release")
osinfo=$(agent a guest-get-osinfo)
is "osinfo has the kernel's release" "$(echo "$osinfo" | member kernel-release)" "$release"
is "osinfo has the distribution" "$(echo "$osinfo" | member id)" "$(sed -n 's/^ID=//p' "$LAB/guest/os-release" | tr -d '"')"
is "uname -r by guest-exec says the same" "$(guest_run a 'uname -r')" "$release"
is "the kernel command line arrived" "$(guest_run a 'tr " " "\n" </proc/cmdline | grep hostname=')" hostname=a
is "the guest has the memory asked for, less the kernel's own" \
    "$(guest_run a 'awk "/^MemTotal/ { print (\$2 > 190 * 1024 && \$2 < 256 * 1024) }" /proc/meminfo')" 1
is "the host name is told by the agent" "$(agent a guest-get-host-name | member host-name)" a
is "the agent lists the loopback interface" "$(agent a guest-network-get-interfaces | member ip-address)" 127.0.0.1
is "no driver complains at boot" "$(guest_run a 'dmesg -r | grep "^<[0-3]>" | grep -v -e RETBleed -e Spectre -e SRSO -e XSAVE')" ""
agent a guest-shutdown mode=powerdown >/dev/null 2>&1
ok "the monitor ends when the guest has powered off" wait_for 30 exited a
is "…with status 0" "$(status_of a)" 0
is "it leaves no socket behind" "$(find "$(sockets a)" -type s)" ""
