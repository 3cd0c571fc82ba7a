// SPDX-License-Identifier: GPL-2.0-or-later
#include "balloon/daemon/ksm-private.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "balloon/daemon/processes.h"

#define FOLDER "/sys/kernel/mm/ksm/"
/* Guests that are looked at in one step: two small files each. With more of them each has its turn. */
#define LOOKS_MAX 128
/* How much merging a process allows changes seldom. */
#define ASK_MS 5000
/* What was set is looked after so often, that somebody else's hand is seen. */
#define WATCH_MS 10000
/* Where ksmd's own time is not to be seen (a container), it is taken from the pages that it scanned: 2 s for
 * two passes over a GiB. */
#define PAGE_NS   4000
#define NS_PER_MS 1000000

/* ---- the settings ---- */

/* Those that are ever written. */
static const char *const NAMES[] = {"advisor_mode",
                                    "smart_scan",
                                    "use_zero_pages",
                                    "merge_across_nodes",
                                    "max_page_sharing",
                                    "pages_to_scan",
                                    "sleep_millisecs",
                                    "run",
                                    NULL};

static char *read_setting(const char *root, const char *name)
{
    g_autofree char *path = g_strconcat(root, FOLDER, name, NULL);
    char *text = NULL;
    if (!g_strv_contains(NAMES, name) || !g_file_get_contents(path, &text, NULL, NULL))
        return NULL;
    /* A choice shows all words, with the one that holds in brackets. */
    char *open = strchr(text, '['), *close = open != NULL ? strchr(open, ']') : NULL;
    if (close != NULL) {
        *close = '\0';
        memmove(text, open + 1, (gsize)(close - open));
    }
    return g_strstrip(text);
}

static gboolean write_setting(const char *root, const char *name, const char *value)
{
    g_autofree char *path = g_strconcat(root, FOLDER, name, NULL);
    int fd = g_strv_contains(NAMES, name) ? open(path, O_WRONLY | O_TRUNC | O_CLOEXEC | O_NOFOLLOW) : -1;
    if (fd < 0)
        return FALSE;
    gssize length = (gssize)strlen(value), done = write(fd, value, (gsize)length);
    int problem = done < 0 ? errno : EIO;
    close(fd);
    errno = problem;
    return done == length;
}

const KeepKind KSM_SETTINGS = {"ksm", read_setting, write_setting};

/* ---- what is seen ---- */

static gint64 number_of(Ksm *ksm, const char *name)
{
    g_autofree char *path = g_strconcat(FOLDER, name, NULL);
    const char *text = host_read(ksm->host, path);
    return text != NULL ? g_ascii_strtoll(text, NULL, 10) : 0;
}

static gboolean is_ksmd(Ksm *ksm, int pid)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/stat", pid);
    const char *text = host_read(ksm->host, path);
    const char *name = text != NULL ? strstr(text, " (ksmd) ") : NULL;
    /* A child of kthreadd: a program can take the name, but not that. Behind it: a letter and the parent. */
    return name != NULL && strncmp(name + strlen(" (ksmd) ") + 1, " 2 ", 3) == 0;
}

/* A kernel thread's name stays: it is looked for once. */
static int find_ksmd(Ksm *ksm)
{
    g_autofree char *path = g_strconcat(host_root(ksm->host), "/proc", NULL);
    g_autoptr(GDir) folder = g_dir_open(path, 0, NULL);
    const char *name;
    while (folder != NULL && (name = g_dir_read_name(folder)) != NULL) {
        int pid = processes_number(name);
        if (pid > 0 && is_ksmd(ksm, pid))
            return pid;
    }
    return 0;
}

static gint64 cpu_ms(Ksm *ksm)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/schedstat", ksm->ksmd);
    const char *text = ksm->ksmd > 0 ? host_read(ksm->host, path) : NULL;
    return text != NULL ? g_ascii_strtoll(text, NULL, 10) / NS_PER_MS
                        : number_of(ksm, "pages_scanned") * PAGE_NS / NS_PER_MS;
}

static void look_at_host(Ksm *ksm, const Fleet *fleet, PolicyKsmHost *seen)
{
    const char *profit = host_read(ksm->host, FOLDER "general_profit"); /* since Linux 6.4 */
    seen->profit = profit != NULL ? g_ascii_strtoll(profit, NULL, 10) / (1 << 20) : -1;
    ksm->sharing = number_of(ksm, "pages_sharing");
    if (profit == NULL)
        seen->profit = ksm->sharing / KSM_PAGES_PER_MIB;
    seen->total = fleet->host.total;
    seen->available = fleet->host.available;
    seen->full_scans = number_of(ksm, "full_scans");
    seen->cpu_ms = cpu_ms(ksm);
    seen->scanned = number_of(ksm, "pages_scanned");
    seen->tracked = (ksm->sharing + number_of(ksm, "pages_shared") + number_of(ksm, "pages_unshared") +
                     number_of(ksm, "pages_volatile")) /
                    KSM_PAGES_PER_MIB;
    seen->cpu_pressure = host_pressure(ksm->host, "cpu", "some");
}

/* Whether it has offered memory (madvise(2), prctl(2)): told since Linux 6.13; else it is taken to have. */
static gboolean offers(const char *text)
{
    return strstr(text, "ksm_mergeable: no") == NULL || strstr(text, "ksm_merge_any: yes") != NULL;
}

static void look_at_guest(Ksm *ksm, const FleetGuest *place, KsmProcess *process, PolicyKsmGuest *seen,
                          gint64 now)
{
    if (process->pid != place->pid)
        *process = (KsmProcess){.pid = place->pid};
    g_autofree char *statm = g_strdup_printf("/proc/%d/statm", place->pid);
    const char *text = place->pid > 0 && !place->no_ksm ? host_read(ksm->host, statm) : NULL;
    char *at;
    if (text == NULL) {
        *seen = (PolicyKsmGuest){0};
        return;
    }
    /* size resident shared …, in pages: what is neither a file's nor shared memory can be merged. */
    g_ascii_strtoll(text, &at, 10);
    gint64 resident = g_ascii_strtoll(at, &at, 10), shared = g_ascii_strtoll(at, &at, 10);
    seen->mergeable = MAX(resident - shared, 0) / KSM_PAGES_PER_MIB;
    if (process->asked_at == 0 || ksm->runs || now - process->asked_at >= ASK_MS) {
        g_autofree char *stat = g_strdup_printf("/proc/%d/ksm_stat", place->pid);
        g_autofree char *merging = g_strdup_printf("/proc/%d/ksm_merging_pages", place->pid);
        text = host_read(ksm->host, stat);
        process->offers = text == NULL || offers(text);
        process->asked_at = now;
        text = host_read(ksm->host, merging);
        seen->merged = text != NULL ? g_ascii_strtoll(text, NULL, 10) / KSM_PAGES_PER_MIB : 0;
    }
    seen->counts = process->offers;
}

void ksm_look(Ksm *ksm, Fleet *fleet)
{
    Law *law = &fleet->laws[FLEET_KSM];
    if (!law->on)
        return;
    gint64 now = g_get_monotonic_time() / 1000;
    if (ksm->processes->len < fleet->count)
        g_array_set_size(ksm->processes, fleet->count);
    look_at_host(ksm, fleet, law->part[LAW_HOST]);
    for (guint i = 0; i < MIN(fleet->count, LOOKS_MAX); i++) {
        guint place = (ksm->next + i) % fleet->count;
        if (fleet->places[place].key != NULL)
            look_at_guest(ksm, &fleet->places[place], &g_array_index(ksm->processes, KsmProcess, place),
                          law_part(law, LAW_GUEST, place), now);
    }
    ksm->next = fleet->count > 0 ? (ksm->next + MIN(fleet->count, LOOKS_MAX)) % fleet->count : 0;
}

/* ---- what is done ---- */

static void leave_alone(Ksm *ksm, const char *why)
{
    g_warning("KSM is left alone until the configuration is read anew: %s", why);
    g_free(ksm->why_not);
    ksm->why_not = g_strdup(why);
    ksm->runs = FALSE;
    keep_restore(ksm->keep, &KSM_SETTINGS, NULL);
}

/* FALSE: no more is to be written. optional: where a kernel has it, and takes it now. */
static gboolean set(Ksm *ksm, const char *name, const char *value, gboolean optional)
{
    g_autoptr(GError) error = NULL;
    if (keep_set(ksm->keep, &KSM_SETTINGS, name, value, &error) ||
        (optional && g_error_matches(error, KEEP_ERROR, KEEP_ERROR_GONE)))
        return TRUE;
    if (optional && g_error_matches(error, KEEP_ERROR, KEEP_ERROR_REFUSED)) {
        /* max_page_sharing and merge_across_nodes: not while pages are merged. */
        if (!ksm->refused)
            g_warning("KSM: %s; it stays as it is", error->message);
        ksm->refused = TRUE;
        return TRUE;
    }
    leave_alone(ksm, error->message);
    return FALSE;
}

static gboolean set_number(Ksm *ksm, const char *name, gint64 value, gboolean optional)
{
    char text[24];
    g_snprintf(text, sizeof text, "%" G_GINT64_FORMAT, value);
    return value < 0 || set(ksm, name, text, optional);
}

/* A few pages more or less are not worth a write. */
static gboolean as_done(const Ksm *ksm, const PolicyKsmDecision *wanted)
{
    gint32 least = MIN(wanted->pages, ksm->done.pages), most = MAX(wanted->pages, ksm->done.pages);
    return wanted->run == ksm->done.run &&
           (!wanted->run || (wanted->phase == ksm->done.phase && wanted->sleep_ms == ksm->done.sleep_ms &&
                             most - least <= most / 8));
}

static void start(Ksm *ksm, const PolicyKsmDecision *wanted)
{
    /* The advisor sets pages_to_scan by itself, and refuses that others do. */
    ksm->runs = set(ksm, "advisor_mode", "none", TRUE) &&
                set_number(ksm, "smart_scan", ksm->fixed.smart_scan, TRUE) &&
                set_number(ksm, "use_zero_pages", ksm->fixed.use_zero_pages, TRUE) &&
                set_number(ksm, "merge_across_nodes", ksm->fixed.merge_across_nodes, TRUE) &&
                set_number(ksm, "max_page_sharing", ksm->fixed.max_page_sharing, TRUE) &&
                set_number(ksm, "sleep_millisecs", wanted->sleep_ms, FALSE) &&
                set_number(ksm, "pages_to_scan", wanted->pages, FALSE) && set(ksm, "run", "1", FALSE);
}

void ksm_act(Ksm *ksm, const Fleet *fleet, gboolean paused)
{
    const Law *law = &fleet->laws[FLEET_KSM];
    if (!law->on || ksm->why_not != NULL)
        return;
    PolicyKsmDecision wanted = *(const PolicyKsmDecision *)law->part[LAW_VERDICT];
    g_autofree char *told = law->class->tell(law, -1);
    gint64 now = g_get_monotonic_time() / 1000;
    if (told != NULL) {
        g_info("KSM: %s%s", told, ksm->dry_run ? ", not done" : "");
        ksm->bursts += ksm->done.phase == POLICY_KSM_QUIET && wanted.phase != POLICY_KSM_QUIET;
        ksm->reason = wanted.reason;
    }
    wanted.run = wanted.run && !paused;
    if (as_done(ksm, &wanted) && ksm->acted_at > 0 && now - ksm->acted_at < WATCH_MS) {
        ksm->done.phase = wanted.phase;
        return;
    }
    ksm->acted_at = now;
    if (ksm->dry_run) {
        ksm->done = wanted;
        return;
    }
    if (wanted.run) {
        if (as_done(ksm, &wanted)) /* looked after */
            wanted.pages = ksm->done.pages;
        start(ksm, &wanted);
    } else if (set(ksm, "run", "0", FALSE)) { /* what is merged stays merged */
        ksm->runs = FALSE;
    }
    ksm->done = wanted;
}

/* ---- the whole ---- */

Ksm *ksm_new(Host *host, Keep *keep, gboolean dry_run)
{
    Ksm *ksm = g_new0(Ksm, 1);
    ksm->host = host;
    ksm->keep = keep;
    ksm->dry_run = dry_run;
    ksm->processes = g_array_new(FALSE, TRUE, sizeof(KsmProcess));
    ksm->ksmd = find_ksmd(ksm);
    return ksm;
}

void ksm_free(Ksm *ksm)
{
    if (ksm == NULL)
        return;
    keep_restore(ksm->keep, &KSM_SETTINGS, NULL);
    g_array_unref(ksm->processes);
    g_free(ksm->why_not);
    g_free(ksm);
}

static const char *why_not(const Ksm *ksm, gboolean active)
{
    g_autofree char *path = g_strconcat(host_root(ksm->host), FOLDER "run", NULL);
    if (!active)
        return "the guests are not of this host";
    if (!g_file_test(path, G_FILE_TEST_EXISTS))
        return "this kernel has no KSM";
    return ksm->dry_run ? NULL : keep_why_not(ksm->keep);
}

void ksm_configure(Ksm *ksm, Fleet *fleet, const Settings *settings, gboolean active)
{
    ksm->mode = settings->ksm.mode;
    ksm->fixed = settings->ksm_fixed;
    ksm->refused = FALSE;
    ksm->acted_at = 0;
    ksm->done = (PolicyKsmDecision){0};
    g_clear_pointer(&ksm->why_not, g_free);
    if (ksm->mode != POLICY_KSM_OFF)
        ksm->why_not = g_strdup(why_not(ksm, active));
    gboolean on = ksm->mode != POLICY_KSM_OFF && ksm->why_not == NULL;
    if (ksm->why_not != NULL)
        g_info("KSM is left alone: %s", ksm->why_not);
    if (!on) {
        ksm->runs = FALSE;
        keep_restore(ksm->keep, &KSM_SETTINGS, NULL);
    }
    fleet_set_law(fleet, FLEET_KSM, on ? &settings->ksm : NULL);
}
