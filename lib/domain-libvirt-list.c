// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/domain-libvirt.h"

#include <stdlib.h>
#include <string.h>

typedef struct Login {
    const char *user, *password;
} Login;

static int answer_credentials(virConnectCredentialPtr credentials, unsigned int count, void *data)
{
    const Login *login = data;

    for (unsigned int i = 0; i < count; i++) {
        gboolean name = credentials[i].type == VIR_CRED_AUTHNAME;
        const char *text = name ? login->user : login->password;

        if (text == NULL) {
            return -1;
        }
        credentials[i].result = strdup(text); /* libvirt frees it */
        credentials[i].resultlen = (unsigned int)strlen(text);
    }
    return 0;
}

virConnectPtr domain_libvirt_open(const Connection *self)
{
    int kinds[] = {VIR_CRED_AUTHNAME, VIR_CRED_PASSPHRASE};
    Login login = {self->user, self->password};
    virConnectAuth auth = {kinds, G_N_ELEMENTS(kinds), answer_credentials, &login};

    if (self->password == NULL) {
        return self->writable ? virConnectOpen(self->uri) : virConnectOpenReadOnly(self->uri);
    }
    return virConnectOpenAuth(self->uri, &auth, self->writable ? 0 : VIR_CONNECT_RO);
}

/* ---- capabilities ---- */

/* <capabilities><host><uuid>…</uuid><cpu><topology sockets="…"/> */
typedef struct HostReader {
    DomainHost *host;
    gboolean in_uuid;
} HostReader;

static void start_element(GMarkupParseContext *context, const char *element, const char **names,
                          const char **values, gpointer user_data, GError **error)
{
    HostReader *reader = user_data;
    const GSList *stack = g_markup_parse_context_get_element_stack(context);
    guint depth = g_slist_length((GSList *)stack);

    if (depth < 3 || strcmp(g_slist_nth_data((GSList *)stack, depth - 2), "host") != 0) {
        return;
    }
    reader->in_uuid = depth == 3 && strcmp(element, "uuid") == 0;
    if (depth == 4 && strcmp(element, "topology") == 0 && strcmp(stack->next->data, "cpu") == 0) {
        for (guint i = 0; names[i] != NULL; i++) {
            if (strcmp(names[i], "sockets") == 0 && reader->host->sockets == NULL) {
                reader->host->sockets = g_strndup(values[i], 16);
            }
        }
    }
}

static void end_element(GMarkupParseContext *context, const char *element, gpointer user_data, GError **error)
{
    ((HostReader *)user_data)->in_uuid = FALSE;
}

static void take_text(GMarkupParseContext *context, const char *text, gsize length, gpointer user_data,
                      GError **error)
{
    HostReader *reader = user_data;

    if (reader->in_uuid && reader->host->uuid == NULL) {
        g_autofree char *uuid = g_strstrip(g_strndup(text, MIN(length, 64)));

        if (g_uuid_string_is_valid(uuid)) {
            reader->host->uuid = g_ascii_strdown(uuid, -1);
        }
    }
}

static void identify(virConnectPtr connection, DomainHost *host)
{
    static const GMarkupParser parser = {
        .start_element = start_element, .end_element = end_element, .text = take_text};
    HostReader reader = {host, FALSE};
    char *text = virConnectGetCapabilities(connection);
    GMarkupParseContext *context;

    if (text == NULL) {
        return;
    }
    context = g_markup_parse_context_new(&parser, 0, &reader, NULL);
    g_markup_parse_context_parse(context, text, -1, NULL); /* what is broken ends the reading there */
    g_markup_parse_context_free(context);
    free(text);
}

/* ---- guests ---- */

static guint hash_uuid(gconstpointer key)
{
    guint hash;

    memcpy(&hash, key, sizeof hash);
    return hash;
}

static gboolean equal_uuid(gconstpointer a, gconstpointer b)
{
    return memcmp(a, b, VIR_UUID_BUFLEN) == 0;
}

/* Remembers the state of all guests that are in one of them. */
static gboolean learn(virConnectPtr connection, unsigned int filter, DomainState state, GHashTable *states)
{
    virDomainPtr *handles = NULL;
    int count = virConnectListAllDomains(connection, &handles, filter);

    for (int i = 0; i < count; i++) {
        unsigned char uuid[VIR_UUID_BUFLEN] = {0};

        virDomainGetUUID(handles[i], uuid);
        g_hash_table_insert(states, g_memdup(uuid, sizeof uuid), GUINT_TO_POINTER(state));
        virDomainFree(handles[i]);
    }
    free(handles);
    return count >= 0;
}

/* Guests that are in none of the usual states, or have just changed it, are asked themselves. */
static DomainState ask_state(virDomainPtr handle, gboolean *gone)
{
    int state = 0;

    *gone = virDomainGetState(handle, &state, NULL, 0) != 0;
    return state >= 0 && state < DOMAIN_STATE_COUNT ? (DomainState)state : DOMAIN_STATE_NONE;
}

DomainSnapshot *domain_libvirt_list(Connection *self)
{
    virConnectPtr connection = self->connection;
    DomainSnapshot *snapshot;
    g_autoptr(GHashTable) states = g_hash_table_new_full(hash_uuid, equal_uuid, g_free, NULL);
    virDomainPtr *handles = NULL;
    int count;

    if (!learn(connection, VIR_CONNECT_LIST_DOMAINS_RUNNING, DOMAIN_STATE_RUNNING, states) ||
        !learn(connection, VIR_CONNECT_LIST_DOMAINS_PAUSED, DOMAIN_STATE_PAUSED, states) ||
        !learn(connection, VIR_CONNECT_LIST_DOMAINS_SHUTOFF, DOMAIN_STATE_SHUTOFF, states) ||
        (count = virConnectListAllDomains(connection, &handles, 0)) < 0) {
        return NULL;
    }
    if (!self->identified) {
        identify(connection, self->host);
        self->identified = TRUE;
    }
    snapshot = domain_snapshot_new(domain_host_ref(self->host));
    for (int i = 0; i < count; i++) {
        g_autoptr(Domain) domain = domain_libvirt_new_domain(handles[i]);
        unsigned char uuid[VIR_UUID_BUFLEN] = {0};
        gpointer state = NULL;
        gboolean gone = FALSE;

        virDomainGetUUID(handles[i], uuid);
        domain->state = g_hash_table_lookup_extended(states, uuid, NULL, &state)
                            ? (DomainState)GPOINTER_TO_UINT(state)
                            : ask_state(handles[i], &gone);
        domain->when = snapshot->when;
        if (!gone) {
            g_ptr_array_add(snapshot->domains, g_steal_pointer(&domain));
        }
        virDomainFree(handles[i]);
    }
    free(handles);
    return snapshot;
}
