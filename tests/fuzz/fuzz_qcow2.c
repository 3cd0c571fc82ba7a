// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzzes the qcow2 driver with whole images; what follows from the last four bytes is what the guest does.
 */
#include "tests/unit/qcow2-play.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size);

#define LONGEST (256u << 10)

static GLogWriterOutput say_nothing(GLogLevelFlags level, const GLogField *fields, gsize count,
                                    gpointer user_data)
{
    return G_LOG_WRITER_HANDLED;
}

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size)
{
    static gsize set_up = 0;
    guint32 seed;
    if (g_once_init_enter(&set_up)) {
        g_log_set_writer_func(say_nothing, NULL, NULL);
        g_once_init_leave(&set_up, 1);
    }
    if (size < sizeof seed || size > LONGEST)
        return 0;
    memcpy(&seed, data + size - sizeof seed, sizeof seed);
    qcow2_play(data, size - sizeof seed, seed);
    return 0;
}
