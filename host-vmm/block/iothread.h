// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * iothread: -object iothread,id=ID: a thread for the disks that name it.
 */
#pragma once

#include "host-vmm/block/io-context.h"
#include "host-vmm/object.h"

extern const ObjectType iothread_type;

/* NULL if the object is something else. Borrowed. */
IoContext *iothread_from_object(Object *object);
