// SPDX-License-Identifier: GPL-2.0-or-later
/* balloond's parts: configuration, the host in a made-up /proc, places of guests, the log and its replay. */
#include <glib.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

#include "balloon/daemon/audit.h"
#include "balloon/daemon/host.h"
#include "balloon/daemon/settings.h"
#include "balloon/policy-ksm.h"
#include "tests/check-run.h"
#include "tests/unit/fake-root.h"

/* ---- settings ---- */

START_TEST (test_an_empty_file_has_defaults) {
    g_autoptr(GError) error = NULL;
    g_autoptr(Settings) settings = settings_parse("f", "", &error);
    PolicyConfig policy;
    policy_config_init(&policy);
    ck_assert_ptr_nonnull(settings);
    ck_assert_int_eq(settings->policy.soft_permille, policy.soft_permille);
    ck_assert_int_eq(settings->policy.probe_ms, policy.probe_ms);
    ck_assert_int_eq(settings->tick_ms, 1000);
    ck_assert_uint_eq(settings->connects->len, 1);
}
END_TEST

START_TEST (test_values_and_units) {
    g_autoptr(GError) error = NULL;
    g_autoptr(Settings) settings =
        settings_parse("f",
                       "# a comment\n[host]\ntick = 500ms\nsoft=8.5%\nstats = 3 s\n[balloon]\nhold=2m\n"
                       "[ksm]\nmode=on\nprofit-floor=64M\nsmart-scan=no\n"
                       "[audit]\nfile=/a\nsize=2G\n[connect q]\ntype=libvirt\nuri=qemu:///system\n",
                       &error);
    ck_assert_msg(settings != NULL, "%s", error != NULL ? error->message : "");
    ck_assert_int_eq(settings->tick_ms, 500);
    ck_assert_int_eq(settings->stats_ms, 3000);
    ck_assert_int_eq(settings->policy.soft_permille, 85);
    ck_assert_int_eq(settings->policy.hold_ms, 120000);
    ck_assert_int_eq(settings->audit_bytes, 2LL << 30);
    ck_assert_int_eq(settings->ksm.mode, POLICY_KSM_ALWAYS);
    ck_assert_int_eq(settings->ksm.profit_floor, 64);
    ck_assert_int_eq(settings->ksm_fixed.smart_scan, 0);
    ck_assert_int_eq(settings->ksm_fixed.max_page_sharing, -1);
    ck_assert_str_eq(((Connect *)settings->connects->pdata[0])->uri, "qemu:///system");
}
END_TEST

static const struct {
    const char *text, *problem;
} WRONG[] = {
    {"[host]\nhigh=5\n", "f:2: high: \"5\" is not a percentage"},
    {"[host]\nhigh=7.55%\n", "f:2: high: \"7.55%\" is not a percentage"},
    {"[host]\ntick=1\n", "f:2: tick: \"1\" is not a time"},
    {"[host]\ntick=2h\n", "f:2: tick: 2h is out of range"},
    {"[host]\n\ntock=1s\n", "f:3: [host] has no key \"tock\""},
    {"[hots]\n", "f:1: there is no group [hots]"},
    {"[host]\nhigh=10%\nhigh=11%\n", "f:3: \"high\" is there twice, see line 2"},
    {"[class a]\nmatch=x\n[class a]\nmatch=y\n", "f:3: [class a] is there twice, see line 1"},
    {"[class a]\nmin=5%\n", "f:1: [class a] has no match"},
    {"[class a]\nmatch=x;;y\n", "f:2: match: a pattern is empty"},
    {"[class a]\nmatch=x\nmin=512\n", "f:3: min: \"512\" is not a part"},
    {"[class a]\nmatch=x\nshares=0\n", "f:3: shares: 0 is out of range"},
    {"[class a]\nmatch=x\nmanage=maybe\n", "f:3: manage: \"maybe\" is not yes or no"},
    {"[class ]\nmatch=x\n", "there is no group [class ]"},
    {"[host]\ncrit=9%\nsoft=8%\n", "f:3: crit has to be below soft"},
    {"[host]\nsoft=14%\n", "f:2: soft has to be below high"},
    {"[host]\njust words\n", "f:2: neither a [group] nor"},
    {"tick=1s\n", "f:1: a key before the first [group]"},
    {"[audit]\nsize=99999999999999999999G\n", "f:2: size: "},
    {"[connect a]\nuri=x\n", "f:1: [connect a] has no type"},
    {"[connect a]\ntype=xen\n", "f:2: type: \"xen\" is not libvirt, host-vmm or fake"},
    {"[connect a]\ntype=fake\n", "f:2: a fake source needs guests, demand and memory"},
    {"[connect a]\ntype=host-vmm\nuri=x\n", "f:3: uri is a libvirt source's"},
    {"[ksm]\nmode=always\n", "f:2: mode: \"always\" is none of off, auto, on"},
    {"[ksm]\nmode=\n", "f:2: mode: \"\" is none of"},
    {"[ksm]\nstart=0%\n", "f:2: start: 0% is out of range (0.1 to 100.0 %)"},
    {"[ksm]\ncpu-budget=150%\n", "f:2: cpu-budget: 150% is out of range"},
    {"[ksm]\nprofit-floor=20\n", "f:2: profit-floor: \"20\" is not a size"},
    {"[ksm]\nprofit-floor=1K\n", "f:2: profit-floor: 1K is out of range"},
    {"[ksm]\npass=1s\n", "f:2: pass: 1s is out of range"},
    {"[ksm]\nsmart-scan=1\n", "f:2: smart-scan: \"1\" is not yes or no"},
    {"[ksm]\nmax-page-sharing=1\n", "f:2: max-page-sharing: 1 is out of range"},
    {"[ksm]\nmode=on\nmode=off\n", "f:3: \"mode\" is there twice, see line 2"},
    {"[numa]\nmode=kernel\n", "f:2: mode: \"kernel\" is none of off, advise, act"},
    {"[numa]\nslice=1M\n", "f:2: slice: 1M is out of range"},
    {"[numa]\nin-flight=0\n", "f:2: in-flight: 0 is out of range"},
    {"[numa]\nsample=30\n", "f:2: sample: \"30\" is not a time"},
    {"[class a]\nmatch=x\nksm=never\n", "f:3: ksm: \"never\" is not yes or no"},
    {"[guest g]\nmatch=x\n", "f:2: [guest g] has no key \"match\""},
    {"[host]\ntick=\xff\n", "f:1: this is not text in UTF-8"},
};

START_TEST (test_what_is_wrong_is_told_with_its_line) {
    g_autoptr(GError) error = NULL;
    ck_assert_ptr_null(settings_parse("f", WRONG[_i].text, &error));
    ck_assert_msg(strstr(error->message, WRONG[_i].problem) != NULL, "%s", error->message);
}
END_TEST

START_TEST (test_all_that_is_wrong_is_told_at_once) {
    g_autoptr(GError) error = NULL;
    ck_assert_ptr_null(settings_parse("f", "[host]\ntick=1\nsoft=x\n[what]\n", &error));
    g_auto(GStrv) lines = g_strsplit(error->message, "\n", -1);
    ck_assert_uint_eq(g_strv_length(lines), 3);
}
END_TEST

START_TEST (test_terms_come_from_guest_then_class) {
    g_autoptr(Settings) settings =
        settings_parse("f",
                       "[class gold]\nmatch=db-*;x?\nmin=50%\nshares=4000\n[class all]\nmatch=*\nmin=256M\n"
                       "[guest db-1]\nmin=1G\nmax=75%\n[guest x1]\nmanage=no\nksm=no\n",
                       NULL);
    ck_assert_ptr_nonnull(settings);
    Terms terms = settings_terms(settings, "db-1", 4096);
    ck_assert_str_eq(terms.class, "gold");
    ck_assert_int_eq(terms.min, 1024);
    ck_assert_int_eq(terms.max, 3072);
    ck_assert_int_eq(terms.shares, 4000);
    ck_assert_int_eq(settings_terms(settings, "db-2", 4096).min, 2048);
    ck_assert(!settings_terms(settings, "x1", 4096).manage);
    ck_assert(!settings_terms(settings, "x1", 4096).ksm);
    ck_assert(settings_terms(settings, "web", 4096).ksm);
    ck_assert_int_eq(settings_terms(settings, "web", 4096).min, 256);
    ck_assert_int_eq(settings_terms(settings, "web", 128).min, 128);
    ck_assert_int_eq(settings_terms(settings, "web", 4096).shares, 1000);
}
END_TEST

START_TEST (test_only_regular_files_are_read) {
    g_autoptr(GError) error = NULL;
    ck_assert_ptr_null(settings_read("/dev/null", &error));
    ck_assert_msg(strstr(error->message, "not a regular file") != NULL, "%s", error->message);
    g_clear_error(&error);
    ck_assert_ptr_null(settings_read("/nowhere/at/all", &error));
}
END_TEST

/* ---- host ---- */

#define MEMINFO "MemTotal:       16777216 kB\nMemFree:  1 kB\nMemAvailable:    4194304 kB\n"

START_TEST (test_looks_at_a_host) {
    g_autoptr(GError) error = NULL;
    fake_root_file("/proc/meminfo", MEMINFO, 0444);
    fake_root_file("/proc/pressure/memory",
                   "some avg10=9.99 avg60=0 total=1\nfull avg10=1.27 avg60=0 total=1\n", 0444);
    fake_root_file("/proc/vmstat", "nr_free_pages 1\npswpin 100\npswpout 50\npgmajfault 10\n", 0444);
    g_autoptr(Host) host = host_new(fake_root);
    PolicyHost seen = {0};
    HostRates rates;
    ck_assert(host_look(host, 1000, &seen, &rates, &error));
    ck_assert_int_eq(seen.total, 16384);
    ck_assert_int_eq(seen.available, 4096);
    ck_assert_int_eq(seen.psi_full, 12);
    ck_assert_int_eq(rates.swapped_in, POLICY_UNKNOWN);
    fake_root_file("/proc/vmstat", "pswpin 300\npswpout 50\npgmajfault 15\n", 0444);
    ck_assert(host_look(host, 3000, &seen, &rates, &error));
    ck_assert_int_eq(rates.swapped_in, 100);
    ck_assert_int_eq(rates.swapped_out, 0);
    ck_assert_int_eq(rates.major_faults, 2);
    ck_assert(!host_watch(host, NULL, NULL)); /* not this machine: its triggers are not ours */
}
END_TEST

START_TEST (test_a_host_that_tells_less) {
    g_autoptr(GError) error = NULL;
    g_autoptr(Host) host = host_new(fake_root);
    PolicyHost seen = {0};
    HostRates rates;
    ck_assert(!host_look(host, 1000, &seen, &rates, &error));
    g_clear_error(&error);
    fake_root_file("/proc/meminfo", "MemTotal: lots\nMemAvailable: 5 kB\n", 0444);
    ck_assert(!host_look(host, 1000, &seen, &rates, &error));
    fake_root_file("/proc/meminfo", MEMINFO, 0444);
    ck_assert(host_look(host, 1000, &seen, &rates, NULL));
    ck_assert_int_eq(seen.psi_full, POLICY_UNKNOWN);
    ck_assert_int_eq(rates.major_faults, POLICY_UNKNOWN);
}
END_TEST

/* ---- places ---- */

START_TEST (test_places_are_kept_and_used_again) {
    PolicyConfig config;
    Fleet fleet;
    policy_config_init(&config);
    fleet_init(&fleet, &config);
    for (int i = 0; i < 40; i++) {
        g_autofree char *key = g_strdup_printf("s/%d", i);
        ck_assert_int_eq(fleet_add(&fleet, key, "name"), i);
    }
    ck_assert_int_eq(fleet_add(&fleet, "s/7", "again"), -1);
    fleet.states[7].known = TRUE;
    fleet_remove(&fleet, 7);
    ck_assert_int_eq(fleet_find(&fleet, "s/7"), -1);
    ck_assert_int_eq(fleet_find(&fleet, "s/8"), 8);
    ck_assert_int_eq(fleet_add(&fleet, "s/new", "new"), 7);
    ck_assert(!fleet.states[7].known);
    ck_assert(!fleet_add_at(&fleet, FLEET_MAX, "far", "far"));
    fleet_clear(&fleet);
}
END_TEST

/* ---- the log ---- */

#define GUESTS 5

/* What the KSM law sees of them: it has bursts, passes and pauses, and is switched off and on. */
static void play_ksm(Fleet *fleet, Audit *audit, int t)
{
    PolicyKsmConfig config;
    policy_ksm_config_init(&config);
    config.mode = POLICY_KSM_ALWAYS;
    config.pass_ms = 20000;
    if (t == 200 || t == 220) {
        fleet_set_law(fleet, FLEET_KSM, t == 200 ? NULL : &config);
        audit_note_config(audit, fleet);
    }
    PolicyKsmHost *host = law_part(&fleet->laws[FLEET_KSM], LAW_HOST, 0);
    if (host == NULL)
        return;
    *host =
        (PolicyKsmHost){.total = 8192, .available = 4000, .full_scans = t / 3, .profit = t % 50, .cpu_ms = t};
    for (guint i = 0; i < fleet->count; i++) {
        PolicyKsmGuest *guest = law_part(&fleet->laws[FLEET_KSM], LAW_GUEST, i);
        guest->counts = fleet->places[i].key != NULL;
        guest->mergeable = guest->counts ? fleet->guests[i].rss : 0;
        guest->merged = guest->counts ? t / 60 * 10 : 0;
    }
}

/* Guests that come, grow, shrink, swap and go on a host of 8 GiB, the same each time. */
static void play(Fleet *fleet, Audit *audit, int seconds)
{
    for (int t = 1; t <= seconds; t++) {
        gint64 now = t * 1000, used = 0;
        for (int i = 0; i < GUESTS; i++) {
            g_autofree char *key = g_strdup_printf("s/%d", i);
            gint place = fleet_find(fleet, key);
            if (place < 0 && t % 97 != i) {
                place = fleet_add(fleet, key, key);
                audit_note_come(audit, fleet, (guint)place);
                fleet->guests[place].actual = 2048;
            } else if (place >= 0 && t % 97 == i) {
                audit_note_gone(audit, (guint)place);
                fleet_remove(fleet, (guint)place);
                continue;
            } else if (place < 0) {
                continue;
            }
            PolicyGuest *guest = &fleet->guests[place];
            gint64 wants = 300 + (t * (i + 3) * 7) % 1500;
            guest->flags = POLICY_GUEST_RUNS | POLICY_GUEST_BALLOON;
            guest->shares = 1000;
            guest->max = 2048;
            guest->min = 256;
            if (fleet->decisions[place].changed)
                guest->actual = fleet->decisions[place].target;
            guest->stats_age = (t % 3) * 1000;
            guest->usable = MAX(guest->actual - wants, 0);
            guest->unused = guest->usable / 2;
            guest->swapped_in += MAX(wants - guest->actual, 0) / 4;
            guest->cpu_ms = t * 100 * i;
            guest->rss = MIN(wants, guest->actual);
            used += guest->rss;
        }
        if (t == seconds / 2) {
            fleet_forget(fleet, 1);
            audit_note_forgotten(audit, 1);
            fleet->config.guard_permille = 80;
            audit_note_config(audit, fleet);
        }
        fleet->host = (PolicyHost){.total = 8192, .available = MAX(6500 - used, 0), .psi_full = t % 5};
        play_ksm(fleet, audit, t);
        fleet_plan(fleet, now);
        audit_tick(audit, fleet, now);
    }
}

static char *play_into(const char *name, gint64 bytes, gboolean dry_run)
{
    char *path = g_strconcat(fake_root, name, NULL);
    PolicyConfig config;
    Fleet fleet;
    policy_config_init(&config);
    fleet_init(&fleet, &config);
    fleet.dry_run = dry_run;
    PolicyKsmConfig ksm;
    policy_ksm_config_init(&ksm);
    fleet_set_law(&fleet, FLEET_KSM, &ksm);
    Audit *audit = audit_open(path, bytes, &fleet, NULL);
    ck_assert_ptr_nonnull(audit);
    play(&fleet, audit, 600);
    audit_close(audit);
    fleet_clear(&fleet);
    return path;
}

START_TEST (test_a_log_replays_to_the_same_decisions) {
    g_autofree char *path = play_into("/log", 1 << 30, _i);
    g_autoptr(GError) error = NULL;
    AuditReplay result;
    gboolean good = audit_replay(path, NULL, NULL, &result, &error);
    ck_assert_msg(good, "%s", error != NULL ? error->message : "");
    ck_assert_uint_eq(result.ticks, 600);
    ck_assert_uint_gt(result.decisions, 20);
}
END_TEST

START_TEST (test_a_log_that_was_begun_anew_replays_on_its_own) {
    g_autofree char *path = play_into("/log", 40000, FALSE);
    g_autofree char *before = g_strconcat(path, ".1", NULL);
    g_autoptr(GError) error = NULL;
    AuditReplay result;
    gboolean good = audit_replay(path, NULL, NULL, &result, &error);
    ck_assert_msg(good, "%s", error != NULL ? error->message : "");
    ck_assert_uint_gt(result.ticks, 0);
    ck_assert_uint_lt(result.ticks, 600);
    good = audit_replay(before, NULL, NULL, &result, &error);
    ck_assert_msg(good, "%s", error != NULL ? error->message : "");
    ck_assert_uint_gt(result.ticks, 20);
}
END_TEST

/* A disk that is full: there is a gap, but what is there replays, and the log goes on. */
START_TEST (test_a_log_that_cannot_be_written) {
    struct rlimit limit = {60000, 60000};
    AuditReplay result;
    g_autoptr(GError) error = NULL;
    signal(SIGXFSZ, SIG_IGN);
    g_log_set_always_fatal(0);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    g_autofree char *path = play_into("/log", 1 << 30, FALSE);
    g_autofree char *before = g_strconcat(path, ".1", NULL);
    gboolean good = audit_replay(path, NULL, NULL, &result, &error);
    ck_assert_msg(good, "%s", error != NULL ? error->message : "");
    good = audit_replay(before, NULL, NULL, &result, &error);
    ck_assert_msg(good, "%s", error != NULL ? error->message : "");
    ck_assert_uint_gt(result.ticks, 20);
}
END_TEST

/* Replaces the first `from` behind `after`. */
static void tamper(const char *path, const char *after, const char *from, const char *to)
{
    g_autofree char *text = NULL;
    ck_assert(g_file_get_contents(path, &text, NULL, NULL));
    char *at = strstr(text, after);
    ck_assert_ptr_nonnull(at);
    at = strstr(at, from);
    ck_assert_ptr_nonnull(at);
    g_autofree char *head = g_strndup(text, (gsize)(at - text));
    g_autofree char *all = g_strconcat(head, to, at + strlen(from), NULL);
    ck_assert(g_file_set_contents(path, all, -1, NULL));
}

static const struct {
    const char *after, *from, *to, *problem;
} TAMPERED[] = {
    {"\"changed\"", "\"target\": ", "\"target\": 1", "the log has target"},
    {"\"changed\"", "\"reason\": \"", "\"reason\": \"x", "the policy says"},
    {"\"t\": 300000", "\"check\": \"", "\"check\": \"f", "what the policy remembers is not the same"},
    {"\"t\": 300000", "\"available\": ", "\"available\": 9", ""},
    {"\"t\": 300000", "\"seen\": {", "\"seen\": {\"77\": {\"actual\": 1}, ", "a guest that is not there"},
    {"\"kind\": \"start\"", "\"layout\": \"", "\"layout\": \"9", "another version"},
    {"\"kind\": \"start\"", "\"state\": \"", "\"state\": \"AAAA", "not whole"},
    {"\"kind\": \"start\"", "\"kind\": \"start\"", "\"kind\": \"stop\"", "does not begin with a start line"},
    {"\"t\": 300000", "\"host\": {", "\"host\": [", ":"},
    {"\"t\": 300000", "\"t\": 300000", "\"t\": 3", "not whole"},
    {"\"decided\"", "\"pages\": ", "\"pages\": 9", "ksm: the log has pages"},
    {"\"t\": 300000", "\"ksm\"", "\"what\"", "it has nothing of ksm"},
    {"\"t\": 300000", "\"ksm\": {", "\"ksm\": {\"changed\": {\"7\": 1}, ", "ksm: it names a guest"},
    {"\"laws\"", "\"state\": \"", "\"state\": \"AAAA", "the state of ksm is not whole"},
    {"\"laws\"", "\"config\": {", "\"config\": [", ":"},
};

START_TEST (test_a_log_that_was_changed_is_found_out) {
    g_autofree char *path = play_into("/log", 1 << 30, FALSE);
    g_autoptr(GError) error = NULL;
    AuditReplay result;
    tamper(path, TAMPERED[_i].after, TAMPERED[_i].from, TAMPERED[_i].to);
    ck_assert(!audit_replay(path, NULL, NULL, &result, &error));
    ck_assert_msg(strstr(error->message, TAMPERED[_i].problem) != NULL, "%s", error->message);
    ck_assert_msg(g_str_has_prefix(error->message, path), "%s", error->message);
}
END_TEST

START_TEST (test_a_last_line_that_was_cut_off) {
    g_autofree char *path = play_into("/log", 1 << 30, FALSE);
    g_autofree char *text = NULL;
    gsize length;
    AuditReplay result;
    ck_assert(g_file_get_contents(path, &text, &length, NULL));
    ck_assert(g_file_set_contents(path, text, (gssize)length - 10, NULL));
    ck_assert(audit_replay(path, NULL, NULL, &result, NULL));
    ck_assert_uint_eq(result.ticks, 599);
}
END_TEST

START_TEST (test_what_is_no_log) {
    g_autoptr(GError) error = NULL;
    g_autofree char *path = g_strconcat(fake_root, "/proc/empty", NULL);
    AuditReplay result;
    ck_assert(!audit_replay(path, NULL, NULL, &result, &error));
    g_clear_error(&error);
    fake_root_file("/proc/empty", "", 0444);
    ck_assert(!audit_replay(path, NULL, NULL, &result, &error));
    ck_assert_msg(strstr(error->message, "no audit log") != NULL, "%s", error->message);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("balloond");
    TCase *settings = tcase_create("settings");
    tcase_add_test(settings, test_an_empty_file_has_defaults);
    tcase_add_test(settings, test_values_and_units);
    tcase_add_loop_test(settings, test_what_is_wrong_is_told_with_its_line, 0, G_N_ELEMENTS(WRONG));
    tcase_add_test(settings, test_all_that_is_wrong_is_told_at_once);
    tcase_add_test(settings, test_terms_come_from_guest_then_class);
    tcase_add_test(settings, test_only_regular_files_are_read);
    suite_add_tcase(suite, settings);
    TCase *host = tcase_create("host");
    tcase_add_checked_fixture(host, fake_root_setup, fake_root_teardown);
    tcase_add_test(host, test_looks_at_a_host);
    tcase_add_test(host, test_a_host_that_tells_less);
    suite_add_tcase(suite, host);
    TCase *places = tcase_create("places");
    tcase_add_test(places, test_places_are_kept_and_used_again);
    suite_add_tcase(suite, places);
    TCase *audit = tcase_create("audit");
    tcase_set_timeout(audit, 60);
    tcase_add_checked_fixture(audit, fake_root_setup, fake_root_teardown);
    tcase_add_loop_test(audit, test_a_log_replays_to_the_same_decisions, 0, 2);
    tcase_add_test(audit, test_a_log_that_was_begun_anew_replays_on_its_own);
    tcase_add_test(audit, test_a_log_that_cannot_be_written);
    tcase_add_loop_test(audit, test_a_log_that_was_changed_is_found_out, 0, G_N_ELEMENTS(TAMPERED));
    tcase_add_test(audit, test_a_last_line_that_was_cut_off);
    tcase_add_test(audit, test_what_is_no_log);
    suite_add_tcase(suite, audit);
    return check_run(suite);
}
