// SPDX-License-Identifier: GPL-2.0-or-later
#include "balloon/daemon/fleet.h"

#include <string.h>

#include "balloon/daemon/law-ksm.h"
#include "balloon/daemon/law-numa.h"
#include "balloon/daemon/law-vcpu.h"

#define FIRST_ROOM 16

const LawClass *const FLEET_CLASSES[FLEET_LAWS] = {
    [FLEET_KSM] = &LAW_KSM, [FLEET_VCPU] = &LAW_VCPU, [FLEET_NUMA] = &LAW_NUMA};

void fleet_clear(Fleet *fleet)
{
    for (guint i = 0; i < fleet->count; i++)
        fleet_remove(fleet, i);
    g_clear_pointer(&fleet->index, g_hash_table_unref);
    g_clear_pointer(&fleet->places, g_free);
    g_clear_pointer(&fleet->guests, g_free);
    g_clear_pointer(&fleet->states, g_free);
    g_clear_pointer(&fleet->decisions, g_free);
    g_clear_pointer(&fleet->order, g_free);
    for (guint i = 0; i < FLEET_LAWS; i++)
        law_clear(&fleet->laws[i]);
    fleet->count = fleet->room = 0;
}

/* All bytes of what is added are zero, padding too: fleet_check() and the log look at them. */
static gpointer grow(gpointer array, gsize size, guint before, guint room)
{
    array = g_realloc_n(array, room, size);
    memset((char *)array + before * size, 0, (room - before) * size);
    return array;
}

static void make_room(Fleet *fleet, guint count)
{
    guint before = fleet->room;
    if (count > before) {
        guint room = MAX(MAX(count, before * 2), FIRST_ROOM);
        fleet->places = grow(fleet->places, sizeof(FleetGuest), before, room);
        fleet->guests = grow(fleet->guests, sizeof(PolicyGuest), before, room);
        fleet->states = grow(fleet->states, sizeof(PolicyGuestState), before, room);
        fleet->decisions = grow(fleet->decisions, sizeof(PolicyDecision), before, room);
        fleet->order = grow(fleet->order, sizeof(guint), before, room);
        fleet->room = room;
    }
    for (guint i = 0; i < FLEET_LAWS; i++)
        law_make_room(&fleet->laws[i], fleet->room);
    for (; fleet->count < count; fleet->count++)
        fleet->guests[fleet->count].stats_age = POLICY_UNKNOWN;
}

void fleet_init(Fleet *fleet, const PolicyConfig *config)
{
    *fleet = (Fleet){.config = *config, .index = g_hash_table_new(g_str_hash, g_str_equal)};
    for (guint i = 0; i < FLEET_LAWS; i++)
        law_init(&fleet->laws[i], FLEET_CLASSES[i]);
    make_room(fleet, 1); /* the policy sorts arrays: they have to be there, even if nobody is */
}

gint fleet_find(const Fleet *fleet, const char *key)
{
    return GPOINTER_TO_INT(g_hash_table_lookup(fleet->index, key)) - 1;
}

gboolean fleet_add_at(Fleet *fleet, guint place, const char *key, const char *name)
{
    if (place >= FLEET_MAX || (place < fleet->count && fleet->places[place].key != NULL) ||
        fleet_find(fleet, key) >= 0)
        return FALSE;
    make_room(fleet, place + 1);
    fleet->places[place] = (FleetGuest){.key = g_strdup(key), .name = g_strdup(name), .updated = -1};
    g_hash_table_insert(fleet->index, fleet->places[place].key, GINT_TO_POINTER((gint)place + 1));
    return TRUE;
}

gint fleet_add(Fleet *fleet, const char *key, const char *name)
{
    guint place = 0;
    while (place < fleet->count && fleet->places[place].key != NULL)
        place++;
    return fleet_add_at(fleet, place, key, name) ? (gint)place : -1;
}

void fleet_set_law(Fleet *fleet, FleetLaw number, gconstpointer config)
{
    law_set(&fleet->laws[number], config);
    law_make_room(&fleet->laws[number], fleet->room);
}

void fleet_forget(Fleet *fleet, guint place)
{
    memset(&fleet->states[place], 0, sizeof fleet->states[place]);
    for (guint i = 0; i < FLEET_LAWS; i++)
        law_forget(&fleet->laws[i], place, FALSE);
}

void fleet_remove(Fleet *fleet, guint place)
{
    FleetGuest *guest = &fleet->places[place];
    if (guest->key == NULL)
        return;
    g_hash_table_remove(fleet->index, guest->key);
    g_free(guest->key);
    g_free(guest->name);
    g_free(guest->uuid);
    g_free(guest->class);
    memset(guest, 0, sizeof *guest);
    memset(&fleet->guests[place], 0, sizeof fleet->guests[place]);
    fleet->guests[place].stats_age = POLICY_UNKNOWN;
    fleet_forget(fleet, place);
    for (guint i = 0; i < FLEET_LAWS; i++)
        law_forget(&fleet->laws[i], place, TRUE);
}

void fleet_plan(Fleet *fleet, gint64 now)
{
    policy_plan(&fleet->config, &fleet->state, &fleet->host, fleet->guests, fleet->states, fleet->decisions,
                fleet->order, fleet->count, now);
    for (guint i = 0; fleet->dry_run && i < fleet->count; i++) {
        if (!fleet->decisions[i].changed)
            continue;
        /* Else a balloon that nobody has moved would be taken for one without a driver. */
        fleet->states[i].target = fleet->states[i].target_from = fleet->guests[i].actual;
        fleet->states[i].target_at = now;
    }
    for (guint i = 0; i < FLEET_LAWS; i++)
        if (fleet->laws[i].on)
            fleet->laws[i].class->plan(&fleet->laws[i], fleet->count, now);
}

guint64 fleet_check(const Fleet *fleet)
{
    const PolicyState *host = &fleet->state;
    guint64 hash =
        record_mix(record_mix(record_mix(record_mix(0, host->available), host->falling), host->calm_since),
                   host->tokens);
    for (guint i = 0; i < fleet->count; i++) {
        const PolicyDecision *decision = &fleet->decisions[i];
        const PolicyGuestState *state = &fleet->states[i];
        if (fleet->places[i].key == NULL)
            continue;
        hash =
            record_mix(record_mix(record_mix(hash, decision->target), decision->reason), decision->changed);
        hash = record_mix(
            record_mix(record_mix(record_mix(hash, decision->used), decision->guard), decision->need),
            decision->trust);
        hash = record_mix(record_mix(hash, state->target), state->told_at);
    }
    return hash;
}
