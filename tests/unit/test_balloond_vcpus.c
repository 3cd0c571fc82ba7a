// SPDX-License-Identifier: GPL-2.0-or-later
/* The vCPU law at work on a made-up source: plugging, the agent, refusals, deadlines; its configuration. */
#include "balloon/daemon/law-vcpu.h"
#include "balloon/daemon/vcpus.h"
#include "lib/pending.h"
#include "tests/check-run.h"
#include "tests/unit/fake-root.h"

#define UUID "c0ffee00-0000-0000-0000-000000000001"

/* ---- a source whose one guest does what a test says ---- */

typedef struct Script {
    DomainSource source;
    guint present, online;
    guint finds_after; /* so many times the agent does not know of a new vCPU yet */
    gboolean agent_refuses, no_agent, stubborn, no_plug;
    guint plugs, onlines; /* calls */
} Script;

static void act(DomainSource *source, const char *uuid, DomainAction action, guint64 value, guint timeout_ms,
                Pending *pending)
{
    Script *script = (Script *)source;
    const char *why = NULL;
    guint wanted = (guint)value;
    ck_assert_str_eq(uuid, UUID);
    if (action == DOMAIN_ACTION_SET_VCPUS) {
        script->plugs++;
        if (script->no_plug && wanted > script->present)
            why = "no places";
        else if (!script->stubborn || wanted > script->present)
            script->present = wanted;
        script->online = MIN(script->online, script->present);
    } else {
        ck_assert_int_eq(action, DOMAIN_ACTION_ONLINE_VCPUS);
        script->onlines++;
        if (script->no_agent)
            why = "no answer";
        else if (script->agent_refuses && wanted < script->online)
            why = "busy";
        else if (wanted > script->online && script->finds_after > 0 && script->finds_after-- > 0)
            why = "not so many";
        else
            script->online = wanted;
    }
    if (why != NULL)
        pending_return_new_error(pending, DOMAIN_SOURCE_ERROR, DOMAIN_SOURCE_ERROR_FAILED, "%s", why);
    else
        pending_return_boolean(pending, TRUE);
    g_object_unref(pending);
}

/* ---- a daemon's part around it ---- */

typedef struct World {
    Script script;
    Fleet fleet;
    Host *host;
    Vcpus *vcpus;
    Settings *settings;
    guint acting;
    gint place;
    gint64 now, time_ms;
} World;

static World world;

static DomainSource *source_of(const FleetGuest *guest)
{
    return guest->source;
}

static Settings *parse(const char *text)
{
    GError *error = NULL;
    Settings *settings = settings_parse("f", text, &error);
    ck_assert_msg(settings != NULL, "%s", error != NULL ? error->message : "");
    return settings;
}

static void set_up(void)
{
    static const DomainSourceClass class = {.act = act};
    fake_root_setup();
    world = (World){.now = 1000, .script = {.source = {.class = &class}, .present = 1, .online = 1}};
    world.settings =
        parse("[vcpu]\nmode = act\nup-for = 2s\nup-pause = 2s\ndown-for = 3s\ndown-pause = 2s\n");
    fleet_init(&world.fleet, &world.settings->policy);
    world.host = host_new(fake_root);
    world.vcpus = vcpus_new(&world.fleet, world.host, source_of, &world.acting);
    vcpus_configure(world.vcpus, world.settings, TRUE, FALSE);
    world.place = fleet_add(&world.fleet, "a/" UUID, "guest");
    FleetGuest *guest = &world.fleet.places[world.place];
    guest->uuid = g_strdup(UUID);
    guest->source = &world.script.source;
}

static void tear_down(void)
{
    while (world.acting > 0)
        g_main_context_iteration(NULL, TRUE);
    vcpus_free(world.vcpus);
    host_free(world.host);
    fleet_clear(&world.fleet);
    settings_free(world.settings);
    fake_root_teardown();
}

/* A second in which its vCPUs are busy for so many permille of one CPU. */
static void tick(gint64 wants)
{
    g_autoptr(Domain) domain = domain_new("guest", UUID);
    g_autofree char *stat = g_strdup_printf("cpu  %d 0 0 %d 0 0 0 0 0 0\ncpu0 1 1\ncpu1 1 1\ncpu2 1 1\n"
                                            "cpu3 1 1\nintr 1 2 3\n",
                                            (int)world.now / 100, (int)world.now);
    fake_root_file("/proc/stat", stat, 0444);
    world.now += 1000;
    world.time_ms += MIN(wants, world.script.online * 1000);
    domain->vcpus = world.script.present;
    domain->vcpus_max = 4;
    domain->vcpus_min = 1;
    domain_set_vcpus(domain, domain->vcpus);
    domain->vcpu[0].time = (guint64)world.time_ms * 1000000;
    world.fleet.guests[world.place].flags = POLICY_GUEST_RUNS;
    vcpus_take(world.vcpus, (guint)world.place, domain);
    vcpus_look(world.vcpus, world.now);
    fleet_plan(&world.fleet, world.now);
    vcpus_act(world.vcpus);
    /* What was begun goes on while the next second passes; the agent is asked again after a moment. */
    for (gint64 end = g_get_monotonic_time() + 4000; g_get_monotonic_time() < end || world.acting > 0;)
        if (!g_main_context_iteration(NULL, FALSE))
            g_usleep(1000);
}

static void ticks(guint count, gint64 wants)
{
    while (count-- > 0)
        tick(wants);
}

static gint64 told(const char *name)
{
    g_autoptr(JsonObject) status = vcpus_status(world.vcpus);
    return json_object_get_int_member(status, name);
}

static gint64 explained(const char *name)
{
    g_autoptr(JsonObject) guest = vcpus_explain(world.vcpus, (guint)world.place, world.now);
    return json_object_has_member(guest, name) ? json_object_get_int_member(guest, name) : -1;
}

START_TEST (test_a_busy_guest_gets_vcpus_and_loses_them) {
    world.script.finds_after = 2;
    for (int cycle = 0; cycle < 3; cycle++) {
        ticks(8, 4000);
        ck_assert_uint_ge(world.script.present, 2);
        for (int i = 0; i < 2000 && world.script.online != world.script.present; i++)
            tick(4000);
        ck_assert_uint_eq(world.script.online, world.script.present);
        ticks(20, 10);
        ck_assert_uint_eq(world.script.present, 1);
        ck_assert_uint_eq(world.script.online, 1);
    }
    ck_assert_int_ge(told("added"), 3);
    ck_assert_int_ge(told("removed"), 3);
    ck_assert_int_eq(told("refused"), 0);
    ck_assert_int_eq(told("cpus"), 4);
    ck_assert_int_gt(told("busy"), 0);
}
END_TEST

START_TEST (test_a_guest_whose_agent_refuses_is_backed_off) {
    ticks(8, 2000);
    guint had = world.script.present;
    ck_assert_uint_ge(had, 2);
    world.script.agent_refuses = TRUE;
    ticks(30, 10);
    ck_assert_uint_eq(world.script.present, had);
    ck_assert_uint_eq(world.script.online, had);
    ck_assert_int_eq(told("refused"), 1);
    ck_assert_int_gt(explained("no_removal_for"), 3500000);
}
END_TEST

START_TEST (test_a_guest_that_keeps_the_vcpu_gets_it_back_online) {
    ticks(8, 2000);
    guint had = world.script.present;
    world.script.stubborn = TRUE;
    ticks(30, 10);
    ck_assert_uint_eq(world.script.present, had);
    ck_assert_uint_eq(world.script.online, had);
    ck_assert_int_gt(explained("no_removal_for"), 3500000);
}
END_TEST

START_TEST (test_without_an_agent_vcpus_only_come) {
    world.script.no_agent = TRUE;
    ticks(8, 2000);
    guint had = world.script.present;
    ck_assert_uint_ge(had, 2);
    ticks(30, 10);
    ck_assert_uint_eq(world.script.present, had);
    ck_assert_uint_eq(world.script.plugs, 1 + (world.script.plugs > 1)); /* it was not unplugged */
    ck_assert_int_eq(told("refused"), 1);
}
END_TEST

START_TEST (test_a_guest_without_places_is_left_alone) {
    world.script.no_plug = TRUE;
    ticks(60, 1000);
    ck_assert_uint_eq(world.script.present, 1);
    ck_assert_uint_eq(world.script.plugs, 1);
    ck_assert_int_gt(explained("no_addition_for"), 0);
}
END_TEST

START_TEST (test_a_guest_that_goes_in_the_middle) {
    world.script.finds_after = 1000;
    ticks(8, 1000);
    ck_assert_int_eq(told("under_way"), 1);
    fleet_remove(&world.fleet, (guint)world.place);
    for (int i = 0; i < 200 && told("under_way") > 0; i++) {
        g_usleep(5000);
        while (g_main_context_iteration(NULL, FALSE))
            continue;
    }
    ck_assert_int_eq(told("under_way"), 0);
}
END_TEST

START_TEST (test_what_only_advises_does_nothing) {
    settings_free(world.settings);
    world.settings = parse("[vcpu]\nmode = advise\nup-for = 2s\nup-pause = 5s\n");
    vcpus_configure(world.vcpus, world.settings, TRUE, FALSE);
    ticks(20, 1000);
    ck_assert_uint_eq(world.script.plugs + world.script.onlines, 0);
    ck_assert_int_eq(explained("no_addition_for"), -1); /* nothing was waited for in vain */
}
END_TEST

START_TEST (test_limits_hold) {
    world.fleet.places[world.place].vcpu_max = 2;
    ticks(30, 4000);
    ck_assert_uint_eq(world.script.present, 2);
    world.fleet.places[world.place].vcpu_min = 2;
    ticks(30, 0);
    ck_assert_uint_eq(world.script.present, 2);
}
END_TEST

START_TEST (test_a_paused_guest_is_left_alone) {
    g_autoptr(Domain) domain = domain_new("guest", UUID);
    domain->vcpus = domain->vcpus_max = 2;
    domain_set_vcpus(domain, 2);
    domain->vcpu[0].time = 5;
    vcpus_take(world.vcpus, (guint)world.place, domain);
    vcpus_look(world.vcpus, 2000); /* the memory law's flags are 0 */
    const PolicyVcpuGuest *seen = law_part(&world.fleet.laws[FLEET_VCPU], LAW_GUEST, (guint)world.place);
    ck_assert_uint_eq(seen->flags, 0);
}
END_TEST

static const struct {
    const char *text, *problem;
} WRONG[] = {
    {"[vcpu]\nmode = yes\n", "f:2: mode: \"yes\" is none of off, advise, act"},
    {"[vcpu]\nup = 50%\n", "f:2: down has to be below up"},
    {"[vcpu]\nup-for = 10\n", "f:2: up-for: \"10\" is not a time"},
    {"[vcpu]\nchanges = 0\n", "f:2: changes: "},
    {"[vcpu]\nsideways = 1\n", "f:2: [vcpu] has no key \"sideways\""},
    {"[class a]\nmatch = *\nvcpu-min = 4\nvcpu-max = 2\n", "f:4: vcpu-min is more than vcpu-max"},
    {"[guest a]\nvcpu-max = 0\n", "f:2: vcpu-max: "},
};

START_TEST (test_wrong_configurations_are_refused) {
    g_autoptr(GError) error = NULL;
    ck_assert_ptr_null(settings_parse("f", WRONG[_i].text, &error));
    ck_assert_msg(g_str_has_prefix(error->message, WRONG[_i].problem), "%s", error->message);
}
END_TEST

START_TEST (test_limits_of_classes_and_guests) {
    g_autoptr(Settings) settings =
        parse("[class a]\nmatch = a*\nvcpu-min = 2\nvcpu-max = 8\n[guest a1]\nvcpu-max = 4\n");
    Terms terms = settings_terms(settings, "a1", 1024);
    ck_assert_int_eq(terms.vcpu_min, 2);
    ck_assert_int_eq(terms.vcpu_max, 4);
    ck_assert_int_eq(settings_terms(settings, "b", 1024).vcpu_max, 0);
    ck_assert_int_eq(settings->vcpu_mode, VCPU_OFF);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("balloond_vcpus");
    TCase *work = tcase_create("work");
    tcase_set_timeout(work, 120);
    tcase_add_checked_fixture(work, set_up, tear_down);
    tcase_add_test(work, test_a_busy_guest_gets_vcpus_and_loses_them);
    tcase_add_test(work, test_a_guest_whose_agent_refuses_is_backed_off);
    tcase_add_test(work, test_a_guest_that_keeps_the_vcpu_gets_it_back_online);
    tcase_add_test(work, test_without_an_agent_vcpus_only_come);
    tcase_add_test(work, test_a_guest_without_places_is_left_alone);
    tcase_add_test(work, test_a_guest_that_goes_in_the_middle);
    tcase_add_test(work, test_what_only_advises_does_nothing);
    tcase_add_test(work, test_limits_hold);
    tcase_add_test(work, test_a_paused_guest_is_left_alone);
    suite_add_tcase(suite, work);
    TCase *settings = tcase_create("settings");
    tcase_add_loop_test(settings, test_wrong_configurations_are_refused, 0, G_N_ELEMENTS(WRONG));
    tcase_add_test(settings, test_limits_of_classes_and_guests);
    suite_add_tcase(suite, settings);
    return check_run(suite);
}
