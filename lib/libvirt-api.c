// SPDX-License-Identifier: GPL-2.0-or-later
#define LIBVIRT_API_NAMES_ONLY
#include "lib/libvirt-api.h"

#include <dlfcn.h>
#include <string.h>

#define LIBRARY      "libvirt.so.0"
#define QEMU_LIBRARY "libvirt-qemu.so.0"
#define INSTALL      "libvirt's client library is needed (Debian: libvirt0, Fedora: libvirt-libs): "

/* A library is loaded once for a process, whoever asks: this is written by load() alone, under GOnce. */
static LibvirtApi the_api;

static const struct {
    const char *name;
    gsize offset;
} FUNCTIONS[] = {
#define LIBVIRT_ROW(name) {#name, G_STRUCT_OFFSET(LibvirtApi, name)},
    LIBVIRT_FUNCTIONS(LIBVIRT_ROW)
#undef LIBVIRT_ROW
};

/* ISO C knows no cast from an object to a function. */
static gboolean find(void *library, const char *name, gpointer member)
{
    void *symbol = dlsym(library, name);

    memcpy(member, &symbol, sizeof symbol);
    return symbol != NULL;
}

/* NULL, or why not: owned by nobody, for it is said as long as the process runs. */
static gpointer load(gpointer data)
{
    void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);

    if (library == NULL) {
        return g_strconcat(INSTALL, dlerror(), NULL);
    }
    for (guint i = 0; i < G_N_ELEMENTS(FUNCTIONS); i++) {
        if (!find(library, FUNCTIONS[i].name, G_STRUCT_MEMBER_P(&the_api, FUNCTIONS[i].offset))) {
            return g_strconcat(LIBRARY " is too old: it has no ", FUNCTIONS[i].name, NULL);
        }
    }
    return NULL;
}

static gpointer load_qemu(gpointer data)
{
    void *library = dlopen(QEMU_LIBRARY, RTLD_NOW | RTLD_LOCAL);

    if (library == NULL) {
        return g_strconcat(INSTALL, dlerror(), NULL);
    }
    return find(library, "virDomainQemuAgentCommand", &the_api.virDomainQemuAgentCommand)
               ? NULL
               : g_strdup(QEMU_LIBRARY " is too old: it has no virDomainQemuAgentCommand");
}

gboolean libvirt_load(const char **why)
{
    static GOnce once = G_ONCE_INIT;

    *why = g_once(&once, load, NULL);
    return *why == NULL;
}

gboolean libvirt_load_qemu(const char **why)
{
    static GOnce once = G_ONCE_INIT;

    if (!libvirt_load(why)) {
        return FALSE;
    }
    *why = g_once(&once, load_qemu, NULL);
    return *why == NULL;
}

const LibvirtApi *libvirt_api(void)
{
    return &the_api;
}
