// SPDX-License-Identifier: GPL-2.0-or-later
/* sim-peers: what other policies would do, to compare ours with; written from descriptions of their rules. */
#pragma once

#include "balloon/sim/sim-model.h"

/* Sets the targets of the model's guests; called once a second after its step. */
typedef struct SimPeer SimPeer;
struct SimPeer {
    void (*step)(SimPeer *peer, SimModel *model);
    gint64 *history; /* MOM: samples of each guest, and of the host */
    guint samples;
};

/* "none", "mom", "pve", "fixed"; NULL if the name is another's. */
SimPeer *sim_peer_new(const char *name, const SimModel *model);
void sim_peer_free(SimPeer *peer);
