// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * domain-xml: names of a guest's devices from libvirt's domain XML (its format:
 * libvirt.org/formatdomain.html).
 */
#pragma once

#include <glib.h>

typedef struct DomainXml {
    GPtrArray *disks; /* of char *: target names ("vda") */
    GPtrArray *nics;  /* of char *: names of the host's ends ("vnet0"); those without one are left out */
} DomainXml;

/* At most 1024 of each; what is broken ends the reading there. Never NULL. */
DomainXml *domain_xml_parse(const char *text);
void domain_xml_free(DomainXml *xml);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DomainXml, domain_xml_free)
