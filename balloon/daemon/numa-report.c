// SPDX-License-Identifier: GPL-2.0-or-later
#include "balloon/daemon/numa-private.h"

static const char *mode_name(NumaMode mode)
{
    return mode == NUMA_ACT ? "act" : mode == NUMA_ADVISE ? "advise" : "off";
}

static const NumaPlace *place_of(const Numa *numa, guint number)
{
    return number < numa->places->len ? numa->places->pdata[number] : NULL;
}

JsonObject *numa_status(const Numa *numa, const Fleet *fleet)
{
    const Law *law = &fleet->laws[FLEET_NUMA];
    JsonObject *object = json_object_new();
    json_object_set_string_member(object, "mode", mode_name(numa->mode));
    if (numa->why_not != NULL)
        json_object_set_string_member(object, "why_not", numa->why_not);
    if (!law->on)
        return object;
    const PolicyNumaHost *host = law->part[LAW_HOST];
    JsonArray *nodes = json_array_new(), *advice = json_array_new();
    for (guint n = 0; n < host->nodes; n++) {
        JsonObject *node = json_object_new();
        json_object_set_int_member(node, "free", host->node[n].free);
        json_object_set_int_member(node, "cpus", host->node[n].cpus);
        json_object_set_int_member(node, "busy", host->node[n].busy);
        json_array_add_object_element(nodes, node);
    }
    json_object_set_array_member(object, "nodes", nodes);
    json_object_set_boolean_member(object, "kernel_balances", host->balances);
    json_object_set_int_member(object, "pins", (gint64)numa->pins);
    json_object_set_int_member(object, "moved", numa->moved);
    json_object_set_int_member(object, "refused", (gint64)numa->refused);
    json_object_set_int_member(object, "kept", keep_count(numa->keep, &NUMA_AFFINITIES));
    for (guint i = 0; i < fleet->count; i++) {
        const PolicyNumaGuestState *state = law_part(law, LAW_GUEST_STATE, i);
        if (fleet->places[i].key == NULL || !state->pinned)
            continue;
        JsonObject *row = json_object_new();
        json_object_set_string_member(row, "guest", fleet->places[i].name);
        json_object_set_int_member(row, "node", state->node);
        json_object_set_int_member(row, "local", state->local);
        json_object_set_boolean_member(row, "moving", state->moving);
        json_array_add_object_element(advice, row);
    }
    json_object_set_array_member(object, "advice", advice);
    return object;
}

JsonObject *numa_explain(const Numa *numa, const Fleet *fleet, guint number)
{
    const Law *law = &fleet->laws[FLEET_NUMA];
    const NumaPlace *place = place_of(numa, number);
    if (!law->on || place == NULL)
        return NULL;
    const PolicyNumaHost *host = law->part[LAW_HOST];
    const PolicyNumaGuest *seen = law_part(law, LAW_GUEST, number);
    const PolicyNumaGuestState *state = law_part(law, LAW_GUEST_STATE, number);
    JsonObject *object = json_object_new();
    JsonArray *resident = json_array_new(), *ran = json_array_new();
    for (guint n = 0; n < host->nodes; n++) {
        json_array_add_int_element(resident, seen->resident[n]);
        json_array_add_int_element(ran, seen->ran_ms[n]);
    }
    json_object_set_int_member(object, "local", state->local);
    json_object_set_string_member(object, "action", policy_numa_action_name(place->last.action));
    json_object_set_string_member(object, "reason", policy_numa_reason_name(place->last.reason));
    json_object_set_int_member(object, "node", place->last.node);
    json_object_set_int_member(object, "gain_ms", place->last.gain_ms);
    json_object_set_int_member(object, "cost_ms", place->last.cost_ms);
    json_object_set_int_member(object, "moved", place->moved);
    json_object_set_array_member(object, "resident", resident);
    json_object_set_array_member(object, "ran_ms", ran);
    return object;
}

void numa_metrics(const Numa *numa, const Fleet *fleet, GString *out)
{
    if (!fleet->laws[FLEET_NUMA].on)
        return;
    g_string_append_printf(out,
                           "# TYPE balloond_numa_pins counter\n"
                           "# HELP balloond_numa_pins Guests that were led to a node.\n"
                           "balloond_numa_pins_total %" G_GUINT64_FORMAT "\n"
                           "# TYPE balloond_numa_moved_bytes counter\n"
                           "# UNIT balloond_numa_moved_bytes bytes\n"
                           "# HELP balloond_numa_moved_bytes Memory of guests that was moved between nodes.\n"
                           "balloond_numa_moved_bytes_total %" G_GINT64_FORMAT "\n",
                           numa->pins, numa->moved * (1 << 20));
}
