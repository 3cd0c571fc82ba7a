// SPDX-License-Identifier: GPL-2.0-or-later
/* law-numa: the NUMA law (balloon/policy-numa.h) for fleet and log; its records are that header's structs. */
#pragma once

#include "balloon/daemon/law.h"

extern const LawClass LAW_NUMA;
