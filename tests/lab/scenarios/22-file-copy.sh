# SPDX-License-Identifier: GPL-2.0-or-later
# A 64 MiB file goes through the agent into the guest and back, whole.
MEMORY=384
booted a
guest_run a 'mount -t tmpfs tmpfs /tmp' >/dev/null
copied=$(timeout 200 agent-copy "$(sockets a)/agent.sock" /tmp/big 64 1024 2>&1)
note "$copied"
wrote=$(echo "$copied" | sed -n 's/^wrote \([0-9a-f]*\) .*/\1/p')
has "a SHA-256 of what was written" "$wrote" '^[0-9a-f]{64}$'
is "what was read back is the same" "$(echo "$copied" | sed -n 's/^read \([0-9a-f]*\) .*/\1/p')" "$wrote"
EXEC_LIMIT=60
is "the guest counts the same" "$(guest_run a 'sha256sum </tmp/big' | cut -d ' ' -f 1)" "$wrote"
