// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * qcow2-play: what a guest may do to an image that somebody has made up, for the tests and the fuzzer:
 * whatever the image is, each call returns 0 or an error, and costs no more I/O than its length lets one
 * expect.
 */
#pragma once

#include "tests/unit/qcow2-image.h"

/* Opens a copy of these bytes for reading and for writing, and plays a guest whose moves follow from the
 * seed. TRUE: it could be opened at all. */
gboolean qcow2_play(const guint8 *image, gsize length, guint32 seed);
