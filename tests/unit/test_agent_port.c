// SPDX-License-Identifier: GPL-2.0-or-later
/* guest-agent/port */
#include "guest-agent/port.h"
#include "tests/check-run.h"

#include <check.h>
#include <glib/gstdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PORT "/dev/virtio-ports/org.qemu.guest_agent.0"

static char *root;

static void setup(void)
{
    root = g_dir_make_tmp("port-XXXXXX", NULL);
}

static void teardown(void)
{
    g_autofree char *command = g_strdup_printf("rm -rf '%s'", root);
    ck_assert_int_eq(system(command), 0);
    g_free(root);
}

static char *below_root(const char *name)
{
    return g_strconcat(root, name, NULL);
}

static void add_file(const char *name, const char *text)
{
    g_autofree char *path = below_root(name);
    g_autofree char *folder = g_path_get_dirname(path);
    g_mkdir_with_parents(folder, 0755);
    ck_assert(g_file_set_contents(path, text, -1, NULL));
}

static void expect_found(const char *path, const char *expected)
{
    g_autofree char *found = port_find(path, root);
    g_autofree char *full = expected ? below_root(expected) : NULL;
    ck_assert_pstr_eq(found, full);
}

START_TEST (the_path_itself_comes_first) {
    add_file(PORT, "");
    add_file("/dev/vport0p1", "");
    add_file("/sys/class/virtio-ports/vport0p1/name", "org.qemu.guest_agent.0\n");
    expect_found(PORT, PORT);
}
END_TEST

START_TEST (without_udev_the_name_is_looked_up) {
    add_file("/dev/vport1p1", "");
    add_file("/dev/vport1p2", "");
    add_file("/sys/class/virtio-ports/vport1p1/name", "com.redhat.spice.0\n");
    add_file("/sys/class/virtio-ports/vport1p2/name", "org.qemu.guest_agent.0\n");
    add_file("/sys/class/virtio-ports/vport1p3/dev", "1:1\n"); /* no name yet */
    expect_found(PORT, "/dev/vport1p2");
    expect_found("/dev/virtio-ports/other", NULL);
    expect_found("/dev/org.qemu.guest_agent.0", NULL);
}
END_TEST

START_TEST (a_name_without_a_node_is_not_there) {
    add_file("/sys/class/virtio-ports/vport1p2/name", "org.qemu.guest_agent.0\n");
    expect_found(PORT, NULL);
}
END_TEST

static void count(gpointer user_data)
{
    (*(int *)user_data)++;
}

static gboolean stop(gpointer user_data)
{
    *(gboolean *)user_data = TRUE;
    return G_SOURCE_REMOVE;
}

/* Runs the loop until events have been told, 2 s at the most. */
static gboolean told(int *events)
{
    gboolean late = FALSE;
    guint timer = g_timeout_add(2000, stop, &late);
    *events = 0;
    while (!*events && !late)
        g_main_context_iteration(NULL, TRUE);
    if (!late)
        g_source_remove(timer);
    return *events > 0;
}

START_TEST (tells_when_folders_and_the_node_come_and_come_again) {
    int events = 0;
    g_autofree char *top = below_root("/a");
    g_autofree char *folder = below_root("/a/b");
    g_autofree char *path = below_root("/a/b/port");
    PortWatch *watch = port_watch_new(path, count, &events);
    g_mkdir(top, 0755);
    ck_assert(told(&events));
    g_mkdir(folder, 0755);
    ck_assert(told(&events));
    g_file_set_contents(path, "", 0, NULL);
    ck_assert(told(&events));
    g_unlink(path);
    g_rmdir(folder);
    ck_assert(told(&events)); /* the watched folder has gone: back to the one above */
    g_mkdir(folder, 0755);
    ck_assert(told(&events));
    g_autofree char *other = below_root("/a/b/other");
    ck_assert_int_eq(symlink("nowhere", path), 0);
    ck_assert(told(&events));
    g_unlink(path);
    g_file_set_contents(other, "", 0, NULL);
    while (g_main_context_iteration(NULL, FALSE))
        ;
    g_rename(other, path);
    ck_assert(told(&events));
    port_watch_free(watch);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent port");
    TCase *tcase = tcase_create("port");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 20);
    tcase_add_test(tcase, the_path_itself_comes_first);
    tcase_add_test(tcase, without_udev_the_name_is_looked_up);
    tcase_add_test(tcase, a_name_without_a_node_is_not_there);
    tcase_add_test(tcase, tells_when_folders_and_the_node_come_and_come_again);
    suite_add_tcase(suite, tcase);
    return check_run(suite);
}
