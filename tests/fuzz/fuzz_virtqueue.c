// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzzes the virtio devices: the input is a script of what a guest's driver does (tests/device/hostile.c):
 * registers, rings, descriptors, configuration space, the host's peer. Nothing may crash, hang, or be written
 * where no buffer is.
 *
 * The first byte chooses the device, the rest is the script.
 */
#include "tests/device/hostile.h"

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size);

/* What a device has to say about such a driver is not news here. */
static GLogWriterOutput drop_log(GLogLevelFlags level, const GLogField *fields, gsize count,
                                 gpointer user_data)
{
    return (level & G_LOG_LEVEL_ERROR) != 0 ? g_log_writer_default(level, fields, count, NULL)
                                            : G_LOG_WRITER_HANDLED;
}

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size)
{
    /* Making a machine takes longer than most scripts; each begins with a reset. */
    static Hostile *devices[HOSTILE_KINDS];
    static guint played;
    if (size == 0)
        return 0;
    guint kind = data[0] % HOSTILE_KINDS;
    if (devices[0] == NULL) {
        g_log_set_writer_func(drop_log, NULL, NULL);
        for (guint i = 0; i < HOSTILE_KINDS; i++)
            devices[i] = hostile_new((HostileKind)i);
    }
    hostile_play(devices[kind], data + 1, size - 1);
    /* Its reset waits for requests that are under way: of those only the kernel knows, and they would be
     * taken for leaks. */
    hostile_play(devices[kind], data, 0);
    if (++played % 256 == 0)
        hostile_check_alive(devices[kind]);
    return 0;
}
