// SPDX-License-Identifier: GPL-2.0-or-later
/* Thousands of seeded random drivers for each device. HOSTILE_SEED=n plays one; HOSTILE_VERBOSE=1 prints each
 * seed before it is played, to find the one that a crash belongs to. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/device/hostile.h"
#include "tests/check-run.h"

#define SCRIPTS     10000
#define MAX_SCRIPT  600
#define ALIVE_EVERY 100

/* What the devices have to say about such drivers is not news here. */
static GLogWriterOutput drop_log(GLogLevelFlags level, const GLogField *fields, gsize count,
                                 gpointer user_data)
{
    return (level & G_LOG_LEVEL_ERROR) != 0 ? g_log_writer_default(level, fields, count, NULL)
                                            : G_LOG_WRITER_HANDLED;
}

static void play_seed(Hostile *hostile, guint32 seed)
{
    guint8 script[MAX_SCRIPT];
    GRand *random = g_rand_new_with_seed(seed);
    gsize length = (gsize)g_rand_int_range(random, 1, MAX_SCRIPT);
    for (gsize i = 0; i < length; i++)
        script[i] = (guint8)g_rand_int_range(random, 0, 256);
    g_rand_free(random);
    hostile_play(hostile, script, length);
}

static void play_all(HostileKind kind)
{
    g_log_set_writer_func(drop_log, NULL, NULL);
    Hostile *hostile = hostile_new(kind);
    gboolean verbose = g_getenv("HOSTILE_VERBOSE") != NULL;
    const char *only = g_getenv("HOSTILE_SEED");
    if (only != NULL) {
        play_seed(hostile, (guint32)g_ascii_strtoull(only, NULL, 0));
        hostile_check_alive(hostile);
        hostile_free(hostile);
        return;
    }
    for (guint32 seed = 0; seed < SCRIPTS; seed++) {
        if (verbose)
            fprintf(stderr, "seed %u\n", seed);
        play_seed(hostile, seed);
        if (seed % ALIVE_EVERY == 0)
            hostile_check_alive(hostile);
    }
    hostile_check_alive(hostile);
    hostile_free(hostile);
}

START_TEST (rng_survives) {
    play_all(HOSTILE_RNG);
}
END_TEST

START_TEST (serial_survives) {
    play_all(HOSTILE_SERIAL);
}
END_TEST

START_TEST (net_survives) {
    play_all(HOSTILE_NET);
}
END_TEST

START_TEST (net_of_frames_survives) {
    play_all(HOSTILE_NET_FRAMES);
}
END_TEST

START_TEST (blk_survives) {
    play_all(HOSTILE_BLK);
}
END_TEST

START_TEST (blk_on_a_thread_survives) {
    play_all(HOSTILE_BLK_THREAD);
}
END_TEST

START_TEST (scsi_survives) {
    play_all(HOSTILE_SCSI);
}
END_TEST

START_TEST (scsi_on_a_thread_survives) {
    play_all(HOSTILE_SCSI_THREAD);
}
END_TEST

START_TEST (balloon_survives) {
    play_all(HOSTILE_BALLOON);
}
END_TEST

START_TEST (mem_survives) {
    play_all(HOSTILE_MEM);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("hostile");
    TCase *c = tcase_create("hostile");
    tcase_set_timeout(c, 300);
    tcase_add_test(c, rng_survives);
    tcase_add_test(c, serial_survives);
    tcase_add_test(c, net_survives);
    tcase_add_test(c, net_of_frames_survives);
    tcase_add_test(c, blk_survives);
    tcase_add_test(c, blk_on_a_thread_survives);
    tcase_add_test(c, scsi_survives);
    tcase_add_test(c, scsi_on_a_thread_survives);
    tcase_add_test(c, balloon_survives);
    tcase_add_test(c, mem_survives);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return check_run(suite());
}
