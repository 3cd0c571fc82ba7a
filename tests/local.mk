# SPDX-License-Identifier: GPL-2.0-or-later
include tests/unit/local.mk
include tests/device/local.mk
include tests/program/local.mk
include tests/lab/local.mk
include tests/fuzz/local.mk
include tests/bench/local.mk
