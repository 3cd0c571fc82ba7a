# SPDX-License-Identifier: GPL-2.0-or-later
EXTRA_DIST += docs/architecture.md
EXTRA_DIST += docs/cpu-and-memory.md
EXTRA_DIST += docs/devices.md
EXTRA_DIST += docs/guest-agent-protocol.md
EXTRA_DIST += docs/statistics.md
EXTRA_DIST += docs/policy.md
EXTRA_DIST += docs/virt-who.md
