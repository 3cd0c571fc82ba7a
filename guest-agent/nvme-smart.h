// SPDX-License-Identifier: GPL-2.0-or-later
/* nvme-smart: the health of an NVMe drive (NVM Express Base Specification 1.4, section 5.14.1.2, "SMART /
 * Health Information", log page 02h). */
#pragma once

#include "lib/jsonstream.h"

#define NVME_SMART_BYTES 512

/* The answer's "smart" for a page's bytes. */
JsonObject *nvme_smart_to_json(const guint8 page[NVME_SMART_BYTES]);

/* Asks the drive whose node this is; NULL if it does not tell, which is logged with the right that is
 * missing. */
JsonObject *nvme_smart_read(const char *node);
