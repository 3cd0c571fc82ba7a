// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * MOM's policies are programs in a small Lisp. balloond has a law instead: so only those can be taken over
 * that are MOM's own rules with other constants. Constants are (defvar NAME NUMBER) at the top; all else has
 * to be one of the forms that MOM and VDSM ship, known here by their checksums.
 */
#include <math.h>
#include <string.h>

#include "balloon/ctl/import-mom.h"
#include "balloon/policy.h"

#define DEPTH_MAX 64

typedef struct Reader {
    const char *at;
    guint line;
} Reader;

/* A form at the top: its tokens with a space between them. */
typedef struct Form {
    GString *text;
    GPtrArray *tokens;
    guint line;
} Form;

/* FALSE: the end. */
static gboolean next_token(Reader *reader, char **token, guint *line)
{
    for (;; reader->at++) {
        if (*reader->at == '#')
            reader->at += strcspn(reader->at, "\n");
        if (*reader->at == '\n')
            reader->line++;
        if (*reader->at == '\0' || !g_ascii_isspace(*reader->at))
            break;
    }
    if (*reader->at == '\0')
        return FALSE;
    gsize length = 1;
    *line = reader->line;
    if (*reader->at == '"') {
        while (reader->at[length] != '\0' && reader->at[length] != '\n' && reader->at[length] != '"')
            length++;
        length += reader->at[length] == '"';
    } else if (strchr("(){}", *reader->at) == NULL) {
        length = strcspn(reader->at, " \t\r\n\v\f(){}\"#");
    }
    *token = g_strndup(reader->at, length);
    reader->at += length;
    return TRUE;
}

static void form_free(Form *form)
{
    g_string_free(form->text, TRUE);
    g_ptr_array_unref(form->tokens);
    g_free(form);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Form, form_free)

/* NULL: the end, or refused. */
static Form *next_form(Import *import, const char *path, Reader *reader)
{
    g_autoptr(Form) form = g_new0(Form, 1);
    gint depth = 0;
    guint line;
    char *token;
    form->text = g_string_new(NULL);
    form->tokens = g_ptr_array_new_with_free_func(g_free);
    while (next_token(reader, &token, &line)) {
        if (form->tokens->len == 0)
            form->line = line;
        else
            g_string_append_c(form->text, ' ');
        g_string_append(form->text, token);
        g_ptr_array_add(form->tokens, token);
        depth += *token == '(' || *token == '{' ? 1 : *token == ')' || *token == '}' ? -1 : 0;
        if (depth > DEPTH_MAX || depth < 0) {
            import_refuse(import, path, line, depth < 0 ? "a parenthesis too many" : "too deep");
            return NULL;
        }
        if (depth == 0)
            return g_steal_pointer(&form);
    }
    if (form->tokens->len > 0)
        import_refuse(import, path, form->line, "a parenthesis is never closed");
    return NULL;
}

/* ---- constants ---- */

static void take_share(MomPolicy *policy, const char *path, guint line, const char *group, const char *key,
                       double value)
{
    import_set(policy->import, path, line, group, key, "%.1f%%", value * 100);
}

/* The mark below which balloond takes from those who need it least: MOM has none between its two. */
static double soft_mark(void)
{
    PolicyConfig policy;
    policy_config_init(&policy);
    return policy.soft_permille / 1000.0;
}

static void take_pressure(MomPolicy *policy, const char *path, guint line, double value)
{
    PolicyConfig normal;
    policy_config_init(&normal);
    if (value <= soft_mark()) {
        import_refuse(policy->import, path, line,
                      "pressure_threshold: balloond acts from %g on ([host] soft)", soft_mark());
        return;
    }
    take_share(policy, path, line, "host", "ease", value);
    if (value < normal.high_permille / 1000.0) /* else memory would be given back that is taken at once */
        take_share(policy, path, line, "host", "high", value);
}

static void take_critical(MomPolicy *policy, const char *path, guint line, double value)
{
    if (value >= soft_mark())
        import_refuse(policy->import, path, line,
                      "pressure_critical: it has to be less than %g, which is [host] soft", soft_mark());
    else
        take_share(policy, path, line, "host", "crit", value);
}

static void take_guest_free(MomPolicy *policy, const char *path, guint line, double value)
{
    take_share(policy, path, line, "balloon", "guard", value);
}

static void take_ksm_free(MomPolicy *policy, const char *path, guint line, double value)
{
    take_share(policy, path, line, "ksm", "start", value);
}

static void take_pages(MomPolicy *policy, const char *path, guint line, double value)
{
    policy->pages_max = (gint64)CLAMP(value, 1, G_MAXINT32);
    policy->pace_line = line;
    policy->pace_path = path;
}

static void take_sleep(MomPolicy *policy, const char *path, guint line, double value)
{
    policy->sleep_ms = (gint64)CLAMP(value, 10, 100000); /* its own floor */
    policy->pace_line = line;
    policy->pace_path = path;
}

static void take_across(MomPolicy *policy, const char *path, guint line, double value)
{
    import_set(policy->import, path, line, "ksm", "merge-across-nodes", "%s", value != 0 ? "yes" : "no");
}

static void take_ksm_enabled(MomPolicy *policy, const char *path, guint line, double value)
{
    policy->ksm_off = value == 0;
}

static void take_balloon_enabled(MomPolicy *policy, const char *path, guint line, double value)
{
    policy->balloon_off = value == 0;
}

static void refuse_step(MomPolicy *policy, const char *path, guint line, double value)
{
    import_refuse(policy->import, path, line,
                  "balloond's steps follow from the need, not from a share of the guest's size");
}

static void refuse_pages(MomPolicy *policy, const char *path, guint line, double value)
{
    import_refuse(policy->import, path, line,
                  "balloond does not step up and down, it scans in bursts within [ksm] cpu-budget");
}

static const struct {
    const char *name;
    double normal; /* MOM's own; NAN: each value counts */
    void (*take)(MomPolicy *policy, const char *path, guint line, double value);
} CONSTANTS[] = {
    {"pressure_threshold", 0.20, take_pressure},
    {"pressure_critical", 0.05, take_critical},
    {"min_guest_free_percent", 0.20, take_guest_free},
    {"max_balloon_change_percent", 0.05, refuse_step},
    {"min_balloon_change_percent", 0.0025, refuse_step},
    {"ksm_free_percent", 0.20, take_ksm_free},
    {"ksm_npages_max", 1250, take_pages},
    {"ksm_npages_min", 64, refuse_pages},
    {"ksm_pages_boost", 300, refuse_pages},
    {"ksm_pages_decay", -50, refuse_pages},
    {"ksm_sleep_ms_baseline", 10, take_sleep},
    {"ksmMergeAcrossNodes", NAN, take_across},
    {"ksmEnabled", NAN, take_ksm_enabled},
    {"balloonEnabled", NAN, take_balloon_enabled},
    {"False", 0, NULL},
    {"True", 1, NULL},
    {"cpuTuneEnabled", NAN, NULL}, /* of rules that are refused if they are there */
    {"ioTuneEnabled", NAN, NULL},
};

/* Whether it is (defvar NAME NUMBER). */
static gboolean take_constant(MomPolicy *policy, const char *path, const Form *form)
{
    char **token = (char **)form->tokens->pdata;
    char *end;
    if (form->tokens->len != 5 || strcmp(token[1], "defvar") != 0)
        return FALSE;
    double value = g_ascii_strtod(token[3], &end);
    if (end == token[3] || *end != '\0' || !isfinite(value))
        return FALSE;
    for (guint i = 0; i < G_N_ELEMENTS(CONSTANTS); i++) {
        if (strcmp(CONSTANTS[i].name, token[2]) != 0)
            continue;
        if (value != CONSTANTS[i].normal && CONSTANTS[i].take != NULL)
            CONSTANTS[i].take(policy, path, form->line, value);
        else if (value != CONSTANTS[i].normal && !isnan(CONSTANTS[i].normal))
            import_refuse(policy->import, path, form->line, "%s has to be what it is called", token[2]);
        return TRUE;
    }
    import_refuse(policy->import, path, form->line, "%s: MOM's own rules have no such constant", token[2]);
    return TRUE;
}

/* ---- rules ---- */

/* The first 16 digits of the SHA-256 of a form's tokens with a space between them. */
static const char *const RULES[] = {
    /* MOM, balloon.rules: with the minimum taken for a maximum, and corrected */
    "905f134c7c38e523",
    "2c501d4c5d101cdd",
    "62ea8fd029749fdc",
    "58c96a9758e5f5f8",
    "7ee2e37ffe99126a",
    "620e96a9875a0db5",
    "1abd3a9689372656",
    /* VDSM, 02-balloon.policy */
    "e2d2b53c687ad200",
    "764c34a272073653",
    "e497feaf31c377a5",
    "ceb32b5ffd6f8ed5",
    "9b8ffd9758b7b85e",
    /* VDSM, 03-ksm.policy */
    "20be25d85c2c13ca",
    "15b5619b6c55607a",
    "6c2f0a6ada394550",
    "a14fc954d3bea7d6",
    "67c01e7a0f2ee186",
    "d43d31824f19fdc1",
    "9b3e6cabbb60e34d",
    "a9360f5d52e8931f",
    NULL,
};

static gboolean is_known(const Form *form)
{
    g_autofree char *sum = g_compute_checksum_for_string(G_CHECKSUM_SHA256, form->text->str, -1);
    sum[16] = '\0';
    return g_strv_contains(RULES, sum);
}

void mom_policy_take(MomPolicy *policy, const char *path, const char *text)
{
    Reader reader = {text, 1};
    for (;;) {
        g_autoptr(Form) form = next_form(policy->import, path, &reader);
        if (form == NULL)
            return;
        policy->has_ksm |= strstr(form->text->str, "ksm") != NULL;
        if (!take_constant(policy, path, form) && !is_known(form))
            import_refuse(policy->import, path, form->line,
                          "\"%.40s…\" is none of MOM's own rules: balloond has a law instead of rules, which "
                          "are not translated",
                          form->text->str);
    }
}
