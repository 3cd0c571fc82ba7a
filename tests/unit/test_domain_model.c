// SPDX-License-Identifier: GPL-2.0-or-later
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "lib/domain-fields.h"
#include "lib/domain-qmp.h"
#include "lib/domain-xml.h"

START_TEST (identity) {
    g_autoptr(Domain) a = domain_new("web", NULL);
    g_autoptr(Domain) b = domain_new("web", NULL);
    g_autoptr(Domain) c = domain_new("db", NULL);
    g_autoptr(Domain) bad = domain_new("a\xff"
                                       "b",
                                       "01234567-89ab-cdef-0123-456789abcdef");

    ck_assert_str_eq(a->uuid, b->uuid);
    ck_assert_str_ne(a->uuid, c->uuid);
    ck_assert(g_uuid_string_is_valid(a->uuid));
    ck_assert_str_eq(bad->uuid, "01234567-89ab-cdef-0123-456789abcdef");
    ck_assert(g_utf8_validate(bad->name, -1, NULL));
    ck_assert_uint_eq(a->cpu_time, DOMAIN_UNKNOWN);
    ck_assert_uint_eq(a->memory.rss, DOMAIN_UNKNOWN);
    ck_assert_str_eq(domain_state_name(DOMAIN_STATE_PAUSED), "paused");
    ck_assert_str_eq(domain_state_name((DomainState)99), "unknown");
}
END_TEST

START_TEST (fields) {
    g_autoptr(Domain) domain = domain_new("x", NULL);
    g_autoptr(Domain) copy = NULL;

    ck_assert(domain_fields_take_number(domain, "state.state", 3));
    ck_assert(domain_fields_take_number(domain, "cpu.time", 5000));
    ck_assert(domain_fields_take_number(domain, "balloon.current", 65536));
    ck_assert(domain_fields_take_number(domain, "balloon.disk_caches", 7));
    ck_assert(domain_fields_take_number(domain, "vcpu.current", 2));
    ck_assert(domain_fields_take_number(domain, "vcpu.1.time", 11));
    ck_assert(domain_fields_take_number(domain, "vcpu.1.state", 1));
    ck_assert(domain_fields_take_number(domain, "vcpu.1.delay", 12));
    ck_assert(domain_fields_take_number(domain, "vcpu.1.exits.sum", 13));
    ck_assert(domain_fields_take_number(domain, "block.count", 1));
    ck_assert(domain_fields_take_text(domain, NULL, "block.0.name", "vda"));
    ck_assert(domain_fields_take_text(domain, NULL, "block.0.path", "/d"));
    ck_assert(domain_fields_take_number(domain, "block.0.rd.reqs", 21));
    ck_assert(domain_fields_take_number(domain, "block.0.fl.times", 22));
    ck_assert(domain_fields_take_number(domain, "net.0.rx.drop", 31));
    /* not used, wild, or broken */
    ck_assert(!domain_fields_take_number(domain, "block.0.threshold", 1));
    ck_assert(!domain_fields_take_number(domain, "block.99999.rd.reqs", 1));
    ck_assert(!domain_fields_take_number(domain, "block.9999999999.rd.reqs", 1));
    ck_assert(!domain_fields_take_number(domain, "net.4000000.rx.bytes", 1));
    ck_assert(!domain_fields_take_number(domain, "vcpu.-1.time", 1));
    ck_assert(!domain_fields_take_number(domain, "vcpu.", 1));
    ck_assert(!domain_fields_take_number(domain, "", 1));
    ck_assert(!domain_fields_take_text(domain, NULL, "net.5000.name", "x"));
    domain_fields_finish(domain);
    ck_assert_int_eq(domain->state, DOMAIN_STATE_PAUSED);
    ck_assert_uint_eq(domain->parts, DOMAIN_HAS_CPU | DOMAIN_HAS_MEMORY | DOMAIN_HAS_VCPUS |
                                         DOMAIN_HAS_BLOCKS | DOMAIN_HAS_NICS);
    ck_assert_uint_eq(domain->n_vcpus, 2);
    ck_assert_uint_eq(domain->vcpu[0].time, DOMAIN_UNKNOWN);
    ck_assert_uint_eq(domain->vcpu[1].time, 11);
    ck_assert_uint_eq(domain->vcpu[1].exits, 13);
    ck_assert_uint_eq(domain->n_blocks, 1);
    ck_assert_str_eq(domain->block[0].name, "vda");
    ck_assert_uint_eq(domain->block[0].wr_reqs, DOMAIN_UNKNOWN);
    ck_assert_str_eq(domain->nic[0].name, "?");
    ck_assert_uint_eq(domain->nic[0].rx_drops, 31);
    domain_fields_take_number(domain, "state.state", 99);
    ck_assert_int_eq(domain->state, DOMAIN_STATE_NONE);
    copy = domain_copy(domain);
    ck_assert_ptr_ne(copy->block, domain->block);
    ck_assert_str_eq(copy->block[0].path, "/d");
}
END_TEST

/* Records that are alike, and one that is not. */
START_TEST (hints) {
    static const char *const records[][3] = {{"cpu.time", "block.0.rd.reqs", "vcpu.0.exits.sum"},
                                             {"cpu.time", "block.0.rd.reqs", "vcpu.0.exits.sum"},
                                             {"block.1.rd.reqs", "cpu.time", "vcpu.0.pf_taken.sum"}};
    DomainFieldsHint *hint = domain_fields_hint_new();
    g_autofree char *wide = g_strnfill(100, 'x');

    for (guint i = 0; i < G_N_ELEMENTS(records); i++) {
        g_autoptr(Domain) domain = domain_new("x", NULL);

        for (guint j = 0; j < 3; j++) {
            ck_assert_int_eq(domain_fields_take_hinted(hint, j, domain, records[i][j], 10 + j),
                             i < 2 || j < 2);
        }
        ck_assert(!domain_fields_take_hinted(hint, 1, domain, wide, 1));
        ck_assert(!domain_fields_take_hinted(hint, G_MAXUINT, domain, "no", 1));
        ck_assert(domain_fields_take_hinted(hint, G_MAXUINT, domain, "cpu.user", 5));
        ck_assert(!domain_fields_take_hinted(hint, 3, domain, "block.5000.rd.reqs", 1));
        ck_assert_uint_eq(domain->cpu_time, i < 2 ? 10 : 11);
        ck_assert_uint_eq(domain->n_blocks, i < 2 ? 1 : 2);
        ck_assert_uint_eq(domain->block[domain->n_blocks - 1].rd_reqs, i < 2 ? 11 : 10);
        ck_assert_uint_eq(domain->cpu_user, 5);
    }
    domain_fields_hint_free(hint);
}
END_TEST

START_TEST (like) {
    g_autoptr(Domain) domain = domain_new("x", NULL);
    g_autoptr(Domain) other = NULL;

    domain->id = 7;
    domain->cpu_time = 5;
    ck_assert(domain_fields_take_text(domain, NULL, "block.0.name", "vda"));
    ck_assert(domain_fields_take_text(domain, NULL, "net.0.name", "tap0"));
    other = domain_new_like(domain);
    ck_assert_str_eq(other->name, "x");
    ck_assert_str_eq(other->uuid, domain->uuid);
    ck_assert_int_eq(other->id, 7);
    ck_assert_uint_eq(other->cpu_time, DOMAIN_UNKNOWN);
    ck_assert_uint_eq(other->memory.current, DOMAIN_UNKNOWN);
    ck_assert(domain_fields_take_text(other, domain, "block.0.name", "vda"));
    ck_assert_ptr_eq(other->block[0].name, domain->block[0].name);
    ck_assert(domain_fields_take_text(other, domain, "block.0.name", "vdb")); /* said twice: the last holds */
    ck_assert_str_eq(other->block[0].name, "vdb");
    ck_assert(domain_fields_take_text(other, domain, "block.1.name", "vdc"));
    ck_assert(domain_fields_take_text(other, domain, "net.0.name", "tap1"));
    ck_assert_str_eq(other->nic[0].name, "tap1");
}
END_TEST

START_TEST (xml_devices) {
    g_autoptr(DomainXml) xml = domain_xml_parse(
        "<domain><name>x</name><devices><disk><source file='/a'><target dev='no'/></source>"
        "<target dev='vda' bus='virtio'/></disk><disk><mirror/></disk><interface><target dev='vnet0'/>"
        "</interface><target dev='outside'/></devices><target dev='outside'/></domain>");
    g_autoptr(DomainXml) cut =
        domain_xml_parse("<domain><devices><disk><target dev='sda'/></disk><disk><targ");
    g_autoptr(DomainXml) none = domain_xml_parse("");

    ck_assert_uint_eq(xml->disks->len, 1);
    ck_assert_str_eq(xml->disks->pdata[0], "vda");
    ck_assert_uint_eq(xml->nics->len, 1);
    ck_assert_str_eq(xml->nics->pdata[0], "vnet0");
    ck_assert_uint_eq(cut->disks->len, 1);
    ck_assert_uint_eq(none->disks->len, 0);
}
END_TEST

static JsonNode *parse(const char *text)
{
    GError *error = NULL;
    JsonNode *node = json_from_string(text, &error);

    ck_assert_msg(node != NULL, "%s: %s", text, error != NULL ? error->message : "empty");
    return node;
}

START_TEST (qmp) {
    g_autoptr(Domain) domain = domain_new("x", NULL);
    g_autoptr(GArray) threads = g_array_new(FALSE, TRUE, sizeof(int));
    g_autoptr(DomainDetail) detail = domain_detail_new();
    g_autoptr(JsonNode) status = parse("{\"status\": \"guest-panicked\", \"running\": false}");
    g_autoptr(JsonNode) cpus =
        parse("[{\"cpu-index\": 2, \"thread-id\": 77}, {\"cpu-index\": 0, \"thread-id\": 70}, 5,"
              "{\"cpu-index\": 99999999, \"thread-id\": 1}, {\"thread-id\": 4}]");
    g_autoptr(JsonNode) stats = parse(
        "{\"last-update\": 1700000000, \"stats\": {\"stat-total-memory\": 1048576, \"stat-free-memory\": -1,"
        "\"stat-available-memory\": \"x\", \"stat-major-faults\": 9}}");
    g_autoptr(JsonNode) blocks = parse(
        "[{\"device\": \"\", \"qdev\": \"/machine/peripheral/disk0/virtio-backend\", \"node-name\": \"n\","
        "\"stats\": {\"rd_operations\": 3, \"rd_bytes\": 4096, \"wr_total_time_ns\": 8}}, {}, 7,"
        "{\"device\": \"ide0\", \"stats\": {}}]");
    g_autoptr(JsonNode) exits =
        parse("[{\"provider\": \"kvm\", \"stats\": [{\"name\": \"exits\", \"value\": 12}, {}]}]");
    g_autoptr(JsonNode) limits =
        parse("[{\"device\": \"\", \"qdev\": \"d\", \"inserted\": {\"bps\": 1000, \"iops_rd\": 5}}, {}]");
    g_autoptr(JsonNode) places =
        parse("[{\"vcpus-count\": 1}, {\"vcpus-count\": 1, \"qom-path\": \"/x\"}, {\"vcpus-count\": -4}]");
    g_autoptr(JsonNode) list =
        parse("[{\"name\": \"b0\", \"type\": \"child<virtio-balloon-pci>\"}, {\"name\": 4}]");
    g_autoptr(JsonNode) wrong = parse("[[], \"text\", null]");
    g_autofree char *balloon = domain_qmp_find_device(list, "virtio-balloon-pci");
    g_autofree char *none = domain_qmp_find_device(wrong, "virtio-balloon-pci");

    domain_qmp_take_status(domain, status);
    ck_assert_int_eq(domain->state, DOMAIN_STATE_CRASHED);
    domain_qmp_take_cpus(domain, cpus, threads);
    ck_assert_uint_eq(domain->vcpus, 2);
    ck_assert_uint_eq(domain->n_vcpus, 3);
    ck_assert_int_eq(g_array_index(threads, int, 2), 77);
    ck_assert_int_eq(g_array_index(threads, int, 1), 0);
    domain_qmp_take_guest_stats(domain, stats);
    ck_assert_uint_eq(domain->memory.available, 1024);
    ck_assert_uint_eq(domain->memory.unused, DOMAIN_UNKNOWN);
    ck_assert_uint_eq(domain->memory.usable, DOMAIN_UNKNOWN);
    ck_assert_uint_eq(domain->memory.major_faults, 9);
    domain_qmp_take_blockstats(domain, blocks);
    ck_assert_uint_eq(domain->n_blocks, 2);
    ck_assert_str_eq(domain->block[0].name, "disk0");
    ck_assert_uint_eq(domain->block[0].rd_bytes, 4096);
    ck_assert_uint_eq(domain->block[0].wr_bytes, DOMAIN_UNKNOWN);
    ck_assert_str_eq(domain->block[1].name, "ide0");
    domain_qmp_take_vcpu_stats(domain, exits);
    ck_assert_uint_eq(domain->vcpu[0].exits, 12);
    domain_qmp_take_limits(detail, limits);
    ck_assert_uint_eq(detail->limits->len, 1);
    ck_assert_uint_eq(g_array_index(detail->limits, DomainLimits, 0).total_bytes, 1000);
    ck_assert_uint_eq(domain_qmp_count_possible(places), 2);
    g_autoptr(JsonNode) taken =
        json_from_string("[{\"qom-path\": \"/machine/peripheral/vcpu1\", \"vcpus-count\": 1},"
                         " {\"vcpus-count\": 1}, 7,"
                         " {\"qom-path\": \"/machine/unattached/device[0]\"}]",
                         NULL);
    ck_assert_uint_eq(domain_qmp_count_fixed(taken), 1);
    ck_assert_uint_eq(domain_qmp_count_fixed(wrong), 0);
    ck_assert_str_eq(balloon, "/machine/peripheral/b0");
    ck_assert_ptr_null(none);
    /* wrong shapes change nothing and harm nothing */
    domain_qmp_take_status(domain, wrong);
    domain_qmp_take_balloon(domain, wrong);
    domain_qmp_take_guest_stats(domain, wrong);
    domain_qmp_take_blockstats(domain, wrong);
    domain_qmp_take_vcpu_stats(domain, wrong);
    domain_qmp_take_limits(detail, wrong);
    ck_assert_int_eq(domain->state, DOMAIN_STATE_NONE);
    ck_assert_uint_eq(domain->n_blocks, 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("domain_model");
    TCase *tcase = tcase_create("model");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(tcase, identity);
    tcase_add_test(tcase, fields);
    tcase_add_test(tcase, hints);
    tcase_add_test(tcase, like);
    tcase_add_test(tcase, xml_devices);
    tcase_add_test(tcase, qmp);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
