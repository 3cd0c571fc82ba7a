# SPDX-License-Identifier: GPL-2.0-or-later
# The person's way: vmctl run, list, status, agent, stop.
ok "run starts a guest" vmctl run demo --kernel "$LAB/guest/vmlinuz" --initrd "$LAB/guest/initrd"
has "list has it" "$(vmctl list)" '^demo .*running'
has "status says so" "$(vmctl status demo)" running
need "agent: it comes up" agent_answers demo
is "agent: osinfo" "$(agent demo guest-get-osinfo | member kernel-release)" "$(cat "$LAB/guest/release")"
ok "stop shuts it down" timeout 60 vmctl stop demo
has "list has it no more" "$(vmctl list | grep -c running)" '^0$'
