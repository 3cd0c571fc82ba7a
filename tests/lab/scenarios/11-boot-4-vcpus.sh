# SPDX-License-Identifier: GPL-2.0-or-later
# Four vCPUs come up, run at the same time, and are listed with their threads.
CPUS=4
booted a
is "the guest has 4 processors" "$(guest_run a 'nproc')" 4
is "the agent lists 4 vCPUs" "$(agent a guest-get-vcpus | tr '{' '\n' | grep -c logical-id)" 4
is "the monitor lists 4 vCPUs" "$(qmp a query-cpus-fast | tr '{' '\n' | grep -c cpu-index)" 4
is "each processor does work of its own" \
    "$(guest_run a 'for c in 0 1 2 3; do taskset -c $c sh -c "echo \$((6 * 7))" & done; wait' | grep -c 42)" 4
is "interrupts reach every processor" \
    "$(guest_run a 'awk "/^ *LOC:/ { n = 0; for (i = 2; i < 6; i++) n += \$i > 0; print n }" /proc/interrupts')" 4
