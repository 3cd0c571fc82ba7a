// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The command line, in QEMU's syntax. A row of the table is an option; what is accepted without doing
 * anything says what this monitor does anyway, and everything else is refused: a guest must not run in
 * another way than it was asked for.
 */
#include "config.h"

#include "host-vmm/machine-config.h"

#include <string.h>

#include "host-vmm/device.h"
#include "host-vmm/object.h"

#define MINIMUM_MEMORY (1ull << 20)
#define MAXIMUM_MEMORY (1ull << 52) /* the architecture's physical addresses */
#define PAGE_SIZE      4096ull
#define MAX_VCPUS      255

typedef struct Parse {
    MachineConfig *config;
    gboolean no_graphic, no_defaults;
    gboolean handled; /* something like help has been printed */
} Parse;

typedef struct Row Row;
struct Row {
    const char *name;     /* without dashes */
    const char *argument; /* what --help calls it; NULL: takes none */
    gboolean (*take)(Parse *parse, const Row *row, const char *value, GError **error);
    const char *help;    /* NULL: not listed, a statement of what is so anyway */
    gsize offset;        /* take_text, take_flag, take_list: of the member of MachineConfig */
    const char *allowed; /* take_word: words accepted, a space between; take_list: the implied key */
};

static gboolean fail(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);
static gboolean fail(GError **error, const char *format, ...)
{
    va_list args;

    if (error != NULL) {
        va_start(args, format);
        *error = g_error_new_valist(G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, format, args);
        va_end(args);
    }
    return FALSE;
}

/* "-m", for errors and as what optset_parse() is told. */
static OptSet *parse_options(const Row *row, const char *value, const char *implied, GError **error)
{
    g_autofree char *what = g_strconcat("-", row->name, NULL);

    return optset_parse(what, value, implied, error);
}

/* Whether value is one of the words in `allowed` (a space between them). */
static gboolean is_word(const char *value, const char *allowed)
{
    g_auto(GStrv) words = g_strsplit(allowed, " ", -1);

    return g_strv_contains((const char *const *)words, value);
}

/* A key whose other values would mean something that is not done. Absent: fine. */
static gboolean only(OptSet *options, const char *key, const char *allowed, GError **error)
{
    const char *value = optset_string(options, key);

    if (value == NULL || is_word(value, allowed)) {
        return TRUE;
    }
    return fail(error, "%s: '%s=%s' is not supported, only: %s", optset_what(options), key, value, allowed);
}

/* ---- kinds of options ---- */

static gboolean take_flag(Parse *parse, const Row *row, const char *value, GError **error)
{
    *(gboolean *)((char *)parse->config + row->offset) = TRUE;
    return TRUE;
}

static gboolean take_text(Parse *parse, const Row *row, const char *value, GError **error)
{
    char **text = (char **)((char *)parse->config + row->offset);

    g_free(*text);
    *text = g_strdup(value);
    return TRUE;
}

/* So anyway: nothing to do. */
static gboolean take_nothing(Parse *parse, const Row *row, const char *value, GError **error)
{
    return TRUE;
}

static gboolean take_word(Parse *parse, const Row *row, const char *value, GError **error)
{
    return is_word(value, row->allowed) ||
           fail(error, "-%s %s is not supported, only: %s", row->name, value, row->allowed);
}

/* Pairs "key=words|key=words" of which nothing is done. */
static gboolean take_statement(Parse *parse, const Row *row, const char *value, GError **error)
{
    g_autoptr(OptSet) options = parse_options(row, value, NULL, error);
    g_auto(GStrv) pairs = g_strsplit(row->allowed, "|", -1);

    if (options == NULL) {
        return FALSE;
    }
    for (guint i = 0; pairs[i] != NULL; i++) {
        char *words = strchr(pairs[i], '=');

        *words++ = '\0';
        if (!only(options, pairs[i], words, error)) {
            return FALSE;
        }
    }
    return optset_finish(options, error);
}

/* ---- options with a meaning ---- */

static gboolean take_help(Parse *parse, const Row *row, const char *value, GError **error);

static gboolean take_version(Parse *parse, const Row *row, const char *value, GError **error)
{
    g_print("host-vmm %s (virt-suite)\n", PACKAGE_VERSION);
    parse->handled = TRUE;
    return TRUE;
}

static gboolean take_name(Parse *parse, const Row *row, const char *value, GError **error)
{
    g_autoptr(OptSet) options = parse_options(row, value, "guest", error);
    gboolean name_threads = TRUE; /* they have names in any case */
    const char *name;

    if (options == NULL || !optset_bool(options, "debug-threads", &name_threads, error)) {
        return FALSE;
    }
    name = optset_string(options, "guest");
    if (name != NULL) {
        g_free(parse->config->name);
        parse->config->name = g_strdup(name);
    }
    return optset_finish(options, error);
}

static gboolean take_uuid(Parse *parse, const Row *row, const char *value, GError **error)
{
    if (!g_uuid_string_is_valid(value)) {
        return fail(error, "-uuid: '%s' is not a UUID like 11111111-2222-3333-4444-555555555555", value);
    }
    g_free(parse->config->uuid);
    parse->config->uuid = g_ascii_strdown(value, -1);
    return TRUE;
}

static gboolean take_memory(Parse *parse, const Row *row, const char *value, GError **error)
{
    g_autoptr(OptSet) options = parse_options(row, value, "size", error);
    guint64 size = 0, most = 0, slots = 0; /* virtio-mem needs none, but QEMU's users say how many */

    if (options == NULL || !optset_size(options, "maxmem", 1 << 20, &most, error) ||
        !optset_uint(options, "slots", 0, 256, &slots, error) || !optset_need_string(options, "size", error) ||
        !optset_size(options, "size", 1 << 20, &size, error) || !optset_finish(options, error)) {
        return FALSE;
    }
    if (size < MINIMUM_MEMORY) {
        return fail(error, "-m %s: a guest needs at least 1 MiB of memory", value);
    }
    if (slots > 0 && most == 0) {
        return fail(error, "-m %s: 'slots' needs 'maxmem'", value);
    }
    if (size > MAXIMUM_MEMORY || most > MAXIMUM_MEMORY) {
        return fail(error, "-m %s: no machine has that much memory", value);
    }
    parse->config->memory_most = most;
    parse->config->memory_size = (size + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);
    return TRUE;
}

/* What is not said is derived as QEMU does for its machine types since 6.2: cores before sockets before
 * threads. */
static gboolean complete_topology(guint64 *cpus, guint64 *max, guint64 *sockets, guint64 *cores,
                                  guint64 *threads, GError **error)
{
    guint64 product;

    if (*max == 0) {
        *max = *cpus;
    }
    if (*max > 0 && *cores == 0) {
        *sockets = MAX(*sockets, 1);
        *threads = MAX(*threads, 1);
        *cores = MAX(*max / (*sockets * *threads), 1);
    } else if (*max > 0 && *sockets == 0) {
        *threads = MAX(*threads, 1);
        *sockets = MAX(*max / (*cores * *threads), 1);
    } else if (*max > 0 && *threads == 0) {
        *threads = MAX(*max / (*sockets * *cores), 1);
    }
    *sockets = MAX(*sockets, 1);
    *cores = MAX(*cores, 1);
    *threads = MAX(*threads, 1);
    product = *sockets * *cores * *threads;
    if (*max == 0) {
        *max = product;
    }
    if (*cpus == 0) {
        *cpus = *max;
    }
    if (product != *max) {
        return fail(error,
                    "-smp: sockets (%" G_GUINT64_FORMAT ") * cores (%" G_GUINT64_FORMAT
                    ") * threads (%" G_GUINT64_FORMAT ") must be the number of vCPUs (%" G_GUINT64_FORMAT ")",
                    *sockets, *cores, *threads, *max);
    }
    return TRUE;
}

static gboolean take_smp(Parse *parse, const Row *row, const char *value, GError **error)
{
    g_autoptr(OptSet) options = parse_options(row, value, "cpus", error);
    guint64 cpus = 0, max = 0, sockets = 0, cores = 0, threads = 0;

    if (options == NULL || !optset_uint(options, "cpus", 1, MAX_VCPUS, &cpus, error) ||
        !optset_uint(options, "maxcpus", 1, MAX_VCPUS, &max, error) ||
        !optset_uint(options, "sockets", 1, MAX_VCPUS, &sockets, error) ||
        !optset_uint(options, "cores", 1, MAX_VCPUS, &cores, error) ||
        !optset_uint(options, "threads", 1, MAX_VCPUS, &threads, error) ||
        !only(options, "dies", "1", error) || !only(options, "clusters", "1", error) ||
        !optset_finish(options, error) ||
        !complete_topology(&cpus, &max, &sockets, &cores, &threads, error)) {
        return FALSE;
    }
    if (max < cpus) {
        return fail(error, "-smp: maxcpus (%" G_GUINT64_FORMAT ") is less than cpus (%" G_GUINT64_FORMAT ")",
                    max, cpus);
    }
    if (max > MAX_VCPUS) {
        return fail(error, "-smp: %" G_GUINT64_FORMAT " vCPUs are more than the %d that are supported", max,
                    MAX_VCPUS);
    }
    parse->config->vcpus = (guint)cpus;
    parse->config->sockets = (guint)sockets;
    parse->config->cores = (guint)cores;
    parse->config->threads = (guint)threads;
    return TRUE;
}

/* "kvm" or QEMU's list of tries "kvm:tcg": the first must be ours. There is no falling back. */
static gboolean check_accelerator(const char *what, const char *value, GError **error)
{
    return strcmp(value, "kvm") == 0 || g_str_has_prefix(value, "kvm:") ||
           fail(error, "%s: accelerator '%s' is not supported, only kvm", what, value);
}

static gboolean take_probe(MachineConfig *config, OptSet *options, GError **error)
{
    config->probe_only = g_strcmp0(optset_string(options, "probe"), "only") == 0;
    return config->probe_only || optset_bool(options, "probe", &config->probe, error);
}

static gboolean take_accel(Parse *parse, const Row *row, const char *value, GError **error)
{
    g_autoptr(OptSet) options = parse_options(row, value, "accel", error);
    const char *name;

    if (options == NULL || (name = optset_need_string(options, "accel", error)) == NULL ||
        !check_accelerator("-accel", name, error)) {
        return FALSE;
    }
    return take_probe(parse->config, options, error) && only(options, "kernel-irqchip", "on", error) && optset_finish(options, error);
}

static gboolean is_pc(const char *type)
{
    return strcmp(type, "pc") == 0 || g_regex_match_simple("^pc-i440fx-[0-9]+\\.[0-9]+$", type, 0, 0);
}

static gboolean take_machine(Parse *parse, const Row *row, const char *value, GError **error)
{
    static const char *const harmless[][2] = {
        {"usb", "off"},      {"vmport", "off"},        {"smm", "off"},           {"hpet", "off"},
        {"graphics", "off"}, {"nvdimm", "off"},        {"acpi", "on"},           {"dump-guest-core", "off"},
        {"pit", "on"},       {"kernel-irqchip", "on"}, {"kernel_irqchip", "on"},
    };
    g_autoptr(OptSet) options = parse_options(row, value, "type", error);
    const char *type, *accelerator, *backend, *cache;

    if (options == NULL || !optset_bool(options, "mem-merge", &parse->config->memory_merge, error) ||
        !optset_bool(options, "kernel-unpack", &parse->config->kernel_unpack, error)) {
        return FALSE;
    }
    cache = optset_string(options, "kernel-cache");
    if (cache != NULL) {
        g_free(parse->config->kernel_cache);
        parse->config->kernel_cache = g_strdup(cache);
    }
    backend = optset_string(options, "memory-backend");
    if (backend != NULL) {
        g_free(parse->config->memory_backend);
        parse->config->memory_backend = g_strdup(backend);
    }
    type = optset_string(options, "type");
    if (type != NULL && !is_pc(type)) {
        return fail(error, "-%s: machine '%s' is not supported, only pc (or pc-i440fx-7.2 and the like)",
                    row->name, type);
    }
    accelerator = optset_string(options, "accel");
    if (accelerator != NULL && !check_accelerator(optset_what(options), accelerator, error)) {
        return FALSE;
    }
    for (guint i = 0; i < G_N_ELEMENTS(harmless); i++) {
        if (!only(options, harmless[i][0], harmless[i][1], error)) {
            return FALSE;
        }
    }
    return optset_finish(options, error);
}

static gboolean take_cpu(Parse *parse, const Row *row, const char *value, GError **error)
{
    g_autoptr(OptSet) options = parse_options(row, value, "model", error);
    CpuModel *model = options != NULL ? cpu_model_new(options, error) : NULL;

    if (model == NULL) {
        return FALSE;
    }
    cpu_model_free(parse->config->cpu);
    parse->config->cpu = model;
    return TRUE;
}

static gboolean take_sandbox(Parse *parse, const Row *row, const char *value, GError **error)
{
    ConfineConfig *confine = &parse->config->confine;
    gboolean on = TRUE;
    const char *open;

    if (strcmp(value, "help") == 0) {
        syscalls_print_help();
        parse->handled = TRUE;
        return TRUE;
    }
    g_autoptr(OptSet) options = parse_options(row, value, "enable", error);
    if (options == NULL || !optset_bool(options, "enable", &on, error) ||
        !only(options, "open", "allow deny", error) || !only(options, "spawn", "allow deny", error) ||
        !only(options, "obsolete", "deny", error) ||
        !only(options, "elevateprivileges", "deny children", error) ||
        !only(options, "resourcecontrol", "deny", error)) {
        return FALSE;
    }
    open = optset_string(options, "open");
    confine->off = !on;
    confine->insist = on;
    confine->filter.open_denied = g_strcmp0(open, "deny") == 0;
    return optset_finish(options, error);
}

static gboolean take_run_as(Parse *parse, const Row *row, const char *value, GError **error)
{
    g_free(parse->config->confine.user);
    parse->config->confine.user = g_strdup(value);
    return TRUE;
}

static gboolean take_run_with(Parse *parse, const Row *row, const char *value, GError **error)
{
    g_autoptr(OptSet) options = parse_options(row, value, NULL, error);
    const char *user;

    if (options == NULL || !only(options, "async-teardown", "off", error) ||
        (user = optset_need_string(options, "user", error)) == NULL) {
        return FALSE;
    }
    return take_run_as(parse, row, user, error) && optset_finish(options, error);
}

static gboolean take_audiodev(Parse *parse, const Row *row, const char *value, GError **error)
{
    g_autoptr(OptSet) options = parse_options(row, value, "driver", error);

    if (options == NULL) {
        return FALSE;
    }
    optset_ignore(options, "id");
    return optset_need_string(options, "driver", error) != NULL && only(options, "driver", "none", error) &&
           optset_finish(options, error);
}

static gboolean take_action(Parse *parse, const Row *row, const char *value, GError **error)
{
    g_autoptr(OptSet) options = parse_options(row, value, NULL, error);

    if (options == NULL) {
        return FALSE;
    }
    for (guint i = 0; ACTION_EVENTS[i] != NULL; i++) {
        const char *action = optset_string(options, ACTION_EVENTS[i]);

        if (action != NULL && !actions_set(&parse->config->actions, ACTION_EVENTS[i], action, error)) {
            g_prefix_error(error, "-%s: ", row->name);
            return FALSE;
        }
    }
    return optset_finish(options, error);
}

static gboolean take_watchdog_action(Parse *parse, const Row *row, const char *value, GError **error)
{
    if (!actions_set(&parse->config->actions, "watchdog", value, error)) {
        g_prefix_error(error, "-%s: ", row->name);
        return FALSE;
    }
    return TRUE;
}

static gboolean take_global(Parse *parse, const Row *row, const char *value, GError **error)
{
    static const char *const so_anyway[] = {
        "PIIX4_PM.disable_s3=1",          /* there is no S3 */
        "PIIX4_PM.disable_s4=1",          /* nor S4 */
        "kvm-pit.lost_tick_policy=delay", /* KVM's own policy */
        NULL,
    };

    return g_strv_contains(so_anyway, value) || fail(error, "-global %s is not supported", value);
}

/* ---- lists ---- */

/* One more of a list of OptSets; row->allowed is the key that a first bare word has. */
static gboolean take_list(Parse *parse, const Row *row, const char *value, GError **error)
{
    OptSet *options = parse_options(row, value, row->allowed, error);

    if (options != NULL) {
        g_ptr_array_add(*(GPtrArray **)((char *)parse->config + row->offset), options);
    }
    return options != NULL;
}

static gboolean take_device(Parse *parse, const Row *row, const char *value, GError **error)
{
    OptSet *options;

    if (strcmp(value, "help") == 0 || strcmp(value, "?") == 0) {
        for (const DeviceType *const *type = device_types(); *type != NULL; type++) {
            const char *alias = (*type)->alias;

            g_print("name \"%s\", bus %s%s%s%s, desc \"%s\"\n", (*type)->name, (*type)->bus,
                    alias != NULL ? ", alias \"" : "", alias != NULL ? alias : "", alias != NULL ? "\"" : "",
                    (*type)->description);
        }
        parse->handled = TRUE;
        return TRUE;
    }
    options = parse_options(row, value, "driver", error);
    if (options != NULL) {
        g_ptr_array_add(parse->config->devices, options);
    }
    return options != NULL;
}

static gboolean take_object(Parse *parse, const Row *row, const char *value, GError **error)
{
    OptSet *options;

    if (strcmp(value, "help") == 0 || strcmp(value, "?") == 0) {
        for (const ObjectType *const *type = object_types(); *type != NULL; type++) {
            g_print("  %-20s %s\n", (*type)->name, (*type)->description);
        }
        parse->handled = TRUE;
        return TRUE;
    }
    options = parse_options(row, value, "qom-type", error);
    if (options != NULL) {
        g_ptr_array_add(parse->config->objects, options);
    }
    return options != NULL;
}

static gboolean take_netdev(Parse *parse, const Row *row, const char *value, GError **error)
{
    OptSet *options;

    if (strcmp(value, "help") == 0 || strcmp(value, "?") == 0) {
        for (const NetDevKind *const *kind = netdev_kinds(); *kind != NULL; kind++) {
            g_print("  %-8s %s\n", netdev_kind_name(*kind), netdev_kind_description(*kind));
        }
        parse->handled = TRUE;
        return TRUE;
    }
    options = parse_options(row, value, "type", error);
    if (options != NULL) {
        g_ptr_array_add(parse->config->netdevs, options);
    }
    return options != NULL;
}

static gboolean take_serial(Parse *parse, const Row *row, const char *value, GError **error)
{
    g_ptr_array_add(parse->config->serials, g_strdup(value));
    return TRUE;
}

static gboolean take_qmp(Parse *parse, const Row *row, const char *value, GError **error)
{
    g_autofree char *text = NULL;
    OptSet *options;

    if (strcmp(value, "none") == 0) {
        return TRUE;
    }
    if (g_str_has_prefix(value, "chardev:")) {
        text = g_strdup_printf("chardev=%s,mode=control", value + strlen("chardev:"));
    } else {
        text = g_strdup_printf("chardev=compat_monitor%u,mode=control", parse->config->qmps->len);
        g_ptr_array_add(parse->config->qmps, g_strdup(value));
    }
    options = parse_options(row, text, NULL, error);
    if (options != NULL) {
        g_ptr_array_add(parse->config->monitors, options);
    }
    return options != NULL;
}

static gboolean take_nographic(Parse *parse, const Row *row, const char *value, GError **error)
{
    parse->no_graphic = TRUE;
    return TRUE;
}

static gboolean take_nodefaults(Parse *parse, const Row *row, const char *value, GError **error)
{
    parse->no_defaults = TRUE;
    return TRUE;
}

/* ---- the table ---- */

#define OFFSET(member) G_STRUCT_OFFSET(MachineConfig, member)

static const Row rows[] = {
    {"name", "[guest=]NAME[,debug-threads=on|off]", take_name, "the guest's name; whether threads are named"},
    {"uuid", "UUID", take_uuid, "the guest's UUID"},
    {"machine", "pc[,KEY=VALUE...]", take_machine,
     "the machine (pc, pc-i440fx-N.M), memory-backend=ID, mem-merge=on|off, kernel-unpack=on|off, kernel-cache=FOLDER"},
    {"M", "pc", take_machine, "the same"},
    {"accel", "kvm[,probe=on|off|only]", take_accel,
     "KVM; whether to try it out with a tiny guest first (on), or to do just that"},
    {"enable-kvm", NULL, take_nothing, "the same as -accel kvm"},
    {"cpu", "MODEL[,+FEATURE][,-FEATURE][,KEY=VALUE...]", take_cpu,
     "host, or x86-64-v1 to x86-64-v4; features by QEMU's names, nested=on|off, hv-*"},
    {"m", "[size=]SIZE[,maxmem=SIZE]", take_memory,
     "guest memory, in MiB without a suffix K, M, G or T (128), and the most that it may come to"},
    {"smp", "[cpus=]N[,maxcpus=M][,sockets=S][,cores=C][,threads=T]", take_smp,
     "vCPUs and how they are arranged (1)"},
    {"numa", "node|dist|cpu[,KEY=VALUE...]", take_list,
     "which memory and vCPUs belong together, as the guest sees it", OFFSET(numas), "type"},
    {"kernel", "FILE", take_text, "Linux kernel: a bzImage, or a vmlinux with a PVH entry", OFFSET(kernel)},
    {"initrd", "FILE", take_text, "initial RAM disk", OFFSET(initrd)},
    {"append", "TEXT", take_text, "kernel command line", OFFSET(append)},
    {"chardev", "BACKEND,id=ID[,...]", take_list, "character device: socket, pty, stdio, file or null",
     OFFSET(chardevs), "backend"},
    {"add-fd", "fd=N,set=M[,opaque=TEXT]", take_list, "an inherited descriptor: the file /dev/fdset/M",
     OFFSET(add_fds), NULL},
    {"blockdev", "DRIVER,node-name=NAME[,...]", take_list,
     "a node of a disk image: file, host_device, raw, throttle; in JSON or with dots (file.filename=PATH)",
     OFFSET(blockdevs), "driver"},
    {"drive", "file=PATH,if=virtio|none[,id=ID][,format=FORMAT][,...]", take_list,
     "a disk image in short, with its cache mode and throttling; if=virtio: and a virtio-blk-pci for it",
     OFFSET(drives), NULL},
    {"device", "DRIVER[,id=ID][,...]", take_device, "a device; -device help lists them"},
    {"object", "TYPE,id=ID[,...]", take_object, "an object for devices; -object help lists them"},
    {"netdev", "TYPE,id=ID[,...]", take_netdev,
     "the host end of a network card; -netdev help lists the types"},
    {"serial", "DEV", take_serial,
     "a serial port on: unix:PATH[,server=on][,wait=off], pty, stdio, file:PATH, null, none, chardev:ID"},
    {"mon", "[chardev=]ID,mode=control", take_list, "a QMP monitor on a character device", OFFSET(monitors),
     "chardev"},
    {"qmp", "DEV", take_qmp, "a QMP monitor on a character device made as by -serial"},
    {"sandbox", "on|off[,open=allow|deny][,spawn=allow|deny]", take_sandbox,
     "what a guest that has taken over a thread can ask of the kernel (on); help lists it"},
    {"run-with", "user=NAME|UID:GID", take_run_with, "the user to be when all is open"},
    {"runas", "NAME|UID:GID", take_run_as, "the same"},
    {"pidfile", "FILE", take_text, "write the process id there, and keep it locked", OFFSET(pidfile)},
    {"daemonize", NULL, take_flag, "go to the background when monitors listen and the guest is ready",
     OFFSET(daemonize)},
    {"D", "FILE", take_text, "log to a file, with time stamps, instead of standard error", OFFSET(log_file)},
    {"S", NULL, take_flag, "do not start the guest: wait for cont", OFFSET(start_paused)},
    {"no-reboot", NULL, take_flag, "end when the guest resets", OFFSET(actions.reboot_ends)},
    {"no-shutdown", NULL, take_flag, "stop, but do not end, when the guest powers off",
     OFFSET(actions.shutdown_pauses)},
    {"action", "reboot|shutdown|panic|watchdog=ACTION[,...]", take_action,
     "what to do: reboot=reset|shutdown, shutdown=poweroff|pause, panic=pause|shutdown|exit-failure|none,\n  "
     "      "
     "watchdog=reset|shutdown|poweroff|inject-nmi|pause|debug|none"},
    {"watchdog-action", "ACTION", take_watchdog_action, "the same as -action watchdog=ACTION"},
    {"nographic", NULL, take_nographic, "without any -serial: a serial port on standard input and output"},
    {"nodefaults", NULL, take_nodefaults, "not even that"},
    {"help", NULL, take_help, "print this and exit"},
    {"h", NULL, take_help, "the same"},
    {"version", NULL, take_version, "print the version and exit"},

    /* What QEMU's users and libvirt say, and is so here in any case. */
    {"no-user-config", NULL, take_nothing},
    {"no-hpet", NULL, take_nothing},
    {"display", "none", take_word, .allowed = "none"},
    {"vga", "none", take_word, .allowed = "none"},
    {"monitor", "none", take_word, .allowed = "none"},
    {"parallel", "none", take_word, .allowed = "none"},
    {"net", "none", take_word, .allowed = "none"},
    {"nic", "none", take_word, .allowed = "none"},
    {"overcommit", "mem-lock=off", take_statement, .allowed = "mem-lock=off|cpu-pm=off"},
    {"msg", "timestamp=on", take_statement, .allowed = "timestamp=on off|guest-name=off"},
    {"boot", "strict=on", take_statement, .allowed = "strict=on off|menu=off"},
    {"rtc", "base=utc", take_statement, .allowed = "base=utc|clock=host|driftfix=none slew"},
    {"audiodev", "driver=none", take_audiodev},
    {"global", "DRIVER.PROPERTY=VALUE", take_global},
};

static gboolean take_help(Parse *parse, const Row *row, const char *value, GError **error)
{
    g_print("host-vmm: runs a guest under KVM. Options are those of qemu-system-x86_64.\n"
            "usage: host-vmm -kernel FILE [-initrd FILE] [-append TEXT] [option...]\n\n");
    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        if (rows[i].help != NULL) {
            g_print("-%s%s%s\n        %s\n", rows[i].name, rows[i].argument != NULL ? " " : "",
                    rows[i].argument != NULL ? rows[i].argument : "", rows[i].help);
        }
    }
    g_print("\nNothing is added to the guest that is not asked for. host-vmm(1) says more.\n");
    parse->handled = TRUE;
    return TRUE;
}

static const Row *find_row(const char *argument)
{
    const char *name = argument + (g_str_has_prefix(argument, "--") ? 2 : 1);

    for (guint i = 0; *argument == '-' && i < G_N_ELEMENTS(rows); i++) {
        if (strcmp(rows[i].name, name) == 0) {
            return &rows[i];
        }
    }
    return NULL;
}

/* Standard input and output go to /dev/null in the background. */
static gboolean uses_stdio(const MachineConfig *config)
{
    for (guint i = 0; i < config->chardevs->len; i++) {
        if (g_strcmp0(optset_string(config->chardevs->pdata[i], "backend"), "stdio") == 0) {
            return TRUE;
        }
    }
    return g_ptr_array_find_with_equal_func(config->serials, "stdio", g_str_equal, NULL) ||
           g_ptr_array_find_with_equal_func(config->qmps, "stdio", g_str_equal, NULL);
}

/* Whether one of these sets has a value other than `unlike` for the key. */
static gboolean any_has(const GPtrArray *sets, const char *key, const char *unlike)
{
    for (guint i = 0; i < sets->len; i++) {
        const char *value = optset_peek(sets->pdata[i], key);

        if (value != NULL && strcmp(value, unlike) != 0) {
            return TRUE;
        }
    }
    return FALSE;
}

/* What the machine that is asked for needs of the kernel later on. */
static void find_needs(MachineConfig *config)
{
    gboolean has_user_net = FALSE;

    for (guint i = 0; i < config->netdevs->len; i++) {
        has_user_net |= g_strcmp0(optset_peek(config->netdevs->pdata[i], "type"), "user") == 0;
    }
    config->confine.filter.sockets_denied = config->confine.filter.open_denied && !has_user_net &&
                                            !any_has(config->netdevs, "reconnect", "0") &&
                                            !any_has(config->chardevs, "reconnect", "0");
}

static gboolean check(Parse *parse, GError **error)
{
    MachineConfig *config = parse->config;

    if (parse->no_graphic && !parse->no_defaults && config->serials->len == 0) {
        g_ptr_array_add(config->serials, g_strdup("stdio"));
    }
    if (config->kernel == NULL && !config->probe_only) {
        return fail(error, "-kernel is missing: a Linux kernel is booted directly, there is no firmware");
    }
    if (config->daemonize && uses_stdio(config)) {
        return fail(error, "-daemonize: nothing can be on standard input and output in the background");
    }
    return TRUE;
}

MachineConfig *machine_config_parse(int argc, char **argv, gboolean *handled, GError **error)
{
    Parse parse = {machine_config_new(), FALSE, FALSE, FALSE};
    g_autoptr(MachineConfig) config = parse.config;

    *handled = FALSE;
    for (int i = 1; i < argc && !parse.handled; i++) {
        const Row *row = find_row(argv[i]);
        const char *value = NULL;

        if (row == NULL) {
            fail(error, "%s: %s (host-vmm --help lists the options)", argv[i],
                 *argv[i] == '-' ? "unknown or unsupported option" : "unexpected argument");
            return NULL;
        }
        if (row->argument != NULL) {
            value = argv[++i];
            if (i >= argc) {
                fail(error, "-%s: needs an argument: %s", row->name, row->argument);
                return NULL;
            }
        }
        if (!row->take(&parse, row, value, error)) {
            return NULL;
        }
    }
    if (parse.handled) {
        *handled = TRUE;
        return NULL;
    }
    find_needs(config);
    return check(&parse, error) ? g_steal_pointer(&config) : NULL;
}
