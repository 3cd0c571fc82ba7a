// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzzes port and memory accesses to what a pc has beside virtio: PCI configuration, CMOS clock, power
 * management, vCPU hotplug, reset lines, keyboard controller, watchdog, panic devices, generation id, serial
 * ports with a peer that writes back. The input is a script of one access after another; nothing may crash,
 * hang, or raise what was not made.
 *
 * An access is 8 bytes: what, size, and, little-endian, a place (2) and a value (4). The first one's highest
 * bit leaves out the keyboard controller: its command port then is the board's own.
 */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host-vmm/hw/acpi-pm.h"
#include "host-vmm/hw/cpu-hotplug.h"
#include "host-vmm/hw/i8042.h"
#include "host-vmm/hw/pc.h"
#include "host-vmm/hw/pvpanic.h"
#include "tests/device/driver.h"

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size);

#define ACCESS        8
#define VCPUS         8u
#define WATCHDOG_SLOT 4
#define PANIC_SLOT    5
#define NO_KEYBOARD   0x80 /* in the first byte */

/* Where something is; other ports are tried as well. */
static const struct {
    guint16 base, count;
} places[] = {
    {0x70, 2},
    {I8042_COMMAND_PORT, 1},
    {0xcf8, 8},
    {0xcf9, 1},
    {0x600, 8},
    {ACPI_GPE0, ACPI_GPE0_LENGTH},
    {0x3f8, 8},
    {0x2f8, 8},
    {CPU_HOTPLUG_PORT, CPU_HOTPLUG_LENGTH},
    {I8042_DATA_PORT, 1},
    {PVPANIC_PORT, 1},
};

/* What an input plays with. */
typedef struct Board {
    Rig *rig;
    Pc *pc;
    CpuHotplug *hotplug;
    Device *keyboard; /* NULL: left out */
    Device *generation;
    int peer; /* of the second serial port */
} Board;

static void on_request(PcRequest request, gpointer user_data)
{
    g_assert_true(request == PC_RESET || request == PC_POWER_OFF);
}

static void on_eject(guint index, gpointer user_data)
{
    g_assert_cmpuint(index, <, VCPUS);
    cpu_hotplug_set_absent(*(CpuHotplug **)user_data, index);
}

static void on_report(guint index, guint32 source, guint32 status, gpointer user_data)
{
    g_assert_cmpuint(index, <, VCPUS);
}

static GLogWriterOutput drop_log(GLogLevelFlags level, const GLogField *fields, gsize count,
                                 gpointer user_data)
{
    return (level & G_LOG_LEVEL_ERROR) != 0 ? g_log_writer_default(level, fields, count, NULL)
                                            : G_LOG_WRITER_HANDLED;
}

/* Somewhere in one of the functions' memory, wherever the guest has moved that to. */
static guint64 bar_place(Rig *rig, guint32 place)
{
    guint slot = place & 1 ? WATCHDOG_SLOT : PANIC_SLOT;
    return (rig_config_read(rig, slot, 0x10, 4) & ~0xfull) + (place >> 1) % 0x20;
}

static void set_generation(Board *board, guint32 value)
{
    g_autoptr(JsonNode) node = json_node_alloc();
    if (value & 1) {
        g_autofree char *guid = g_strdup_printf("%08x-0000-0000-0000-000000000000", value);
        json_node_init_string(node, guid);
    } else {
        json_node_init_int(node, value);
    }
    const DeviceProperty *property = board->generation->type->properties;
    g_autoptr(GError) error = NULL;
    g_assert_true(property->set(board->generation, node, &error) == (value & 1));
}

/* The host's side. */
static void play_host(Board *board, guint16 place, guint32 value)
{
    switch (place % 6) {
    case 0:
        cpu_hotplug_set_present(board->hotplug, value % VCPUS, (place & 0x100) != 0);
        break;
    case 1:
        pc_press_power_button(board->pc);
        break;
    case 2:
        if (board->keyboard && i8042_key_number(value & 0xff) >= 0) {
            i8042_put_key(board->keyboard, i8042_key_number(value & 0xff), (place & 0x100) != 0);
        }
        break;
    case 3:
        set_generation(board, value);
        break;
    case 4:
        (void)!send(board->peer, &value, sizeof(value), MSG_DONTWAIT | MSG_NOSIGNAL);
        break;
    default: {
        char bytes[64];
        (void)!recv(board->peer, bytes, sizeof(bytes), MSG_DONTWAIT);
        break;
    }
    }
}

static void play(Board *board, const guint8 *access)
{
    static const guint8 sizes[] = {1, 2, 4, 8};
    Rig *rig = board->rig;
    guint what = access[0], size = sizes[access[1] % G_N_ELEMENTS(sizes)];
    guint16 place;
    guint32 value;
    memcpy(&place, access + 2, sizeof(place));
    memcpy(&value, access + 4, sizeof(value));
    guint known = access[1] >> 2;
    guint port = known < G_N_ELEMENTS(places) ? places[known].base + place % places[known].count : place;
    switch (what % 11) {
    case 0:
    case 1:
        io_bus_write(rig->env.ports, port, MIN(size, 4), value);
        break;
    case 2:
        (void)io_bus_read(rig->env.ports, port, MIN(size, 4));
        break;
    case 3: /* memory: BARs, wherever they have been moved to, and around them */
        io_bus_write(rig->env.mmio, PCI_MMIO_BASE + value, size, ((guint64)value << 32) | place);
        break;
    case 4:
        (void)io_bus_read(rig->env.mmio, PCI_MMIO_BASE + value, size);
        break;
    case 5:
        play_host(board, place, value);
        break;
    case 6:
        cpu_hotplug_request_eject(board->hotplug, value % VCPUS);
        break;
    case 7:
        io_bus_write(rig->env.mmio, bar_place(rig, place), size, value);
        break;
    case 8:
        (void)io_bus_read(rig->env.mmio, bar_place(rig, place), size);
        break;
    case 9: /* a place in a function's configuration */
        size = MIN(size, 4);
        if (place & 0x8000) {
            (void)rig_config_read(rig, place >> 8 & 7, place & 0xff & ~(size - 1), size);
        } else {
            rig_config_write(rig, place >> 8 & 7, place & 0xff & ~(size - 1), size, value);
        }
        break;
    default:
        rig_settle();
        break;
    }
}

/* One end of a socket pair is ours, the other a character device. */
static int open_peer(Rig *rig)
{
    int pair[2];
    g_assert_true(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    g_autofree char *options = g_strdup_printf("socket,id=c1,fd=%d", pair[1]);
    rig_chardev(rig, options);
    return pair[0];
}

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size)
{
    static gboolean quiet;
    if (!quiet) {
        g_log_set_writer_func(drop_log, NULL, NULL);
        quiet = TRUE;
    }
    Rig *rig = rig_new();
    Board board = {.rig = rig, .pc = pc_new(&rig->env, on_request, NULL, NULL)};
    guint32 apic_ids[VCPUS];
    for (guint i = 0; i < VCPUS; i++) {
        apic_ids[i] = 2 * i;
    }
    static const CpuHotplugFuncs funcs = {on_eject, on_report};
    board.hotplug = cpu_hotplug_new(rig->env.ports, apic_ids, VCPUS, &funcs, &board.hotplug, NULL);
    g_assert_true(board.pc != NULL && board.hotplug != NULL);
    rig_chardev(rig, "null,id=c0");
    board.peer = open_peer(rig);
    rig_device(rig, "isa-serial,chardev=c0,index=0");
    rig_device(rig, "isa-serial,chardev=c1,index=1");
    rig_device(rig, "virtio-rng-pci");
    rig_device(rig, "i6300esb,addr=" G_STRINGIFY(WATCHDOG_SLOT));
    rig_device(rig, "pvpanic-pci,addr=" G_STRINGIFY(PANIC_SLOT));
    rig_device(rig, "pvpanic");
    board.generation = rig_device(rig, "vmgenid");
    if (size == 0 || !(data[0] & NO_KEYBOARD)) {
        board.keyboard = rig_device(rig, "i8042");
    }
    g_assert_true(pc_complete(board.pc, &rig->env, NULL));
    rig_assign(rig);
    for (gsize at = 0; at + ACCESS <= size && at < 512 * ACCESS; at += ACCESS) {
        play(&board, data + at);
    }
    rig_reset(rig); /* lets go of the lines */
    pc_reset(board.pc);
    cpu_hotplug_free(board.hotplug);
    pc_free(board.pc);
    close(board.peer);
    rig_free(rig);
    return 0;
}
