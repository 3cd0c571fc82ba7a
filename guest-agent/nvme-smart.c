// SPDX-License-Identifier: GPL-2.0-or-later
#include "guest-agent/nvme-smart.h"
#include "guest-agent/rights.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/nvme_ioctl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define GET_LOG_PAGE   0x02
#define LOG_SMART      0x02
#define RETAIN_EVENT   (1u << 15)
#define ALL_NAMESPACES 0xffffffffu
#define TIMEOUT_MS     5000

/* What has one byte, and the temperature's two (Kelvin). */
static const struct {
    const char *name;
    gsize offset, size;
} SMALL_FIELDS[] = {
    {"critical-warning", 0, 1},          {"temperature", 1, 2},     {"available-spare", 3, 1},
    {"available-spare-threshold", 4, 1}, {"percentage-used", 5, 1},
};

/* Counters of 16 bytes each, from byte 32 on. */
static const char *const COUNTERS[] = {
    "data-units-read",      "data-units-written",
    "host-read-commands",   "host-write-commands",
    "controller-busy-time", "power-cycles",
    "power-on-hours",       "unsafe-shutdowns",
    "media-errors",         "number-of-error-log-entries",
};
#define COUNTERS_OFFSET 32

static guint64 read_le(const guint8 *bytes, gsize size)
{
    guint64 value = 0;
    for (gsize i = size; i--;)
        value = value << 8 | bytes[i];
    return value;
}

static void set_half(JsonObject *smart, const char *counter, const char *half, const guint8 *bytes)
{
    g_autofree char *name = g_strconcat(counter, half, NULL);
    json_object_set_int_member(smart, name, (gint64)MIN(read_le(bytes, 8), (guint64)G_MAXINT64));
}

JsonObject *nvme_smart_to_json(const guint8 page[NVME_SMART_BYTES])
{
    JsonObject *smart = json_object_new();
    json_object_set_string_member(smart, "type", "nvme");
    for (gsize i = 0; i < G_N_ELEMENTS(SMALL_FIELDS); i++)
        json_object_set_int_member(smart, SMALL_FIELDS[i].name,
                                   (gint64)read_le(page + SMALL_FIELDS[i].offset, SMALL_FIELDS[i].size));
    for (gsize i = 0; i < G_N_ELEMENTS(COUNTERS); i++) {
        set_half(smart, COUNTERS[i], "-lo", page + COUNTERS_OFFSET + 16 * i);
        set_half(smart, COUNTERS[i], "-hi", page + COUNTERS_OFFSET + 16 * i + 8);
    }
    return smart;
}

JsonObject *nvme_smart_read(const char *node)
{
    guint8 page[NVME_SMART_BYTES] = {0};
    struct nvme_admin_cmd command = {
        .opcode = GET_LOG_PAGE,
        .nsid = ALL_NAMESPACES,
        .addr = (guintptr)page,
        .data_len = sizeof page,
        .cdw10 = LOG_SMART | RETAIN_EVENT | (sizeof page / 4 - 1) << 16,
        .timeout_ms = TIMEOUT_MS,
    };
    int fd = open(node, O_RDONLY | O_CLOEXEC);
    int result = fd < 0 ? -1 : ioctl(fd, NVME_IOCTL_ADMIN_CMD, &command);
    int errnum = errno;
    if (fd >= 0)
        close(fd);
    if (result == 0)
        return nvme_smart_to_json(page);
    g_autofree char *why = rights_explain(errnum, CAP_SYS_ADMIN);
    g_warning("%s does not tell its health: %s", node, result > 0 ? "the drive refuses" : why);
    return NULL;
}
