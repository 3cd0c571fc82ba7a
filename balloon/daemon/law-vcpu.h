// SPDX-License-Identifier: GPL-2.0-or-later
/* law-vcpu: the vCPU law as fleet and log see it (law.h); its records are those of balloon/policy-vcpu.h. */
#pragma once

#include "balloon/daemon/law.h"
#include "balloon/policy-vcpu.h"

extern const LawClass LAW_VCPU;

/* LAW_CONFIG. */
typedef struct LawVcpuConfig {
    PolicyVcpuConfig policy;
    gint32 advises; /* nothing is done: what was asked for is not waited for */
} LawVcpuConfig;
