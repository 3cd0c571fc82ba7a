# SPDX-License-Identifier: GPL-2.0-or-later
if ENABLE_BALLOON
bin_PROGRAMS += balloon/sim/balloon-sim balloon/daemon/balloonctl
sbin_PROGRAMS += balloon/daemon/balloond
noinst_LIBRARIES += balloon/libpolicy.a balloon/sim/libsim.a balloon/daemon/libballoond.a
endif
# The policy: arithmetic alone.
balloon_libpolicy_a_SOURCES = \
	balloon/policy.c balloon/policy.h balloon/policy-private.h \
	balloon/policy-memory.c balloon/policy-need.c \
	balloon/policy-ksm.c balloon/policy-ksm.h \
	balloon/policy-vcpu.c balloon/policy-vcpu.h \
	balloon/policy-numa.c balloon/policy-numa.h
balloon_sim_libsim_a_SOURCES = \
	balloon/sim/sim-input.c balloon/sim/sim-input.h \
	balloon/sim/sim-model.c balloon/sim/sim-model.h \
	balloon/sim/sim-peers.c balloon/sim/sim-peers.h \
	balloon/sim/sim-picture.c balloon/sim/sim-picture.h \
	balloon/sim/sim-plan.c balloon/sim/sim-plan.h \
	balloon/sim/sim-score.c balloon/sim/sim-score.h \
	balloon/sim/sim-spool.c balloon/sim/sim-spool.h \
	balloon/sim/sim-trace.c balloon/sim/sim-trace.h
balloon_sim_balloon_sim_SOURCES = balloon/sim/balloon-sim.c
balloon_sim_balloon_sim_LDADD = balloon/sim/libsim.a balloon/libpolicy.a $(GLIB_LIBS)
# The daemon, all but main(), for balloonctl (which replays its log) and tests.
balloon_daemon_libballoond_a_SOURCES = \
	balloon/daemon/audit.c balloon/daemon/audit.h balloon/daemon/audit-private.h \
	balloon/daemon/audit-fields.c balloon/daemon/audit-laws.c \
	balloon/daemon/control.c balloon/daemon/control.h \
	balloon/daemon/fake.c balloon/daemon/fake.h \
	balloon/daemon/fleet.c balloon/daemon/fleet.h \
	balloon/daemon/host.c balloon/daemon/host.h \
	balloon/daemon/keep.c balloon/daemon/keep.h \
	balloon/daemon/ksm.c balloon/daemon/ksm.h balloon/daemon/ksm-private.h balloon/daemon/ksm-report.c \
	balloon/daemon/law.c balloon/daemon/law.h \
	balloon/daemon/law-ksm.c balloon/daemon/law-ksm.h \
	balloon/daemon/law-numa.c balloon/daemon/law-numa.h \
	balloon/daemon/law-vcpu.c balloon/daemon/law-vcpu.h \
	balloon/daemon/loop.c balloon/daemon/loop.h \
	balloon/daemon/numa.c balloon/daemon/numa.h balloon/daemon/numa-private.h \
	balloon/daemon/numa-process.c balloon/daemon/numa-report.c \
	balloon/daemon/observe.c balloon/daemon/observe.h \
	balloon/daemon/processes.c balloon/daemon/processes.h \
	balloon/daemon/nodes.c balloon/daemon/nodes.h \
	balloon/daemon/record.c balloon/daemon/record.h \
	balloon/daemon/replay.c balloon/daemon/replay-laws.c \
	balloon/daemon/report.c balloon/daemon/report.h \
	balloon/daemon/settings.c balloon/daemon/settings.h \
	balloon/daemon/vcpus.c balloon/daemon/vcpus.h
BALLOOND_LIBS = balloon/daemon/libballoond.a balloon/sim/libsim.a balloon/libpolicy.a $(DOMAIN_LIBS)
balloon_daemon_balloond_SOURCES = balloon/daemon/balloond.c
balloon_daemon_balloond_LDADD = $(BALLOOND_LIBS)
balloon_daemon_balloonctl_SOURCES = balloon/daemon/balloonctl.c \
	balloon/ctl/ctl.h balloon/ctl/place.c balloon/ctl/top.c balloon/ctl/words.c balloon/ctl/words.h \
	balloon/ctl/import.c balloon/ctl/import.h balloon/ctl/import-ksmtuned.c \
	balloon/ctl/import-mom.c balloon/ctl/import-mom.h balloon/ctl/import-mom-policy.c
balloon_daemon_balloonctl_CFLAGS = $(AM_CFLAGS) $(NCURSES_CFLAGS)
balloon_daemon_balloonctl_LDADD = $(TERMINAL_LIBS) $(BALLOOND_LIBS)

EXTRA_DIST += balloon/daemon/balloond.service.in
if ENABLE_BALLOON
nodist_systemdsystemunit_DATA += balloon/daemon/balloond.service
CLEANFILES += balloon/daemon/balloond.service
balloon/daemon/balloond.service: balloon/daemon/balloond.service.in Makefile
	@$(MKDIR_P) balloon/daemon
	$(AM_V_GEN)sed 's|[@]sbindir[@]|$(sbindir)|' $(srcdir)/balloon/daemon/balloond.service.in >$@
endif
