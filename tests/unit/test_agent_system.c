// SPDX-License-Identifier: GPL-2.0-or-later
/* guest-agent: what it reads off the kernel: kernel-stats, memory-blocks, text-file, in made-up guests */
#include "guest-agent/kernel-stats.h"
#include "guest-agent/memory-blocks.h"
#include "guest-agent/text-file.h"
#include "tests/check-run.h"
#include "tests/unit/fake-root.h"

#include <check.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define BLOCKS "/sys/devices/system/memory/"

static void expect_text(JsonNode *node, const char *expected)
{
    g_autoptr(GString) text = g_string_new(NULL);
    json_write(node, text);
    json_node_unref(node);
    ck_assert_str_eq(text->str, expected);
}

static void expect_array(JsonArray *array, const char *expected)
{
    JsonNode *node = json_node_init_array(json_node_alloc(), array);
    json_array_unref(array);
    expect_text(node, expected);
}

static void expect_object(JsonObject *object, const char *expected)
{
    JsonNode *node = json_node_init_object(json_node_alloc(), object);
    json_object_unref(object);
    expect_text(node, expected);
}

/* ---- kernel-stats ---- */

START_TEST (diskstats_of_all_kernels) {
    expect_array(
        kernel_diskstats("   8       0 sda 1 2 3 4 5 6 7 8 9 10 11\n"),
        "[{\"name\": \"sda\", \"major\": 8, \"minor\": 0, \"stats\": {\"read-ios\": 1, \"read-merges\": 2, "
        "\"read-sectors\": 3, \"read-ticks\": 4, \"write-ios\": 5, \"write-merges\": 6, \"write-sectors\": "
        "7, "
        "\"write-ticks\": 8, \"ios-pgr\": 9, \"total-ticks\": 10, \"weight-ticks\": 11}}]");
    expect_array(
        kernel_diskstats("8 1 sda1 1 2 3 4\n"),
        "[{\"name\": \"sda1\", \"major\": 8, \"minor\": 1, \"stats\": {\"read-ios\": 1, \"read-sectors\": 2, "
        "\"write-ios\": 3, \"write-sectors\": 4}}]");
    expect_array(
        kernel_diskstats("8 0 sda 1 2 3 4 5 6 7 8 9 10 11 12 13 14 18446744073709551615 16 17 18 19\n"),
        "[{\"name\": \"sda\", \"major\": 8, \"minor\": 0, \"stats\": {\"read-ios\": 1, \"read-merges\": 2, "
        "\"read-sectors\": 3, \"read-ticks\": 4, \"write-ios\": 5, \"write-merges\": 6, \"write-sectors\": "
        "7, "
        "\"write-ticks\": 8, \"ios-pgr\": 9, \"total-ticks\": 10, \"weight-ticks\": 11, \"discard-ios\": 12, "
        "\"discard-merges\": 13, \"discard-sectors\": 14, \"discard-ticks\": 9223372036854775807, "
        "\"flush-ios\": 16, \"flush-ticks\": 17}}]");
    expect_array(
        kernel_diskstats(
            "\n8\n8 0\n8 0 sda\n8 0 sda 1 2 3\nx 0 sda 1 2 3 4\n8 0 sda 1 2 3 4 -5\n8 0 s 1 2 3 4 5\n"),
        "[{\"name\": \"sda\", \"major\": 8, \"minor\": 0, \"stats\": {\"read-ios\": 1, \"read-sectors\": 2, "
        "\"write-ios\": 3, \"write-sectors\": 4}}]");
}
END_TEST

START_TEST (cpustats_are_milliseconds) {
    expect_array(
        kernel_cpustats("cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1 2 3 4 5 6 7 8 9 10\ncpu11 10 20 30 40\nintr 5\n"
                        "cpux 1 2 3 4\ncpu2 1 2 3\n",
                        100),
        "[{\"type\": \"linux\", \"cpu\": 0, \"user\": 10, \"nice\": 20, \"system\": 30, \"idle\": 40, "
        "\"iowait\": 50, \"irq\": 60, \"softirq\": 70, \"steal\": 80, \"guest\": 90, \"guestnice\": 100}, "
        "{\"type\": \"linux\", \"cpu\": 11, \"user\": 100, \"nice\": 200, \"system\": 300, \"idle\": 400}]");
    expect_array(
        kernel_cpustats("cpu0 18446744073709551615 0 0 0\n", 1000),
        "[{\"type\": \"linux\", \"cpu\": 0, \"user\": 9223372036854775807, \"nice\": 0, \"system\": 0, "
        "\"idle\": 0}]");
    expect_array(kernel_cpustats("", 0), "[]");
}
END_TEST

START_TEST (routes_of_both_kinds) {
    JsonArray *routes = json_array_new();
    guint8 gateway[4] = {192, 0, 2, 1};
    guint32 word;
    memcpy(&word, gateway, sizeof word);
    g_autofree char *text = g_strdup_printf(
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
        "eth0\t00000000\t%08X\t0003\t1\t2\t-1\t00000000\t1500\t5\t6   \n"
        "eth0\t00000000\tNOTHEX00\t0003\t1\t2\t100\t00000000\t1500\t5\t6\n",
        word);
    kernel_routes_v4(routes, text);
    kernel_routes_v6(routes,
                     "fe800000000000000000000000000000 40 00000000000000000000000000000000 00 "
                     "20010db8000000000000000000000001 00000100 00000001 00000000 80200001     eth0\n"
                     "fe8 40 00000000000000000000000000000000 00 "
                     "20010db8000000000000000000000001 00000100 00000001 00000000 00000001     eth0\n");
    expect_array(
        routes,
        "[{\"iface\": \"eth0\", \"version\": 4, \"destination\": \"0.0.0.0\", \"gateway\": \"192.0.2.1\", "
        "\"flags\": 3, \"refcnt\": 1, \"use\": 2, \"metric\": -1, \"mask\": \"0.0.0.0\", \"mtu\": 1500, "
        "\"window\": 5, \"irtt\": 6}, "
        "{\"iface\": \"eth0\", \"version\": 6, \"destination\": \"fe80::\", \"desprefixlen\": \"64\", "
        "\"source\": \"::\", \"srcprefixlen\": \"0\", \"nexthop\": \"2001:db8::1\", \"metric\": 256, "
        "\"refcnt\": 1, \"use\": 0, \"flags\": 2149580801}]");
}
END_TEST

/* ---- memory-blocks ---- */

static void expect_blocks(const char *expected)
{
    g_autoptr(GError) error = NULL;
    JsonNode *blocks = memory_blocks_list(fake_root, &error);
    ck_assert_msg(blocks != NULL, "%s", error ? error->message : "");
    expect_text(blocks, expected);
}

static void add_memory(guint index, const char *state, const char *removable)
{
    g_autofree char *state_name = g_strdup_printf(BLOCKS "memory%u/state", index);
    g_autofree char *removable_name = g_strdup_printf(BLOCKS "memory%u/removable", index);
    if (state)
        fake_root_file(state_name, state, 0644);
    if (removable)
        fake_root_file(removable_name, removable, 0644);
}

START_TEST (blocks_by_index) {
    expect_blocks("[]"); /* a kernel without them */
    add_memory(10, "offline\n", "0\n");
    add_memory(2, "online\n", "1\n");
    add_memory(3, NULL, "1\n");
    add_memory(4, "online\n", NULL);
    fake_root_file(BLOCKS "memoryx/state", "online\n", 0644);
    expect_blocks("[{\"phys-index\": 2, \"online\": true, \"can-offline\": true}, "
                  "{\"phys-index\": 3, \"online\": true, \"can-offline\": false}, "
                  "{\"phys-index\": 4, \"online\": true, \"can-offline\": false}, "
                  "{\"phys-index\": 10, \"online\": false, \"can-offline\": false}]");
}
END_TEST

START_TEST (no_block_at_all_is_an_error) {
    fake_root_folder(BLOCKS);
    g_autoptr(GError) error = NULL;
    ck_assert_ptr_null(memory_blocks_list(fake_root, &error));
    ck_assert_str_eq(error->message, "guest reported zero memory blocks!");
}
END_TEST

START_TEST (a_block_is_set) {
    expect_object(memory_block_set(fake_root, 1, TRUE),
                  "{\"phys-index\": 1, \"response\": \"operation-not-supported\", \"error-code\": 2}");
    add_memory(1, "online\n", "1\n");
    add_memory(3, NULL, "1\n");
    expect_object(memory_block_set(fake_root, 1, FALSE), "{\"phys-index\": 1, \"response\": \"success\"}");
    g_autofree char *state = fake_root_read(BLOCKS "memory1/state");
    ck_assert(g_str_has_prefix(state, "offline"));
    expect_object(memory_block_set(fake_root, 1, FALSE), "{\"phys-index\": 1, \"response\": \"success\"}");
    expect_object(memory_block_set(fake_root, 2, FALSE),
                  "{\"phys-index\": 2, \"response\": \"not-found\", \"error-code\": 2}");
    expect_object(memory_block_set(fake_root, -1, FALSE),
                  "{\"phys-index\": -1, \"response\": \"not-found\", \"error-code\": 2}");
    expect_object(memory_block_set(fake_root, 3, TRUE), "{\"phys-index\": 3, \"response\": \"success\"}");
    expect_object(memory_block_set(fake_root, 3, FALSE),
                  "{\"phys-index\": 3, \"response\": \"operation-not-supported\", \"error-code\": 2}");
    fake_root_folder(BLOCKS "memory4/state");
    expect_object(memory_block_set(fake_root, 4, FALSE),
                  "{\"phys-index\": 4, \"response\": \"operation-failed\", \"error-code\": 21}");
}
END_TEST

START_TEST (the_size_of_a_block) {
    g_autoptr(GError) error = NULL;
    ck_assert_int_eq(memory_block_size(fake_root, &error), -1);
    ck_assert_str_eq(error->message, "open(\"/sys/devices/system/memory/\"): No such file or directory");
    fake_root_file(BLOCKS "block_size_bytes", "8000000\n", 0644);
    ck_assert_int_eq(memory_block_size(fake_root, NULL), 0x8000000);
    fake_root_file(BLOCKS "block_size_bytes", "rubbish\n", 0644);
    ck_assert_int_eq(memory_block_size(fake_root, NULL), -1);
}
END_TEST

/* ---- text-file ---- */

START_TEST (files_are_read_whole) {
    int errnum = -1;
    g_autofree char *big = g_strnfill(100000, 'x');
    g_autofree char *big_line = g_strconcat(big, "\n\n", NULL);
    fake_root_file("/big", big_line, 0644);
    g_autofree char *text = text_file_read(fake_root, "/big", &errnum);
    ck_assert_str_eq(text, big);
    ck_assert_int_eq(errnum, 0);
    fake_root_file("/empty", "", 0644);
    g_autofree char *empty = text_file_read(fake_root, "/empty", NULL);
    ck_assert_str_eq(empty, "");
}
END_TEST

START_TEST (what_is_no_file_is_refused) {
    int errnum = 0;
    ck_assert_ptr_null(text_file_read(fake_root, "/none", &errnum));
    ck_assert_int_eq(errnum, ENOENT);
    fake_root_folder("/folder");
    ck_assert_ptr_null(text_file_read(fake_root, "/folder", &errnum));
    ck_assert_int_eq(errnum, EISDIR);
    g_autofree char *fifo = g_strconcat(fake_root, "/fifo", NULL);
    ck_assert_int_eq(mkfifo(fifo, 0600), 0);
    ck_assert_ptr_null(text_file_read(fake_root, "/fifo", &errnum));
    ck_assert_int_eq(errnum, EINVAL);
    ck_assert_int_eq(text_file_write(fake_root, "/none", "x"), ENOENT); /* never makes one */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent system");
    TCase *stats = tcase_create("kernel-stats");
    tcase_add_test(stats, diskstats_of_all_kernels);
    tcase_add_test(stats, cpustats_are_milliseconds);
    tcase_add_test(stats, routes_of_both_kinds);
    suite_add_tcase(suite, stats);
    TCase *blocks = tcase_create("memory-blocks");
    tcase_add_checked_fixture(blocks, fake_root_setup, fake_root_teardown);
    tcase_add_test(blocks, blocks_by_index);
    tcase_add_test(blocks, no_block_at_all_is_an_error);
    tcase_add_test(blocks, a_block_is_set);
    tcase_add_test(blocks, the_size_of_a_block);
    suite_add_tcase(suite, blocks);
    TCase *files = tcase_create("text-file");
    tcase_add_checked_fixture(files, fake_root_setup, fake_root_teardown);
    tcase_add_test(files, files_are_read_whole);
    tcase_add_test(files, what_is_no_file_is_refused);
    suite_add_tcase(suite, files);
    return check_run(suite);
}
