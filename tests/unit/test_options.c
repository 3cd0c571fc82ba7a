// SPDX-License-Identifier: GPL-2.0-or-later
#include <check.h>
#include <stdlib.h>

#include "host-vmm/device.h"
#include "host-vmm/machine-config.h"
#include "host-vmm/object.h"
#include "tests/check-run.h"

/* The lists behind "-device help" and "-object help". */
static const DeviceType device = {"a-device", "its-alias", "PCI", "for the test", NULL};
static const ObjectType object = {"an-object", "for the test", NULL};

const DeviceType *const *device_types(void)
{
    static const DeviceType *const types[] = {&device, NULL};

    return types;
}

const ObjectType *const *object_types(void)
{
    static const ObjectType *const types[] = {&object, NULL};

    return types;
}

/* words: split at '|', so that values may have spaces and commas. */
static MachineConfig *parse(const char *words, gboolean *handled, GError **error)
{
    g_autofree char *all = g_strconcat("host-vmm|", words, NULL);
    g_auto(GStrv) argv = g_strsplit(all, "|", -1);
    guint argc = g_strv_length(argv);

    if (*words == '\0') {
        argc--;
    }
    return machine_config_parse((int)argc, argv, handled, error);
}

static MachineConfig *good(const char *words)
{
    g_autofree char *all = g_strconcat("-kernel|k|", words, NULL);
    g_autoptr(GError) error = NULL;
    gboolean handled;
    MachineConfig *config;

    if (*words == '\0') {
        all[strlen(all) - 1] = '\0';
    }
    config = parse(all, &handled, &error);
    ck_assert_msg(config != NULL, "%s: %s", words, error != NULL ? error->message : "?");
    ck_assert(!handled);
    return config;
}

static void bad(const char *words, const char *message)
{
    g_autofree char *all = g_strconcat("-kernel|k|", words, NULL);
    g_autoptr(GError) error = NULL;
    gboolean handled;
    MachineConfig *config = parse(all, &handled, &error);

    ck_assert_msg(config == NULL, "accepted: %s", words);
    ck_assert_msg(error != NULL, "no error: %s", words);
    ck_assert_msg(strstr(error->message, message) != NULL, "%s: '%s' is not in '%s'", words, message,
                  error->message);
    ck_assert_msg(strchr(error->message, '\n') == NULL, "%s", error->message);
    ck_assert(!handled);
}

static const char *entry(GPtrArray *list, guint index, const char *key)
{
    ck_assert_uint_lt(index, list->len);
    return optset_string(list->pdata[index], key);
}

START_TEST (defaults) {
    g_autoptr(MachineConfig) config = good("");

    ck_assert_str_eq(config->kernel, "k");
    ck_assert_uint_eq(config->memory_size, 0); /* what numa.c makes of it */
    ck_assert(config->memory_merge);
    ck_assert_uint_eq(config->vcpus, 1);
    ck_assert_uint_eq(config->sockets * config->cores * config->threads, 1);
    ck_assert(config->probe);
    ck_assert(!config->start_paused && !config->actions.reboot_ends && !config->actions.shutdown_pauses && !config->daemonize);
    ck_assert_ptr_null(config->name);
    ck_assert_uint_eq(config->serials->len + config->monitors->len + config->devices->len +
                          config->chardevs->len + config->objects->len + config->qmps->len,
                      0);
}
END_TEST

START_TEST (probe) {
    g_autoptr(GError) error = NULL;
    gboolean handled;
    g_autoptr(MachineConfig) only = parse("-accel|kvm,probe=only", &handled, &error); /* no kernel is needed */
    g_autoptr(MachineConfig) off = good("-accel|kvm,probe=off");
    g_autoptr(MachineConfig) again = good("-accel|kvm,probe=only|-accel|kvm,probe=on");

    ck_assert(only != NULL && only->probe_only);
    ck_assert(!off->probe && !off->probe_only);
    ck_assert(again->probe && !again->probe_only);
    bad("-accel|kvm,probe=perhaps", "probe");
}
END_TEST

START_TEST (simple_values) {
    g_autoptr(MachineConfig) config =
        good("--initrd|i|-append|console=ttyS0 a,b|-name|guest=t1,debug-threads=on|-uuid|"
             "ABCDEF01-2222-3333-4444-555555555555|-pidfile|p|-daemonize|-S|-no-reboot|-no-shutdown|-D|log|"
             "-accel|kvm,probe=off|-kernel|other");

    ck_assert_str_eq(config->kernel, "other");
    ck_assert_str_eq(config->initrd, "i");
    ck_assert_str_eq(config->append, "console=ttyS0 a,b");
    ck_assert_str_eq(config->name, "t1");
    ck_assert_str_eq(config->uuid, "abcdef01-2222-3333-4444-555555555555");
    ck_assert_str_eq(config->pidfile, "p");
    ck_assert_str_eq(config->log_file, "log");
    ck_assert(config->daemonize && config->start_paused && config->actions.reboot_ends && config->actions.shutdown_pauses);
    ck_assert(!config->probe);
}
END_TEST

START_TEST (memory) {
    static const struct {
        const char *words;
        guint64 size;
    } cases[] = {
        {"-m|512", 512ull << 20},   {"-m|2G", 2ull << 30}, {"-m|size=1.5g", 3ull << 29},
        {"-m|1048577b", 0x101000},  {"-m|1", 1ull << 20},  {"-m|64|-m|32", 32ull << 20},
        {"-m|size=4T", 4ull << 40},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(MachineConfig) config = good(cases[i].words);

        ck_assert_uint_eq(config->memory_size, cases[i].size);
    }
    bad("-m|0", "-m 0: a guest needs at least 1 MiB");
    bad("-m|512k", "at least 1 MiB");
    bad("-m|lots", "must be a size like 512M or 2G, not 'lots'");
    bad("-m|-1", "must be a size");
    bad("-m|512,slots=2", "'slots' needs 'maxmem'");
    bad("-m|512,maxmem=8192T", "no machine has that much memory");
    bad("-m|512,colour=red", "unknown property 'colour'");
    bad("-m|16000000T", "no machine has that much");
    bad("-m", "-m: needs an argument");
}
END_TEST

START_TEST (topology) {
    static const struct {
        const char *words;
        guint cpus, sockets, cores, threads;
    } cases[] = {
        {"-smp|1", 1, 1, 1, 1},
        {"-smp|4", 4, 1, 4, 1},
        {"-smp|cpus=4,sockets=2", 4, 2, 2, 1},
        {"-smp|8,sockets=2,cores=2,threads=2", 8, 2, 2, 2},
        {"-smp|4,cores=2", 4, 2, 2, 1},
        {"-smp|4,threads=2", 4, 1, 2, 2},
        {"-smp|sockets=2,cores=3", 6, 2, 3, 1},
        {"-smp|2,maxcpus=2,sockets=1,dies=1,cores=1,threads=2", 2, 1, 1, 2},
        {"-smp|255", 255, 1, 255, 1},
        {"-smp|1,maxcpus=3,sockets=3,cores=1,threads=1", 1, 3, 1, 1},
        {"-smp|2,maxcpus=8", 2, 1, 8, 1},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(MachineConfig) config = good(cases[i].words);

        ck_assert_msg(config->vcpus == cases[i].cpus && config->sockets == cases[i].sockets &&
                          config->cores == cases[i].cores && config->threads == cases[i].threads,
                      "%s: %u = %u * %u * %u", cases[i].words, config->vcpus, config->sockets, config->cores,
                      config->threads);
    }
    bad("-smp|0", "'cpus' must be a number from 1 to 255, not '0'");
    bad("-smp|256", "from 1 to 255");
    bad("-smp|-1", "from 1 to 255");
    bad("-smp|two", "from 1 to 255");
    bad("-smp|sockets=255,cores=255", "-smp: 65025 vCPUs are more than the 255");
    bad("-smp|4,maxcpus=2", "maxcpus (2) is less than cpus (4)");
    bad("-smp|3,cores=2", "must be the number of vCPUs (3)");
    bad("-smp|2,sockets=2,cores=2", "must be the number of vCPUs (2)");
    bad("-smp|3,sockets=5", "must be the number of vCPUs (3)");
    bad("-smp|4,dies=2", "'dies=2' is not supported");
    bad("-smp|4,books=1", "unknown property 'books'");
}
END_TEST

START_TEST (lists) {
    g_autoptr(MachineConfig) config = good(
        "-object|rng-random,id=r0,filename=/dev/urandom|-object|{\"qom-type\":\"rng-random\",\"id\":\"r1\"}|"
        "-chardev|socket,id=c0,path=/x,,y,server=on,wait=off|-chardev|{\"backend\":\"pty\",\"id\":\"c1\"}|"
        "-device|virtio-rng-pci,rng=r0,id=d0|-device|{\"driver\":\"virtserialport\",\"nr\":1}|"
        "-serial|pty|-serial|none|-mon|chardev=c0,mode=control|-qmp|unix:/q,server,nowait|-qmp|chardev:c1|"
        "-qmp|none|-qmp|stdio");

    ck_assert_uint_eq(config->objects->len, 2);
    ck_assert_str_eq(entry(config->objects, 0, "qom-type"), "rng-random");
    ck_assert_str_eq(entry(config->objects, 1, "id"), "r1");
    ck_assert_uint_eq(config->chardevs->len, 2);
    ck_assert_str_eq(entry(config->chardevs, 0, "path"), "/x,y");
    ck_assert_str_eq(entry(config->chardevs, 1, "backend"), "pty");
    ck_assert_uint_eq(config->devices->len, 2);
    ck_assert_str_eq(entry(config->devices, 1, "nr"), "1");
    ck_assert_str_eq(optset_what(config->devices->pdata[0]), "-device virtio-rng-pci");
    ck_assert_uint_eq(config->serials->len, 2);
    ck_assert_str_eq(config->serials->pdata[0], "pty");
    ck_assert_uint_eq(config->qmps->len, 2);
    ck_assert_str_eq(config->qmps->pdata[0], "unix:/q,server,nowait");
    ck_assert_uint_eq(config->monitors->len, 4);
    ck_assert_str_eq(entry(config->monitors, 0, "chardev"), "c0");
    ck_assert_str_eq(entry(config->monitors, 1, "chardev"), "compat_monitor0");
    ck_assert_str_eq(entry(config->monitors, 2, "chardev"), "c1");
    ck_assert_str_eq(entry(config->monitors, 3, "chardev"), "compat_monitor1");
    ck_assert_str_eq(entry(config->monitors, 3, "mode"), "control");
    bad("-device|virtio-rng-pci,id=1bad", "cannot be an id");
    bad("-device|{\"driver\"", "-device: JSON parse error");
    bad("-device", "-device: needs an argument");
}
END_TEST

START_TEST (nographic) {
    g_autoptr(MachineConfig) plain = good("-nographic");
    g_autoptr(MachineConfig) bare = good("-nographic|-nodefaults|-daemonize");
    g_autoptr(MachineConfig) chosen = good("-nographic|-serial|none");

    ck_assert_uint_eq(plain->serials->len, 1);
    ck_assert_str_eq(plain->serials->pdata[0], "stdio");
    ck_assert_uint_eq(bare->serials->len, 0);
    ck_assert_uint_eq(chosen->serials->len, 1);
    bad("-nographic|-daemonize", "-daemonize: nothing can be on standard input");
    bad("-daemonize|-serial|stdio", "-daemonize");
    bad("-daemonize|-qmp|stdio", "-daemonize");
    bad("-chardev|stdio,id=c|-daemonize", "-daemonize");
}
END_TEST

/* As libvirt writes them: shared recordings of its command lines. */
START_TEST (libvirts_words) {
    g_autoptr(MachineConfig) config = good(
        "-name|guest=t2,debug-threads=on|-S|-machine|pc-i440fx-7.2,usb=off,dump-guest-core=off|-accel|kvm|"
        "-cpu|host,migratable=on|-m|512|-overcommit|mem-lock=off|-smp|2,sockets=2,cores=1,threads=1|-display|"
        "none|-no-user-config|-nodefaults|-chardev|socket,id=charmonitor,fd=29,server=on,wait=off|-mon|"
        "chardev=charmonitor,id=monitor,mode=control|-rtc|base=utc,driftfix=slew|-global|"
        "kvm-pit.lost_tick_policy=delay|-no-hpet|-no-shutdown|-global|PIIX4_PM.disable_s3=1|-global|"
        "PIIX4_PM.disable_s4=1|-boot|strict=on|-audiodev|{\"id\":\"audio1\",\"driver\":\"none\"}|-msg|"
        "timestamp=on|-M|pc,accel=kvm:tcg,vmport=off|-machine|accel=kvm|-enable-kvm|-vga|none|-net|none|"
        "-monitor|none|-parallel|none|-sandbox|off");

    ck_assert_uint_eq(config->vcpus, 2);
    ck_assert(config->actions.shutdown_pauses && config->start_paused);
}
END_TEST

START_TEST (refusals) {
    bad("-hda|disk.img", "-hda: unknown or unsupported option");
    bad("--nonsense", "--nonsense: unknown or unsupported option");
    bad("-", "-: unknown or unsupported option");
    bad("---m|1", "---m: unknown");
    bad("disk.img", "disk.img: unexpected argument");
    bad("|", ": unexpected argument");
    bad("-uuid|123", "-uuid: '123' is not a UUID");
    bad("-name|t1,process=x", "unknown property 'process'");
    bad("-name|t1,debug-threads=maybe", "'debug-threads' must be on or off");
    bad("-accel|tcg", "accelerator 'tcg' is not supported, only kvm");
    bad("-accel|kvm,kernel-irqchip=off", "'kernel-irqchip=off' is not supported");
    bad("-accel|kvm,dirty-ring-size=1", "unknown property");
    bad("-machine|q35", "machine 'q35' is not supported");
    bad("-M|none", "-M: machine 'none' is not supported");
    bad("-machine|pc-i440fx-x", "not supported");
    bad("-machine|pc,accel=tcg", "accelerator 'tcg'");
    bad("-machine|pc,usb=on", "'usb=on' is not supported");
    bad("-cpu|qemu64", "model 'qemu64' is not supported");
    bad("-cpu|host,+vmxx", "unknown property '+vmxx'");
    bad("-display|gtk", "-display gtk is not supported");
    bad("-overcommit|mem-lock=on", "'mem-lock=on' is not supported");
    bad("-rtc|base=localtime", "'base=localtime' is not supported");
    bad("-boot|order=n", "unknown property 'order'");
    bad("-sandbox|on,colour=red", "unknown property 'colour'");
    bad("-global|foo.bar=1", "-global foo.bar=1 is not supported");
    bad("-audiodev|pa,id=a", "'driver=pa' is not supported");
    bad("-monitor|stdio", "-monitor stdio is not supported");
}
END_TEST

START_TEST (no_kernel) {
    g_autoptr(GError) error = NULL;
    gboolean handled;

    ck_assert_ptr_null(parse("", &handled, &error));
    ck_assert_ptr_nonnull(strstr(error->message, "-kernel is missing"));
    ck_assert(!handled);
}
END_TEST

/* What goes to standard output meanwhile. */
static GString *printed;

static void collect(const char *text)
{
    g_string_append(printed, text);
}

START_TEST (help) {
    static const struct {
        const char *words, *output;
    } cases[] = {
        {"-help", "-kernel FILE"},     {"--help", "-no-shutdown"},
        {"-h", "-accel kvm[,probe"},   {"--version", "host-vmm "},
        {"-version", "(virt-suite)"},  {"-device|help", "name \"a-device\", bus PCI, alias \"its-alias\""},
        {"-device|?", "for the test"}, {"-object|help", "an-object"},
    };
    GPrintFunc before;

    printed = g_string_new(NULL);
    before = g_set_print_handler(collect);
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        gboolean handled = FALSE;

        g_string_truncate(printed, 0);
        ck_assert_ptr_null(parse(cases[i].words, &handled, NULL));
        ck_assert(handled);
        ck_assert_msg(strstr(printed->str, cases[i].output) != NULL, "%s: %s", cases[i].words, printed->str);
    }
    g_set_print_handler(before);
    g_string_free(printed, TRUE);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("options");
    TCase *tcase = tcase_create("options");

    tcase_add_test(tcase, defaults);
    tcase_add_test(tcase, simple_values);
    tcase_add_test(tcase, probe);
    tcase_add_test(tcase, memory);
    tcase_add_test(tcase, topology);
    tcase_add_test(tcase, lists);
    tcase_add_test(tcase, nographic);
    tcase_add_test(tcase, libvirts_words);
    tcase_add_test(tcase, refusals);
    tcase_add_test(tcase, no_kernel);
    tcase_add_test(tcase, help);
    suite_add_tcase(suite, tcase);
    return check_run(suite);
}
