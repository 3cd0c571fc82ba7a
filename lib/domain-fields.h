// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * domain-fields: libvirt's names of statistics ("block.0.rd.reqs", see virConnectGetAllDomainStats) put into
 * a Domain, without libvirt, so that they can be tested alone.
 */
#pragma once

#include "lib/domain.h"

/* A number. FALSE: a name that is not used here, or an index beyond reason. */
gboolean domain_fields_take_number(Domain *domain, const char *field, guint64 value);
/* last: an earlier record of the same guest, whose strings are shared where they are the same; may be NULL.
 */
gboolean domain_fields_take_text(Domain *domain, const Domain *last, const char *field, const char *value);
/* When all is taken: devices that did not say their name are called "?", vCPUs are counted. */
void domain_fields_finish(Domain *domain);

/* Records of a driver's guests are alike, so that what the name at a position means need not be found out
 * again and again. */
typedef struct DomainFieldsHint DomainFieldsHint;
DomainFieldsHint *domain_fields_hint_new(void);
void domain_fields_hint_free(DomainFieldsHint *hint);
/* As domain_fields_take_number(). position: in the record; any number is right, the same one is fast. */
gboolean domain_fields_take_hinted(DomainFieldsHint *hint, guint position, Domain *domain, const char *field,
                                   guint64 value);
