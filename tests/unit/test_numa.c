// SPDX-License-Identifier: GPL-2.0-or-later
/* -object memory-backend-*, -numa, -machine memory-backend=, and the SRAT and SLIT that come of them. */
#include <check.h>
#include <glib/gstdio.h>
#include <string.h>

#include "host-vmm/boot/acpi-numa.h"
#include "tests/check-run.h"

#define MIB (1ull << 20)
#define GIB (1ull << 30)

static const CpuTopology topology = {.sockets = 2, .cores = 2, .threads = 1};

typedef struct Fixture {
    ObjectSet *objects;
    GPtrArray *options;
    NumaConfig config;
    GuestMemory *memory;
    Numa *numa;
    GError *error;
} Fixture;

static void free_options(gpointer options)
{
    optset_free(options);
}

static void end(Fixture *fixture)
{
    numa_free(fixture->numa);
    guest_memory_free(fixture->memory);
    object_set_free(fixture->objects);
    g_ptr_array_unref(fixture->options);
    g_clear_error(&fixture->error);
}

/* objects, numa: a list with spaces between. */
static Fixture make(const char *objects, const char *numa, guint64 size, const char *backend)
{
    Fixture fixture = {.objects = object_set_new(), .options = g_ptr_array_new_with_free_func(free_options)};
    g_auto(GStrv) object_words = g_strsplit(objects, " ", -1), numa_words = g_strsplit(numa, " ", -1);
    for (guint i = 0; object_words[i] && *object_words[i]; i++) {
        g_autoptr(OptSet) options = optset_parse("-object", object_words[i], "qom-type", &fixture.error);
        ck_assert_ptr_nonnull(options);
        if (!object_set_add(fixture.objects, options, &fixture.error)) {
            return fixture;
        }
    }
    for (guint i = 0; numa_words[i] && *numa_words[i]; i++) {
        g_ptr_array_add(fixture.options, optset_parse("-numa", numa_words[i], "type", NULL));
    }
    NumaConfig config = {.options = fixture.options,
                         .memory_size = size,
                         .backend = backend,
                         .topology = &topology,
                         .objects = fixture.objects};
    fixture.numa = numa_new(&config, &fixture.memory, &fixture.error);
    ck_assert((fixture.numa == NULL) == (fixture.error != NULL));
    return fixture;
}

static void refused(const char *objects, const char *numa, guint64 size, const char *backend,
                    const char *message)
{
    Fixture fixture = make(objects, numa, size, backend);
    ck_assert_msg(fixture.error != NULL, "accepted: %s %s", objects, numa);
    ck_assert_msg(strstr(fixture.error->message, message) != NULL, "'%s' is not in '%s'", message,
                  fixture.error->message);
    end(&fixture);
}

START_TEST (without_options_there_is_just_memory) {
    Fixture fixture = make("", "", 0, NULL);
    ck_assert_msg(fixture.numa != NULL, "%s", fixture.error->message);
    ck_assert_uint_eq(fixture.numa->count, 0);
    ck_assert_uint_eq(guest_memory_size(fixture.memory), 128 * MIB);
    end(&fixture);
}
END_TEST

START_TEST (a_backend_is_the_machines_memory) {
    Fixture fixture = make("memory-backend-memfd,id=a,size=16M", "", 0, "a");
    ck_assert_msg(fixture.numa != NULL, "%s", fixture.error->message);
    ck_assert_uint_eq(guest_memory_size(fixture.memory), 16 * MIB);
    JsonObject *info =
        memory_backend_describe(memory_backend_from_object(object_set_find(fixture.objects, "a")));
    ck_assert_str_eq(json_object_get_string_member(info, "id"), "a");
    ck_assert_int_eq(json_object_get_int_member(info, "size"), 16 * MIB);
    ck_assert(json_object_get_boolean_member(info, "share"));
    ck_assert_str_eq(json_object_get_string_member(info, "policy"), "default");
    json_object_unref(info);
    end(&fixture);
}
END_TEST

START_TEST (nodes_share_memory_and_vcpus_out) {
    Fixture fixture = make(
        "memory-backend-ram,id=a,size=8M memory-backend-memfd,id=b,size=24M,prealloc=on,prealloc-threads=3",
        "node,memdev=a,cpus=0-1,cpus=3 node,nodeid=1,memdev=b,cpus=2 dist,src=0,dst=1,val=17", 32 * MIB,
        NULL);
    ck_assert_msg(fixture.numa != NULL, "%s", fixture.error->message);
    const Numa *numa = fixture.numa;
    ck_assert_uint_eq(numa->count, 2);
    ck_assert_uint_eq(numa->nodes[0].size, 8 * MIB);
    ck_assert_uint_eq(numa->nodes[1].size, 24 * MIB);
    static const guint expected[] = {0, 0, 1, 0};
    ck_assert_mem_eq(numa->node_of_vcpu, expected, sizeof(expected));
    ck_assert_uint_eq(numa->nodes[0].distance[0], 10);
    ck_assert_uint_eq(numa->nodes[0].distance[1], 17);
    ck_assert_uint_eq(numa->nodes[1].distance[0], 17); /* the way back is as long */

    /* RAM is one piece: what crosses from one node into the other can be written, and given back. */
    guint8 *place = guest_memory_range(fixture.memory, 8 * MIB - 4096, 8192);
    ck_assert_ptr_nonnull(place);
    memset(place, 0x5a, 8192);
    ck_assert_uint_eq(guest_memory_discard(fixture.memory, place, 8192), 8192);
    for (guint i = 0; i < 8192; i++) {
        ck_assert_uint_eq(place[i], 0);
    }
    end(&fixture);
}
END_TEST

START_TEST (sockets_go_to_nodes_in_turn) {
    Fixture fixture = make("", "node,mem=8 node,mem=8", 0, NULL);
    ck_assert_msg(fixture.numa != NULL, "%s", fixture.error->message);
    static const guint expected[] = {0, 0, 1, 1};
    ck_assert_mem_eq(fixture.numa->node_of_vcpu, expected, sizeof(expected));
    ck_assert_uint_eq(guest_memory_size(fixture.memory), 16 * MIB);
    end(&fixture);

    fixture =
        make("", "node,mem=16 node cpu,node-id=1,socket-id=0 cpu,node-id=0,socket-id=1,core-id=1", 0, NULL);
    ck_assert_msg(fixture.numa != NULL, "%s", fixture.error->message);
    static const guint by_place[] = {1, 1, 0, 0};
    ck_assert_mem_eq(fixture.numa->node_of_vcpu, by_place, sizeof(by_place));
    ck_assert_uint_eq(fixture.numa->nodes[1].size, 0);
    end(&fixture);
}
END_TEST

START_TEST (files_are_memory) {
    g_autofree char *folder = g_dir_make_tmp("test-numa-XXXXXX", NULL);
    g_autofree char *file = g_build_filename(folder, "ram", NULL);
    g_autofree char *object = g_strdup_printf("memory-backend-file,id=a,size=8M,share=on,mem-path=%s", file);
    Fixture fixture = make(object, "", 0, "a");
    ck_assert_msg(fixture.numa != NULL, "%s", fixture.error->message);
    ck_assert(guest_memory_write(fixture.memory, 8 * MIB - 5, "guest", 5));
    end(&fixture);
    g_autofree char *text = NULL;
    gsize length;
    ck_assert(g_file_get_contents(file, &text, &length, NULL));
    ck_assert_uint_eq(length, 8 * MIB);
    ck_assert_mem_eq(text + length - 5, "guest", 5);

    g_autofree char *too_big = g_strdup_printf("memory-backend-file,id=a,size=16M,mem-path=%s", file);
    refused(too_big, "", 0, "a", "is smaller");
    ck_assert_int_eq(g_unlink(file), 0);
    g_autofree char *nameless = g_strdup_printf("memory-backend-file,id=a,size=8M,mem-path=%s", folder);
    fixture = make(nameless, "", 0, "a");
    ck_assert_msg(fixture.numa != NULL, "%s", fixture.error->message);
    end(&fixture);
    ck_assert_int_eq(g_rmdir(folder), 0); /* nothing is left in it */
}
END_TEST

START_TEST (nonsense_is_refused) {
    static const struct {
        const char *objects, *numa, *backend, *message;
    } cases[] = {
        {"memory-backend-ram,id=a", "", "a", "'size' is missing"},
        {"memory-backend-ram,id=a,size=0", "", "a", "must not be 0"},
        {"memory-backend-ram,id=a,size=5000", "", "a", "multiple of its pages"},
        {"memory-backend-ram,id=a,size=8M,policy=bind", "", "a", "needs 'host-nodes'"},
        {"memory-backend-ram,id=a,size=8M,host-nodes=0", "", "a", "needs a 'policy'"},
        {"memory-backend-ram,id=a,size=8M,host-nodes=3-1,policy=bind", "", "a", "not a node or a range"},
        {"memory-backend-ram,id=a,size=8M,host-nodes=0,policy=best", "", "a", "none of default"},
        {"memory-backend-ram,id=a,size=32M,host-nodes=127,policy=bind", "", "a", "bind to its host nodes"},
        {"memory-backend-ram,id=a,size=8M,prealloc=on,reserve=off", "", "a", "contradict"},
        {"memory-backend-memfd,id=a,size=8M,hugetlbsize=2M", "", "a", "needs 'hugetlb=on'"},
        {"memory-backend-memfd,id=a,size=8M,hugetlb=on,hugetlbsize=3M", "", "a", "no huge pages of 3072 KiB"},
        {"memory-backend-file,id=a,size=8M", "", "a", "'mem-path' is missing"},
        {"memory-backend-file,id=a,size=8M,mem-path=/dev/null", "", "a", "neither a file nor a folder"},
        {"memory-backend-ram,id=a,size=8M", "", "a", "the guest (-m) 32"},
        {"", "", "a", "no memory backend 'a'"},
        {"rng-builtin,id=a", "", "a", "no memory backend 'a'"},
        {"memory-backend-ram,id=a,size=32M", "node,memdev=a", "a", "with -numa each node has its own"},
        {"memory-backend-ram,id=a,size=16M", "node,memdev=a node,memdev=a", NULL, "in use already"},
        {"", "node,mem=16", NULL, "the nodes' memory (16 MiB"},
        {"", "node", NULL, "the nodes' memory (0 MiB"},
        {"", "node,mem=32,cpus=4", NULL, "'cpus=4' is not a vCPU"},
        {"", "node,mem=32,cpus=2-1", NULL, "'cpus=2-1' is not a vCPU"},
        {"", "node,mem=32,nodeid=1", NULL, "node 0 is missing"},
        {"", "node,mem=16,nodeid=0 node,mem=16,nodeid=0", NULL, "there already"},
        {"", "node,mem=16,cpus=0 node,mem=16,cpus=0", NULL, "vCPU 0 is given to node 0 and to node 1"},
        {"", "node,mem=32 dist,src=0,dst=0,val=20", NULL, "from itself"},
        {"", "node,mem=16 node,mem=16 dist,src=0,dst=1,val=10", NULL, "from itself"},
        {"", "node,mem=32 dist,src=0,dst=1,val=20", NULL, "'dst'"},
        {"", "dist,src=0,dst=1,val=20", NULL, "there is no -numa node"},
        {"", "node,mem=32 hmat-lb", NULL, "only node, dist and cpu"},
        {"", "node,mem=32 cpu,node-id=0,socket-id=2", NULL, "'socket-id'"},
        {"", "node,mem=32,bogus=1", NULL, "bogus"},
    };
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        refused(cases[i].objects, cases[i].numa, 32 * MIB, cases[i].backend, cases[i].message);
    }
}
END_TEST

static guint64 get(const guint8 *data, guint bytes)
{
    guint64 value = 0;
    memcpy(&value, data, bytes);
    return value;
}

START_TEST (tables_say_it_to_the_guest) {
    NumaNode nodes[2] = {{.size = 2 * GIB, .distance = {10, 21}}, {.size = 4 * GIB, .distance = {22, 10}}};
    guint node_of_vcpu[] = {0, 1, 1, 0};
    Numa numa = {2, nodes, node_of_vcpu};
    g_autoptr(GByteArray) srat = g_byte_array_new();
    acpi_append_srat(srat, &numa, &topology);
    /* After 12 bytes: four vCPUs, then memory: node 1 lies on both sides of the hole. */
    const guint8 *at = srat->data + 12;
    for (guint i = 0; i < 4; i++, at += 16) {
        ck_assert_uint_eq(get(at, 2), 0x1000);
        ck_assert_uint_eq(at[2], node_of_vcpu[i]);
        ck_assert_uint_eq(at[3], i);
        ck_assert_uint_eq(get(at + 4, 4), 1);
    }
    static const struct {
        guint node;
        guint64 base, size;
    } memory[] = {{0, 0, 2 * GIB}, {1, 2 * GIB, GIB}, {1, 4 * GIB, 3 * GIB}};
    for (guint i = 0; i < G_N_ELEMENTS(memory); i++, at += 40) {
        ck_assert_uint_eq(get(at, 2), 0x2801);
        ck_assert_uint_eq(get(at + 2, 4), memory[i].node);
        ck_assert_uint_eq(get(at + 8, 8), memory[i].base);
        ck_assert_uint_eq(get(at + 16, 8), memory[i].size);
        ck_assert_uint_eq(get(at + 28, 4), 1);
    }
    ck_assert_ptr_eq(at, srat->data + srat->len);

    g_autoptr(GByteArray) slit = g_byte_array_new();
    acpi_append_slit(slit, &numa);
    static const guint8 distances[] = {2, 0, 0, 0, 0, 0, 0, 0, 10, 21, 22, 10};
    ck_assert_uint_eq(slit->len, sizeof(distances));
    ck_assert_mem_eq(slit->data, distances, sizeof(distances));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("numa");
    TCase *tcase = tcase_create("numa");
    tcase_add_test(tcase, without_options_there_is_just_memory);
    tcase_add_test(tcase, a_backend_is_the_machines_memory);
    tcase_add_test(tcase, nodes_share_memory_and_vcpus_out);
    tcase_add_test(tcase, sockets_go_to_nodes_in_turn);
    tcase_add_test(tcase, files_are_memory);
    tcase_add_test(tcase, nonsense_is_refused);
    tcase_add_test(tcase, tables_say_it_to_the_guest);
    suite_add_tcase(suite, tcase);
    return check_run(suite);
}
