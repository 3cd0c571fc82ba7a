// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/confine/confine.h"

#include <malloc.h>
#include <time.h>

#include "host-vmm/confine/privileges.h"

struct Confine {
    const ConfineConfig *config;
    Filter *filters[CONFINE_KINDS]; /* NULL: none to be had */
};

/* Has the libraries open now what they open when something is asked for the first time: time zones
 * (gmtime_r() too), conversions (g_strerror() in the C locale), random numbers. Threads share the first
 * allocator: for others the C library looks at the number of CPUs, and opens /proc/sys/vm/overcommit_memory
 * when one gives memory back. */
static void prepare_libraries(void)
{
    tzset();
    g_free(g_locale_to_utf8("-", -1, NULL, NULL, NULL));
    (void)g_random_int(); /* seeds itself */
    mallopt(M_ARENA_MAX, 1);
}

Confine *confine_new(const ConfineConfig *config, GError **error)
{
    g_autoptr(Confine) confine = g_new0(Confine, 1);
    confine->config = config;
    if (config->off) {
        return g_steal_pointer(&confine);
    }
    prepare_libraries();
    if (!privileges_stop_gaining(error)) {
        return NULL;
    }
    if (!filter_is_available()) {
        if (config->insist) {
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
                        "-sandbox on: there are no system call filters here (libseccomp, or the kernel's)");
            return NULL;
        }
        g_info("no system call filters here: threads are confined by their lack of rights only");
        return g_steal_pointer(&confine);
    }
    filter_init_signal();
    for (guint kind = 0; kind < CONFINE_KINDS; kind++) {
        confine->filters[kind] = filter_new((ConfineKind)kind, &config->filter, error);
        if (!confine->filters[kind]) {
            return NULL;
        }
    }
    return g_steal_pointer(&confine);
}

void confine_free(Confine *confine)
{
    if (!confine) {
        return;
    }
    for (guint kind = 0; kind < CONFINE_KINDS; kind++) {
        filter_free(confine->filters[kind]);
    }
    g_free(confine);
}

void confine_give_up_bounds(const Confine *confine)
{
    if (!confine->config->off) {
        privileges_drop_bounds();
    }
}

gboolean confine_give_up_rights(const Confine *confine, GError **error)
{
    const ConfineConfig *config = confine->config;
    confine_give_up_bounds(confine);
    return (!config->user || privileges_set_user(config->user, error)) &&
           (config->off || privileges_drop_capabilities(error));
}

void confine_thread(const Confine *confine, ConfineKind kind)
{
    g_autoptr(GError) error = NULL;
    if (!confine || confine->config->off) {
        return;
    }
    if (!privileges_drop_capabilities(&error) ||
        (confine->filters[kind] && !filter_load(confine->filters[kind], &error))) {
        g_error("%s", error->message);
    }
}
