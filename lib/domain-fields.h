// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * domain-fields: libvirt's names of statistics ("block.0.rd.reqs", see virConnectGetAllDomainStats) put into
 * a Domain, without libvirt, so that they can be tested alone.
 */
#pragma once

#include "lib/domain.h"

/* A number. FALSE: a name that is not used here, or an index beyond reason. */
gboolean domain_fields_take_number(Domain *domain, const char *field, guint64 value);
gboolean domain_fields_take_text(Domain *domain, const char *field, const char *value);
/* When all is taken: devices that did not say their name are called "?", vCPUs are counted. */
void domain_fields_finish(Domain *domain);
