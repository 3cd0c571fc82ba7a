// SPDX-License-Identifier: GPL-2.0-or-later
/* balloon-sim: plays a trace of guests' demands on a host under a policy and scores it. */
#include "config.h"

#include "balloon/sim/sim-peers.h"
#include "balloon/sim/sim-picture.h"
#include "balloon/sim/sim-plan.h"
#include "balloon/sim/sim-score.h"
#include "balloon/sim/sim-trace.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

typedef struct {
    char *guests, *demand, *policy, *fpr, *picture, *decisions;
    gint host_mib, warm_up;
    gint64 seed;
    gint count, seconds, sum_gib;
    gboolean generate, version;
} Options;

static gboolean parse_switch(const char *text, gboolean *on)
{
    *on = text && g_str_equal(text, "on");
    return !text || *on || g_str_equal(text, "off");
}

static int fail(const char *format, ...) G_GNUC_PRINTF(1, 2);
static int fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *text = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    fprintf(stderr, "balloon-sim: %s\n", text);
    return 1;
}

static int generate(const Options *options)
{
    SimTraceOptions trace = {.seed = (guint64)options->seed,
                             .guests = (guint)options->count,
                             .seconds = options->seconds,
                             .sum_mib = (gint64)options->sum_gib * 1024};
    g_autoptr(GError) error = NULL;
    if (options->count < 1 || options->count > SIM_GUESTS_MAX)
        return fail("--count is not from 1 to %d", SIM_GUESTS_MAX);
    if (options->seconds < 1 || options->seconds > SIM_SECONDS_MAX)
        return fail("--seconds is not from 1 to %d", SIM_SECONDS_MAX);
    if (options->sum_gib < 0 || options->sum_gib > 1000000)
        return fail("--sum-gib is not from 0 to 1000000");
    if (!sim_trace_write(&trace, options->guests, options->demand, &error))
        return fail("%s", error->message);
    return 0;
}

static int simulate(const Options *options)
{
    gboolean reporting;
    if (!parse_switch(options->fpr, &reporting))
        return fail("--fpr is neither on nor off");
    if (options->host_mib < 64)
        return fail("--host-mib is missing or below 64");
    if (options->warm_up < 0)
        return fail("--warm-up is below 0");
    g_autoptr(GError) error = NULL;
    g_autoptr(SimInput) input = sim_input_read(options->guests, options->demand, &error);
    if (!input)
        return fail("%s", error->message);
    if (options->warm_up >= input->seconds)
        return fail("%s: nothing is left after %d s of --warm-up", options->demand, options->warm_up);
    SimModel model;
    sim_model_init(&model, input, options->host_mib, reporting);
    SimScore score;
    sim_score_init(&score, &model, options->warm_up);
    SimPlan *plan = g_str_equal(options->policy, "plan") ? sim_plan_new(&model) : NULL;
    SimPeer *peer = plan ? NULL : sim_peer_new(options->policy, &model);
    SimPicture *picture = options->picture ? sim_picture_new(&model) : NULL;
    FILE *log = NULL;
    int status = 0;
    if (!plan && !peer) {
        status = fail("--policy is not one of none, mom, pve, fixed, plan");
    } else if (options->decisions && !plan) {
        status = fail("--decisions is for the policy plan");
    } else if (options->decisions && !(log = fopen(options->decisions, "w"))) {
        status = fail("%s: %s", options->decisions, g_strerror(errno));
    } else {
        if (log)
            sim_plan_log(plan, log);
        while (model.t < input->seconds) {
            sim_model_step(&model);
            if (plan)
                sim_plan_step(plan, &model);
            else
                peer->step(peer, &model);
            sim_score_step(&score, &model);
            if (picture)
                sim_picture_step(picture, &model);
        }
        if (picture && !sim_picture_write(picture, &model, options->policy, options->picture, &error))
            status = fail("%s", error->message);
        if (log && (ferror(log) | fclose(log)) != 0)
            status = fail("%s: cannot write", options->decisions);
        g_autofree char *line = sim_score_json(&score, &model, options->policy);
        puts(line);
    }
    g_clear_pointer(&picture, sim_picture_free);
    g_clear_pointer(&plan, sim_plan_free);
    g_clear_pointer(&peer, sim_peer_free);
    sim_score_clear(&score);
    sim_model_clear(&model);
    return status;
}

int main(int argc, char **argv)
{
    Options options = {.warm_up = 600, .count = 100, .seconds = 4200, .sum_gib = 0, .seed = 1};
    const GOptionEntry entries[] = {
        {"guests", 'g', 0, G_OPTION_ARG_FILENAME, &options.guests, "The guests (see balloon-sim(1))", "CSV"},
        {"demand", 'd', 0, G_OPTION_ARG_FILENAME, &options.demand, "What they want, second by second", "CSV"},
        {"host-mib", 'm', 0, G_OPTION_ARG_INT, &options.host_mib, "Memory of the host", "MIB"},
        {"policy", 'p', 0, G_OPTION_ARG_STRING, &options.policy,
         "none, mom, pve, fixed or plan (balloond's, the default)", "NAME"},
        {"warm-up", 'w', 0, G_OPTION_ARG_INT, &options.warm_up, "The first seconds do not count (600)", "S"},
        {"picture", 'o', 0, G_OPTION_ARG_FILENAME, &options.picture, "Draw the run there", "SVG"},
        {"decisions", 0, 0, G_OPTION_ARG_FILENAME, &options.decisions,
         "Write each target that balloond's policy changes there, and why", "CSV"},
        {"fpr", 0, 0, G_OPTION_ARG_STRING, &options.fpr, "Guests give free pages back by themselves (off)",
         "on|off"},
        {"generate", 0, 0, G_OPTION_ARG_NONE, &options.generate, "Write the two files instead", NULL},
        {"seed", 's', 0, G_OPTION_ARG_INT64, &options.seed, "…from this number (1)", "N"},
        {"count", 'n', 0, G_OPTION_ARG_INT, &options.count, "…with so many guests (100)", "N"},
        {"seconds", 't', 0, G_OPTION_ARG_INT, &options.seconds, "…of so many seconds (4200)", "S"},
        {"sum-gib", 0, 0, G_OPTION_ARG_INT, &options.sum_gib,
         "…and so much memory at most, all together (0: as it comes)", "GIB"},
        {"version", 'V', 0, G_OPTION_ARG_NONE, &options.version, "Say the version", NULL},
        {NULL}};
    g_autoptr(GOptionContext) context = g_option_context_new("- score memory policies on a trace");
    g_option_context_add_main_entries(context, entries, NULL);
    g_autoptr(GError) error = NULL;
    int status;
    if (!g_option_context_parse(context, &argc, &argv, &error))
        status = fail("%s", error->message);
    else if (argc > 1)
        status = fail("'%s' is one word too many", argv[1]);
    else if (options.version)
        status = printf("balloon-sim %s\n", PACKAGE_VERSION) < 0;
    else if (!options.guests || !options.demand)
        status = fail("--guests and --demand are needed");
    else if (options.generate)
        status = generate(&options);
    else {
        if (!options.policy)
            options.policy = g_strdup("plan");
        status = simulate(&options);
    }
    g_free(options.guests);
    g_free(options.demand);
    g_free(options.policy);
    g_free(options.fpr);
    g_free(options.picture);
    g_free(options.decisions);
    return status;
}
