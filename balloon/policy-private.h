// SPDX-License-Identifier: GPL-2.0-or-later
/* policy-private: what the parts of the policy know of each other. */
#pragma once

#include "balloon/policy.h"

/* Least sizes of anything that is done, MiB. */
#define POLICY_GUARD_MIN 64
#define POLICY_STEP_MIN  64
/* vCPUs that use less of one CPU are idle. */
#define POLICY_IDLE_PERMILLE 120

/* policy-need.c: takes in what a guest says and does: its trust, what it uses, how fast that grows, whether
 * it hurts. */
void policy_observe(const PolicyConfig *config, const PolicyGuest *guest, PolicyGuestState *state,
                    PolicyDecision *decision, gint64 now);
/* The most that it used in the last `slots` of POLICY_PEAK_MS, MiB. */
gint64 policy_peak(const PolicyGuestState *state, guint slots);
/* The largest size at which it hurt in the last `slots`; 0: it did not. */
gint64 policy_knee(const PolicyGuestState *state, guint slots);
/* The same, whatever it did then; policy_knee() counts only what hurt at what it does now. */
gint64 policy_knee_whole(const PolicyGuestState *state, guint slots);
/* For how long it is likely to do with a size, ms: the mean of the times in which it did, of those that are
 * remembered; G_MAXINT32 when it always did. by_use: what it used counts as needed; else only what hurt. */
gint64 policy_rest_ms(const PolicyGuestState *state, gint64 size, gboolean by_use);
/* What must stay to it in any case, MiB. */
gint64 policy_minimum(const PolicyConfig *config, const PolicyGuest *guest);
/* Whether it reads pages back from swap, or faults, more than now and then. */
gboolean policy_hurts(const PolicyGuestState *state, gint64 now);

/* policy-memory.c: who is given memory, from whom it is taken. */
void policy_share_memory(const PolicyConfig *config, PolicyState *state, const PolicyHost *host,
                         const PolicyGuest *guests, PolicyGuestState *states, PolicyDecision *decisions,
                         guint *order, guint count, gint64 now);
