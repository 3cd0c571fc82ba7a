// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * loop: what balloond does every second: asks its sources, looks at the host, has the policy plan, and has
 * done what was decided. Everything runs on GLib's default main context and nothing blocks: a source that
 * does not answer costs its own guests their turn.
 */
#pragma once

#include "balloon/daemon/audit.h"
#include "balloon/daemon/fleet.h"
#include "balloon/daemon/host.h"
#include "balloon/daemon/ksm.h"
#include "balloon/daemon/numa.h"
#include "balloon/daemon/processes.h"
#include "balloon/daemon/settings.h"
#include "balloon/daemon/vcpus.h"
#include "lib/domain-source.h"

typedef struct Loop Loop;

/* One [connect] at work. */
typedef struct Feed {
    Loop *loop;
    Connect *connect; /* of the settings; NULL: dropped */
    DomainSource *source;
    DomainSnapshot *snapshot; /* that was not taken in yet */
    gboolean asked;
    gboolean failing;
    char *why;
    guint guests; /* in its last snapshot */
} Feed;

struct Loop {
    Settings *settings;
    gboolean dry_run;
    Fleet fleet;
    Host *host;
    HostRates rates;
    Keep *keep; /* settings of the host that have to be put back */
    Processes *processes;
    Ksm *ksm;
    Numa *numa;
    Vcpus *vcpus;
    gboolean watches; /* the kernel tells when tasks wait for memory */
    gboolean blind;   /* the host could not be looked at */
    Audit *audit;
    GPtrArray *feeds;
    DomainSource *fake; /* the only feed's, if it is one */
    guint outstanding;  /* refreshes */
    guint acting;       /* calls that change a guest */
    guint timer, status_timer;
    gint64 now, ticked_at;    /* ms */
    gint64 settle_until;      /* nothing is planned before: nothing was seen for long enough */
    gboolean paused;          /* all guests */
    guint64 ticks, late;      /* late: ticks at which the one before was not done */
    guint64 changes, refused; /* of guests' sizes */
    void (*on_over)(gpointer user_data);
    gpointer over_data;
};

/* settings: taken, if it succeeds. root: "" for this machine. on_over: a fake source has played its trace. */
Loop *loop_new(Settings *settings, const char *root, gboolean dry_run, void (*on_over)(gpointer user_data),
               gpointer user_data, GError **error);
void loop_start(Loop *loop);
/* Balloons stay as they are; settings of the host are put back. */
void loop_free(Loop *loop);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Loop, loop_free)

/* From now on these hold. FALSE: all is as before, settings are not taken. What the log and the socket are
 * called is not changed while it runs. */
gboolean loop_reload(Loop *loop, Settings *settings, GError **error);

/* name NULL: all guests. FALSE: there is no such guest. */
gboolean loop_set_paused(Loop *loop, const char *name, gboolean paused);
/* Its place by its name or uuid; -1. */
gint loop_find(const Loop *loop, const char *name);
/* Whether something is planned for it, and if not, why (static). */
const char *loop_why_not(const Loop *loop, guint place);
