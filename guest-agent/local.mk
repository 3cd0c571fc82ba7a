# SPDX-License-Identifier: GPL-2.0-or-later
if ENABLE_GUEST_AGENT
sbin_PROGRAMS += guest-agent/guest-agent
endif
guest_agent_guest_agent_SOURCES = guest-agent/main.c
guest_agent_guest_agent_LDADD = lib/libvirtsuite.a $(BASE_LIBS)
