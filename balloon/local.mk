# SPDX-License-Identifier: GPL-2.0-or-later
if ENABLE_BALLOON
bin_PROGRAMS += balloon/sim/balloon-sim
noinst_LIBRARIES += balloon/libpolicy.a balloon/sim/libsim.a
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
	balloon/sim/sim-trace.c balloon/sim/sim-trace.h
balloon_sim_balloon_sim_SOURCES = balloon/sim/balloon-sim.c
balloon_sim_balloon_sim_LDADD = balloon/sim/libsim.a balloon/libpolicy.a $(GLIB_LIBS)
