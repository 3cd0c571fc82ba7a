// SPDX-License-Identifier: GPL-2.0-or-later
/* What balloond sees of guests' places on nodes, and does about them: numa.c, numa-process.c. */
#include <glib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "balloon/daemon/numa-private.h"
#include "tests/check-run.h"
#include "tests/unit/fake-root.h"

#define PID 4711
#define STAT                                                                                                 \
    "%d (%s) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 %d 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 17 %d 0 0 0 0 0\n"

/* ---- a made-up process ---- */

static void add_thread(int id, const char *name, int cpu, int ran_ms)
{
    g_autofree char *stat_name = g_strdup_printf("/proc/%d/task/%d/stat", PID, id);
    g_autofree char *run_name = g_strdup_printf("/proc/%d/task/%d/schedstat", PID, id);
    g_autofree char *stat = g_strdup_printf(STAT, id, name, 1000 + id, cpu);
    g_autofree char *run = g_strdup_printf("%d000000 5 5\n", ran_ms);
    fake_root_file(stat_name, stat, 0444);
    fake_root_file(run_name, run, 0444);
}

static void set_process(const char *status, const char *maps)
{
    g_autofree char *status_name = g_strdup_printf("/proc/%d/status", PID);
    g_autofree char *maps_name = g_strdup_printf("/proc/%d/numa_maps", PID);
    fake_root_file(status_name, status, 0444);
    fake_root_file(maps_name, maps, 0444);
}

START_TEST (test_memory_and_threads_are_found) {
    NumaSight sight;
    set_process("Name:\tx\nVmLck:\t0 kB\nVmRSS:\t  524288 kB\nMems_allowed_list:\t0-1\n",
                "7f0000000000 default anon=65536 dirty=65536 N0=65536 N1=32768 kernelpagesize_kB=4\n"
                "7f1000000000 default file=/memfd:ram N1=64 kernelpagesize_kB=2048\n"
                "7f2000000000 default file=/lib/x.so mapped=3 N0=3 kernelpagesize_kB=4\n");
    add_thread(PID, "qemu) (CPU 9", 0, 5);
    add_thread(4712, "CPU 0/KVM", 2, 300);
    add_thread(4713, "CPU 1/KVM", 3, 400);
    ck_assert(numa_sight_take(&sight, fake_root, PID));
    ck_assert_int_eq(sight.rss, 512);
    ck_assert_int_eq(sight.resident[0], 256);
    ck_assert_int_eq(sight.resident[1], 128 + 128);
    ck_assert(!sight.locked && !sight.bound);
    ck_assert_str_eq(sight.allowed, "0-1");
    ck_assert_uint_eq(sight.threads->len, 2);
    for (guint i = 0; i < 2; i++) {
        const NumaThread *thread = &g_array_index(sight.threads, NumaThread, i);
        g_autofree char *setting = g_strdup_printf("%d/%d/%d", PID, thread->id, 1000 + thread->id);
        ck_assert_uint_eq(thread->cpu, thread->id == 4712 ? 2 : 3);
        ck_assert_int_eq(thread->ran_ms, thread->id == 4712 ? 300 : 400);
        ck_assert_str_eq(thread->setting, setting);
    }
    numa_sight_clear(&sight);
}
END_TEST

START_TEST (test_owners_and_locks_are_seen) {
    NumaSight sight;
    set_process("VmLck:\t400000 kB\nVmRSS:\t524288 kB\n",
                "7f0000000000 bind:1 anon=65536 N1=65536 kernelpagesize_kB=4\n");
    add_thread(PID, "some program", 1, 5);
    ck_assert(numa_sight_take(&sight, fake_root, PID));
    ck_assert(sight.locked && sight.bound);
    ck_assert_uint_eq(sight.threads->len, 1); /* none is named as a vCPU: all count */
    numa_sight_clear(&sight);
    set_process("VmRSS:\t100 kB\nHugetlbPages:\t4194304 kB\n", "");
    ck_assert(numa_sight_take(&sight, fake_root, PID) == FALSE); /* larger: sampled, and it does not exist */
}
END_TEST

static const char *const GARBAGE[] = {"",
                                      "\n\n\n",
                                      "7f default N=5 N99=7 Nx=1 N1=\n",
                                      "N0=1",
                                      " ",
                                      "7f",
                                      "7f bind:0 N0=-99999999999999999999 kernelpagesize_kB=x\n"};

START_TEST (test_maps_that_are_garbage) {
    NumaSight sight;
    set_process("VmRSS:\n", GARBAGE[_i]);
    if (numa_sight_take(&sight, fake_root, PID))
        numa_sight_clear(&sight);
    ck_assert(!numa_sight_take(&sight, fake_root, 1));
}
END_TEST

/* ---- this machine ---- */

START_TEST (test_this_process_is_found) {
    gsize size = 64 << 20;
    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(memory, MAP_FAILED);
    memset(memory, 1, size);
    NumaSight sight;
    if (!g_file_test("/proc/self/numa_maps", G_FILE_TEST_EXISTS))
        return; /* a kernel without NUMA */
    ck_assert(numa_sight_take(&sight, "", getpid()));
    gint64 all = 0;
    for (guint n = 0; n < POLICY_NUMA_NODES; n++)
        all += sight.resident[n];
    ck_assert_int_ge(all, 64);
    ck_assert_uint_eq(sight.threads->len, 1);
    numa_sight_clear(&sight);
    munmap(memory, size);
}
END_TEST

static char *own_setting(pid_t pid)
{
    NumaSight sight;
    char *setting = NULL;
    if (numa_sight_take(&sight, "", pid)) {
        setting = g_strdup(g_array_index(sight.threads, NumaThread, 0).setting);
        numa_sight_clear(&sight);
    }
    return setting;
}

START_TEST (test_an_affinity_is_set_and_put_back) {
    g_autofree char *setting = own_setting(getpid());
    if (setting == NULL)
        return;
    g_autofree char *before = NUMA_AFFINITIES.read("", setting);
    ck_assert_ptr_nonnull(before);
    g_autofree char *first = g_strndup(before, strcspn(before, "-,"));
    ck_assert(NUMA_AFFINITIES.write("", setting, first));
    g_autofree char *now = NUMA_AFFINITIES.read("", setting);
    ck_assert_str_eq(now, first);
    ck_assert(!NUMA_AFFINITIES.write("", setting, "all"));
    ck_assert(NUMA_AFFINITIES.write("", setting, before));
    g_free(now);
    now = NUMA_AFFINITIES.read("", setting);
    ck_assert_str_eq(now, before);
    /* A thread of another time that had this number is not this one. */
    g_autofree char *other = g_strdup_printf("%d/%d/1", getpid(), getpid());
    ck_assert_ptr_null(NUMA_AFFINITIES.read("", other));
    ck_assert(!NUMA_AFFINITIES.write("", other, first));
    ck_assert_ptr_null(NUMA_AFFINITIES.read("", "garbage"));
    ck_assert_ptr_null(NUMA_AFFINITIES.read("", "-1/-1/-1"));
}
END_TEST

static void on_moved(gint64 moved, guint64 cursor, gpointer user_data)
{
    gint64 *result = user_data;
    result[0] = moved;
    result[1] = (gint64)cursor;
}

/* All is on its node already, where there is one alone: nothing is moved, and the end is told. */
START_TEST (test_a_move_ends_and_is_told) {
    gint64 result[2] = {-1, -1};
    NumaMove *move = numa_move_begin("", getpid(), 0, 16, 0, on_moved, result);
    ck_assert_ptr_nonnull(move);
    for (int i = 0; i < 1000 && result[0] < 0; i++)
        g_main_context_iteration(NULL, TRUE);
    ck_assert_int_ge(result[0], 0);
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1); /* no child is left */
    ck_assert_ptr_null(numa_move_begin(fake_root, getpid(), 0, 16, 0, on_moved, result));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("balloond-numa");
    TCase *process = tcase_create("process");
    tcase_set_timeout(process, 60);
    tcase_add_checked_fixture(process, fake_root_setup, fake_root_teardown);
    tcase_add_test(process, test_memory_and_threads_are_found);
    tcase_add_test(process, test_owners_and_locks_are_seen);
    tcase_add_loop_test(process, test_maps_that_are_garbage, 0, G_N_ELEMENTS(GARBAGE));
    tcase_add_test(process, test_this_process_is_found);
    tcase_add_test(process, test_an_affinity_is_set_and_put_back);
    tcase_add_test(process, test_a_move_ends_and_is_told);
    suite_add_tcase(suite, process);
    return check_run(suite);
}
