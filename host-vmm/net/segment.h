// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * segment: does in software what a packet's vnet header asks for, for back ends that take nothing but plain
 * frames.
 */
#pragma once

#include "host-vmm/net/vnet-header.h"

/* A frame as on a wire; valid during the call only. */
typedef void (*SegmentFunc)(const guint8 *frame, gsize length, gpointer user_data);

/* Completes the checksum that VNET_NEEDS_CSUM asks for, in place. header has been checked. */
void segment_checksum(const VnetHeader *header, guint8 *frame, gsize length);

/* Cuts a GSO packet (TCP or UDP_L4) and calls func for each segment, complete with lengths and checksums;
 * overwrites frame. header and parsed are what vnet_header_check() left; frame is a private copy, and its
 * first VNET_HEAD bytes are the very ones that were checked. */
void segment_packet(const VnetHeader *header, const PacketHeaders *parsed, guint8 *frame, gsize length,
                    SegmentFunc func, gpointer user_data);

/* Completes a GSO packet as one: a TCP segment or UDP datagram of up to 64 KiB, for a back end that has no
 * MTU. */
void segment_complete(const PacketHeaders *parsed, guint8 *frame, gsize length);
