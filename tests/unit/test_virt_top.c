// SPDX-License-Identifier: GPL-2.0-or-later
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <glib/gstdio.h>

#include "virt-top/lines.h"
#include "virt-top/numbers.h"
#include "virt-top/options.h"
#include "lib/text.h"

START_TEST (numbers) {
    static const struct {
        guint64 value;
        const char *text;
    } ints[] = {
        {0, "   0"},       {9999, "9999"},       {10000, "  9K"},          {18432, " 18K"},
        {1023999, "999K"}, {1024000, "  0M"},    {3000000000, "  2G"},     {1072668082175, "998G"},
        {1 << 30, "  1G"}, {1ull << 41, ">!!!"}, {DOMAIN_UNKNOWN, "    "},
    };
    static const struct {
        double value;
        const char *text;
    } percents[] = {
        {-1, " 0.0"},   {0, " 0.0"},    {0.04, " 0.0"},  {1.1, " 1.1"}, {9.9, " 9.9"},
        {22.2, "22.2"}, {99.9, "99.9"}, {99.95, "100 "}, {800, "100 "}, {NAN, " 0.0"},
    };
    static const struct {
        guint64 seconds;
        const char *text;
    } times[] = {
        {0, "  0:00.00"},
        {14, "  0:14.00"},
        {43199, "719:59.00"},
        {43200, " 12:00:00"},
        {999 * 3600 + 59, "999:00:59"},
        {1000 * 3600, " 41d16:00"},
    };
    char text[NUMBER_SIZE];

    for (guint i = 0; i < G_N_ELEMENTS(ints); i++) {
        ck_assert_str_eq(number_int(ints[i].value, text), ints[i].text);
    }
    for (guint i = 0; i < G_N_ELEMENTS(percents); i++) {
        ck_assert_str_eq(number_percent(percents[i].value, text), percents[i].text);
    }
    for (guint i = 0; i < G_N_ELEMENTS(times); i++) {
        ck_assert_str_eq(number_time(times[i].seconds * 1000000000, text), times[i].text);
    }
    ck_assert_str_eq(number_float(938663000, text), "938663000.");
    ck_assert_str_eq(number_float(0, text), "0.");
    ck_assert_str_eq(number_float(15.5173994822, text), "15.5173994822");
    ck_assert_str_eq(number_float(1e15, text), "1e+15");
    ck_assert_str_eq(number_float(-2.5, text), "-2.5");
}
END_TEST

/* The short way to write a float against printf's. */
START_TEST (floats) {
    static const double edges[] = {1e-4,
                                   0.00099999999999949,
                                   0.1,
                                   0.5,
                                   0.99999999999949,
                                   0.9999999999995,
                                   1.00000000000049,
                                   9.9999999999995,
                                   99.99999999995,
                                   1e11 - 0.5,
                                   99999999999.95,
                                   1e12 - 0.5,
                                   0.000099999999999999};
    g_autoptr(GRand) rand = g_rand_new_with_seed(7);
    char ours[NUMBER_SIZE], theirs[NUMBER_SIZE];

    for (guint i = 0; i < 300000; i++) {
        double value =
            i < G_N_ELEMENTS(edges) ? edges[i] : ldexp(g_rand_double(rand), g_rand_int_range(rand, -14, 42));

        g_ascii_formatd(theirs, sizeof theirs, "%.12g", value);
        if (strpbrk(theirs, ".e") == NULL) {
            strcat(theirs, ".");
        }
        ck_assert_str_eq(number_float(value, ours), theirs);
    }
}
END_TEST

/* ---- the rows that 1.1.1 wrote of two QEMU guests ---- */

typedef struct Fixture {
    GPtrArray *rows;
    Row row[2];
    Totals totals;
    LineOptions options;
    gint64 now;
} Fixture;

static void set_up(Fixture *fixture)
{
    static const char *const names[] = {"tcg-guest1", "tcg-guest2"};
    static const guint64 memory[] = {65536, 131072};
    struct tm parts = {.tm_year = 126,
                       .tm_mon = 10,
                       .tm_mday = 21,
                       .tm_hour = 19,
                       .tm_min = 33,
                       .tm_sec = 14,
                       .tm_isdst = -1};

    memset(fixture, 0, sizeof *fixture);
    fixture->rows = g_ptr_array_new();
    fixture->now = mktime(&parts);
    fixture->options = (LineOptions){.cpu = TRUE, .memory = TRUE, .block = TRUE, .net = TRUE};
    fixture->totals = (Totals){.count = 3,
                               .running = 2,
                               .active = 2,
                               .inactive = 1,
                               .memory = 196608,
                               .guest_memory = 196608,
                               .hosts = 1,
                               .cpus = 2,
                               .max_cpus = 2,
                               .mhz = 2000,
                               .host_memory = 11756100,
                               .hostname = "vm",
                               .model = "x86_64"};
    for (guint i = 0; i < 2; i++) {
        Row *row = &fixture->row[i];

        row->domain = domain_new(names[i], NULL);
        row->domain->id = (int)i + 1;
        row->domain->state = DOMAIN_STATE_RUNNING;
        row->domain->memory.current = memory[i];
        row->active = TRUE;
        memset(&row->traffic, 0xff, sizeof row->traffic);
    }
    /* not in the order of their ids */
    g_ptr_array_add(fixture->rows, &fixture->row[1]);
    g_ptr_array_add(fixture->rows, &fixture->row[0]);
}

static void second_sample(Fixture *fixture)
{
    static const guint64 time[] = {938663000, 975036000}, requests[] = {54, 55};
    static const double percent[] = {15.5173994822, 16.1186955505};

    for (guint i = 0; i < 2; i++) {
        Row *row = &fixture->row[i];

        row->before = domain_ref(row->domain);
        row->seconds = 3;
        row->cpu_time = time[i];
        row->cpu_percent = percent[i];
        row->memory_percent = i;
        row->traffic.rd_reqs = row->traffic.wr_reqs = requests[i];
        row->traffic.rx_bytes = row->traffic.tx_bytes = 0;
    }
    fixture->totals.cpu_time = 1913699000;
    fixture->totals.cpu_percent = 31.6360950327;
    fixture->now += 3;
}

static void tear_down(Fixture *fixture)
{
    for (guint i = 0; i < 2; i++) {
        g_clear_pointer(&fixture->row[i].before, domain_unref);
        domain_unref(fixture->row[i].domain);
    }
    g_ptr_array_unref(fixture->rows);
}

START_TEST (csv) {
    g_autoptr(GString) out = g_string_new(NULL);
    Fixture fixture;

    set_up(&fixture);
    lines_csv_header(out, &fixture.options);
    lines_csv(out, &fixture.options, fixture.rows, &fixture.totals, fixture.now);
    second_sample(&fixture);
    lines_csv(out, &fixture.options, fixture.rows, &fixture.totals, fixture.now);
    ck_assert_str_eq(
        out->str, "Hostname,Time,Arch,Physical "
                  "CPUs,Count,Running,Blocked,Paused,Shutdown,Shutoff,Crashed,Active,Inactive,%CPU,Total "
                  "hardware memory (KB),Total memory (KB),Total guest memory (KB),Total CPU time (ns),Domain "
                  "ID,Domain name,CPU (ns),%CPU,Mem (bytes),%Mem,Block RDRQ,Block WRRQ,Net RXBY,Net TXBY\n"
                  "vm,19:33:14,x86_64,2,3,2,0,0,0,0,0,2,1,0.0,11756100,196608,196608,0,1,tcg-guest1,0.,0.,0,"
                  "0,,,,,2,tcg-guest2,0.,0.,0,0,,,,\n"
                  "vm,19:33:17,x86_64,2,3,2,0,0,0,0,0,2,1,31.6,11756100,196608,196608,1913699000,1,tcg-"
                  "guest1,938663000.,15.5173994822,65536,0,54,54,0,0,2,tcg-guest2,975036000.,16.1186955505,"
                  "131072,1,55,55,0,0\n");
    g_string_truncate(out, 0);
    fixture.options = (LineOptions){.block = TRUE, .in_bytes = TRUE};
    lines_csv_header(out, &fixture.options);
    ck_assert(g_str_has_suffix(out->str, ",Domain ID,Domain name,Block RDBY,Block WRBY\n"));
    g_string_truncate(out, 0);
    lines_csv_field(out, "a,\"b\"\n");
    ck_assert_str_eq(out->str, "\"a,\"\"b\"\"\n\"");
    tear_down(&fixture);
}
END_TEST

START_TEST (stream) {
    g_autoptr(GString) out = g_string_new(NULL);
    Fixture fixture;

    set_up(&fixture);
    second_sample(&fixture);
    fixture.now += 9;
    fixture.row[0].cpu_percent = fixture.row[1].cpu_percent = 18;
    fixture.row[0].traffic.rd_reqs = fixture.row[0].traffic.wr_reqs = 19;
    fixture.row[1].traffic.rd_reqs = fixture.row[1].traffic.wr_reqs = 18;
    fixture.row[0].domain->cpu_time = 12620000000;
    fixture.row[1].domain->cpu_time = 12810000000;
    g_ptr_array_remove_index(fixture.rows, 0);
    g_ptr_array_add(fixture.rows, &fixture.row[1]);
    lines_stream(out, &fixture.options, fixture.rows, &fixture.totals, fixture.now);
    ck_assert_str_eq(out->str, "virt-top time  19:33:26 Host vm x86_64 2/2CPU 2000MHz 11480MB \n"
                               "   ID S RDRQ WRRQ RXBY TXBY %CPU %MEM   TIME    NAME\n"
                               "    1 R   19   19    0    0 18.0  0.0   0:12.62 tcg-guest1\n"
                               "    2 R   18   18    0    0 18.0  1.0   0:12.81 tcg-guest2\n");
    tear_down(&fixture);
}
END_TEST

START_TEST (names) {
    g_autofree char *wild = text_clean("a\033[2J\nb\xe2\x80\xae\xff");
    g_autofree char *wide = text_fit("日本語", 5, TRUE);
    g_autofree char *combining = text_fit(
        "e\xcc\x81\xcc\x81\xcc\x81\xcc\x81\xcc\x81\xcc\x81\xcc\x81\xcc\x81\xcc\x81\xcc\x81x", 3, TRUE);
    g_autofree char *leading = text_fit("\xcc\x81x", 2, TRUE);
    g_autofree char *long_name = g_strnfill(1000, 'n');
    g_autofree char *cut = text_fit(long_name, 80, FALSE);

    ck_assert_str_eq(wild, "a?[2J?b?\xef\xbf\xbd");
    ck_assert_str_eq(wide, "日本 ");
    ck_assert_uint_eq(text_width(wide), 5);
    ck_assert_uint_eq(text_width(combining), 3);
    ck_assert_uint_eq(g_utf8_strlen(combining, -1), 3 + 8);
    ck_assert_str_eq(leading, "x ");
    ck_assert_uint_eq(strlen(cut), 80);
}
END_TEST

START_TEST (command_line) {
    char *words[] = {"virt-top",
                     "-c",
                     "a",
                     "--connect",
                     "b",
                     "-2",
                     "-d",
                     "0.5",
                     "-n",
                     "7",
                     "-o",
                     "netrx",
                     "--no-csv-mem",
                     "--prometheus",
                     "--no-init-file",
                     "--end-time",
                     "+0:01:00",
                     NULL};
    Options options;
    gint64 time;

    ck_assert_int_eq(options_read(&options, G_N_ELEMENTS(words) - 1, words, 1000), OPTIONS_RUN);
    ck_assert_uint_eq(options.uris->len, 2);
    ck_assert_int_eq(options.view, VIEW_NET);
    ck_assert(options.delay == 0.5);
    ck_assert_uint_eq(options.iterations, 7);
    ck_assert_int_eq(options.sort, SORT_NET_RX);
    ck_assert(!options.lines.memory);
    ck_assert_str_eq(options.prometheus, "127.0.0.1:9177");
    ck_assert_int_eq(options.end_time, 1060);
    options_clear(&options);
    ck_assert(options_parse_end_time("+90", 10, &time) && time == 100);
    ck_assert(options_parse_end_time("2026-11-21 19:33:14", 10, &time));
    ck_assert(options_parse_end_time("23:59:59", 1000000, &time) && time > 1000000 - 86400 &&
              time < 1000000 + 2 * 86400);
    ck_assert(!options_parse_end_time("", 10, &time));
    ck_assert(!options_parse_end_time("+", 10, &time));
    ck_assert(!options_parse_end_time("25:99:00", 10, &time));
    ck_assert(!options_parse_end_time("+1:2:3x", 10, &time));
    ck_assert(!options_parse_end_time("+nan", 10, &time));
}
END_TEST

START_TEST (init_file) {
    g_autofree char *folder = g_dir_make_tmp("virt-top-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(folder, "rc", NULL);
    g_autofree char *old = g_strconcat(path, ".old", NULL);
    char *words[] = {"virt-top", "--init-file", path, NULL};
    static const char *const bad[] = {"what 1",
                                      "delay x",
                                      "delay -1",
                                      "display tree",
                                      "sort up",
                                      "batch perhaps",
                                      "columns rss,nonsense",
                                      "end-time soon"};
    static const char *const good[] = {"",
                                       "# comment",
                                       "  delay 2.5 ",
                                       "sort=name",
                                       "display block",
                                       "csv-cpu false",
                                       "iterations -1",
                                       "hist-cpu 5"};
    g_autofree char *text = NULL;
    Options options, again;

    ck_assert_int_eq(options_read(&options, 3, words, 0), OPTIONS_RUN);
    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autofree char *problem = options_take_line(&options, bad[i], 0);

        ck_assert_msg(problem != NULL, "%s", bad[i]);
    }
    for (guint i = 0; i < G_N_ELEMENTS(good); i++) {
        g_autofree char *problem = options_take_line(&options, good[i], 0);

        ck_assert_msg(problem == NULL, "%s: %s", good[i], problem);
    }
    options.columns = 5;
    ck_assert(options_write(&options, "test:///default", NULL));
    ck_assert(options_write(&options, "test:///default", NULL));
    ck_assert(g_file_test(old, G_FILE_TEST_EXISTS));
    ck_assert(g_file_get_contents(path, &text, NULL, NULL));
    ck_assert_msg(
        strstr(text, "display block\ndelay 2.5\nhist-cpu 5\nsort name\nconnect test:///default\n") != NULL,
        "%s", text);
    /* What it wrote, it reads. */
    ck_assert_int_eq(options_read(&again, 3, words, 0), OPTIONS_RUN);
    ck_assert_int_eq(again.view, VIEW_BLOCK);
    ck_assert(again.delay == 2.5);
    ck_assert_int_eq(again.sort, SORT_NAME);
    ck_assert_uint_eq(again.columns, 5);
    ck_assert_str_eq(again.uris->pdata[0], "test:///default");
    options_clear(&options);
    options_clear(&again);
    g_remove(path);
    g_remove(old);
    g_rmdir(folder);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("virt_top");
    TCase *tcase = tcase_create("virt-top");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(tcase, numbers);
    tcase_add_test(tcase, floats);
    tcase_add_test(tcase, csv);
    tcase_add_test(tcase, stream);
    tcase_add_test(tcase, names);
    tcase_add_test(tcase, command_line);
    tcase_add_test(tcase, init_file);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
