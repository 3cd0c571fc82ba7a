// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What stands for domain-libvirt.c where there is no libvirt.
 */
#include "lib/domain-source.h"

DomainSource *domain_source_new_libvirt_login(const char *uri, DomainSourceFlags flags, const char *user,
                                              const char *password, GError **error)
{
    g_set_error(error, DOMAIN_SOURCE_ERROR, DOMAIN_SOURCE_ERROR_UNSUPPORTED,
                "this program was built without libvirt: only host-vmm guests can be seen");
    return NULL;
}
