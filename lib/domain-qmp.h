// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * domain-qmp: answers of a QMP server put into a Domain. Each answer is checked as if an enemy had written
 * it: what has the wrong shape is passed over.
 */
#pragma once

#include <json-glib/json-glib.h>

#include "lib/domain.h"

/* query-status: state. */
void domain_qmp_take_status(Domain *domain, JsonNode *value);
/* query-cpus-fast: one vCPU each with its thread; threads: of int, filled. */
void domain_qmp_take_cpus(Domain *domain, JsonNode *value, GArray *threads);
/* query-balloon: memory.current. */
void domain_qmp_take_balloon(Domain *domain, JsonNode *value);
/* qom-get guest-stats. */
void domain_qmp_take_guest_stats(Domain *domain, JsonNode *value);
/* query-blockstats. */
void domain_qmp_take_blockstats(Domain *domain, JsonNode *value);
/* query-stats of target "vcpu": KVM's exits. */
void domain_qmp_take_vcpu_stats(Domain *domain, JsonNode *value);
/* query-block: limits of disks that have one. */
void domain_qmp_take_limits(DomainDetail *detail, JsonNode *value);

/* How many vCPUs query-hotpluggable-cpus tells that there may be. */
guint domain_qmp_count_possible(JsonNode *value);
/* How many of them are there to stay: not plugged by a client. */
guint domain_qmp_count_fixed(JsonNode *value);
/* The path of the first child of that type in the answer to qom-list /machine/peripheral; owned, NULL if
 * there is none. */
char *domain_qmp_find_device(JsonNode *list, const char *type);

/* Members by name and type; the fallback if there is none such. */
const char *domain_qmp_string(JsonObject *object, const char *name);
guint64 domain_qmp_uint(JsonObject *object, const char *name);
JsonObject *domain_qmp_object(JsonObject *object, const char *name);
/* Element i of an array node, if it is an object. */
JsonObject *domain_qmp_element(JsonNode *array, guint i);
guint domain_qmp_length(JsonNode *array);
