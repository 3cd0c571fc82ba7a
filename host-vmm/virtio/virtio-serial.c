// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/virtio/virtio-serial-private.h"

#include <string.h>

#define PCI_CLASS          0x078000 /* other communication controller */
#define PORT_QUEUE_SIZE    128
#define CONTROL_QUEUE_SIZE 32
#define DEFAULT_MAX_PORTS  31
#define MAX_MAX_PORTS      (VIRTIO_MAX_QUEUES / 2 - 1)
#define CONFIG_MAX_PORTS   4 /* le16 cols, le16 rows, le32 max_nr_ports */
#define CONFIG_SIZE        8

/* Control messages, or chains for a port that is not there, handled before others get their turn. */
#define MAX_BATCH 64

typedef struct ControlMessage {
    guint32 port;
    guint16 event;
    guint16 value;
} ControlMessage;
G_STATIC_ASSERT(sizeof(ControlMessage) == 8);

static gboolean is_multiport(const VirtioSerial *serial)
{
    return (serial->virtio.driver_features & 1ull << VIRTIO_CONSOLE_F_MULTIPORT) != 0;
}

/* ---- control messages to the driver ---- */

/* FALSE if there is no buffer for it now; kicks are then wanted. */
static gboolean send_message(VirtioSerial *serial, guint port, guint16 event, guint16 value, const char *text)
{
    VirtQueue *ring = &serial->virtio.queues[VIRTIO_SERIAL_CONTROL_IN].ring;
    VirtQueueElement *element = virtio_device_pop(&serial->virtio, VIRTIO_SERIAL_CONTROL_IN);
    if (element == NULL && virtqueue_want_kicks(ring))
        element = virtio_device_pop(&serial->virtio, VIRTIO_SERIAL_CONTROL_IN);
    if (element == NULL)
        return FALSE;
    ControlMessage message = {.port = port, .event = event, .value = value};
    gsize length = virtqueue_element_write(element, 0, &message, sizeof message);
    /* With the closing NUL, as QEMU sends it. */
    if (text != NULL)
        length += virtqueue_element_write(element, length, text, strlen(text) + 1);
    virtqueue_push(ring, element, (guint32)length);
    return TRUE;
}

static gboolean tell_port(VirtioSerial *serial, guint number)
{
    VirtioSerialPort *port = serial->ports[number];
    if (serial->tell_remove[number]) {
        if (!send_message(serial, number, VIRTIO_CONSOLE_PORT_REMOVE, 1, NULL))
            return FALSE;
        serial->tell_remove[number] = FALSE;
    }
    while (port != NULL && port->tell != 0) {
        PortMessage next = port->tell & -port->tell;
        gboolean sent = FALSE;
        switch (next) {
        case TELL_ADD:
            sent = send_message(serial, number, VIRTIO_CONSOLE_PORT_ADD, 1, NULL);
            break;
        case TELL_CONSOLE:
            sent = send_message(serial, number, VIRTIO_CONSOLE_CONSOLE_PORT, 1, NULL);
            break;
        case TELL_NAME:
            sent = send_message(serial, number, VIRTIO_CONSOLE_PORT_NAME, 1, port->name);
            break;
        case TELL_OPEN:
            sent = send_message(serial, number, VIRTIO_CONSOLE_PORT_OPEN, port->host_open, NULL);
            break;
        }
        if (!sent)
            return FALSE;
        port->tell &= ~(guint)next;
    }
    return TRUE;
}

void virtio_serial_flush_control(VirtioSerial *serial)
{
    if (!serial->virtio.running || !serial->driver_ready)
        return;
    guint number = 0;
    while (number < serial->max_ports && tell_port(serial, number))
        number++;
    if (number == serial->max_ports)
        virtqueue_stop_kicks(&serial->virtio.queues[VIRTIO_SERIAL_CONTROL_IN].ring);
    virtio_device_notify(&serial->virtio, VIRTIO_SERIAL_CONTROL_IN);
}

/* ---- control messages from the driver ---- */

static void handle_message(VirtioSerial *serial, const ControlMessage *message)
{
    if (message->event == VIRTIO_CONSOLE_DEVICE_READY) {
        if (message->value == 0) {
            g_message("%s: the guest's driver could not set itself up", serial->virtio.name);
            return;
        }
        serial->driver_ready = TRUE;
        for (guint i = 0; i < serial->max_ports; i++) {
            if (serial->ports[i] != NULL) {
                serial->ports[i]->announced = TRUE;
                serial->ports[i]->tell = TELL_ADD;
            }
        }
        return;
    }
    VirtioSerialPort *port = message->port < serial->max_ports ? serial->ports[message->port] : NULL;
    if (port == NULL)
        return;
    if (message->event == VIRTIO_CONSOLE_PORT_READY && message->value != 0) {
        if (port->is_console)
            port->tell |= TELL_CONSOLE;
        if (port->name != NULL)
            port->tell |= TELL_NAME;
        if (port->host_open)
            port->tell |= TELL_OPEN;
    } else if (message->event == VIRTIO_CONSOLE_PORT_OPEN) {
        virtio_serial_port_set_guest_open(port, message->value != 0);
    }
}

static void handle_control(VirtioSerial *serial)
{
    VirtQueue *ring = &serial->virtio.queues[VIRTIO_SERIAL_CONTROL_OUT].ring;
    guint handled = 0;
    VirtQueueElement *element;
    while (handled < MAX_BATCH &&
           (element = virtio_device_pop(&serial->virtio, VIRTIO_SERIAL_CONTROL_OUT)) != NULL) {
        ControlMessage message;
        gsize length = virtqueue_element_read(element, 0, &message, sizeof message);
        virtqueue_push(ring, element, 0);
        if (length == sizeof message && is_multiport(serial))
            handle_message(serial, &message);
        handled++;
    }
    virtio_device_notify(&serial->virtio, VIRTIO_SERIAL_CONTROL_OUT);
    if (handled == MAX_BATCH)
        virtio_device_kick(&serial->virtio, VIRTIO_SERIAL_CONTROL_OUT);
    virtio_serial_flush_control(serial);
}

/* ---- the device ---- */

/* A driver may write to a port that has been removed under its hands. */
static void discard_queue(VirtioDevice *device, guint index)
{
    guint dropped = 0;
    VirtQueueElement *element;
    while (dropped < MAX_BATCH && (element = virtio_device_pop(device, index)) != NULL) {
        virtqueue_push(&device->queues[index].ring, element, 0);
        dropped++;
    }
    virtio_device_notify(device, index);
    if (dropped == MAX_BATCH)
        virtio_device_kick(device, index);
}

static void handle_queue(VirtioDevice *device, guint index)
{
    VirtioSerial *serial = (VirtioSerial *)device;
    if (index == VIRTIO_SERIAL_CONTROL_IN) {
        virtio_serial_flush_control(serial);
        return;
    }
    if (index == VIRTIO_SERIAL_CONTROL_OUT) {
        handle_control(serial);
        return;
    }
    VirtioSerialPort *port = serial->ports[index < VIRTIO_SERIAL_CONTROL_IN ? 0 : index / 2 - 1];
    gboolean is_out = index % 2 == 1;
    if (port != NULL && is_out)
        virtio_serial_port_output(port);
    else if (port != NULL)
        virtio_serial_port_input(port);
    else if (is_out)
        discard_queue(device, index);
}

static void start(VirtioDevice *device)
{
    VirtioSerial *serial = (VirtioSerial *)device;
    /* Without MULTIPORT there is only port 0, and nobody to say that it is open. */
    if (!is_multiport(serial) && serial->ports[0] != NULL)
        virtio_serial_port_set_guest_open(serial->ports[0], TRUE);
}

static void reset(VirtioDevice *device)
{
    VirtioSerial *serial = (VirtioSerial *)device;
    serial->driver_ready = FALSE;
    for (guint i = 0; i < serial->max_ports; i++) {
        serial->tell_remove[i] = FALSE;
        if (serial->ports[i] != NULL)
            virtio_serial_port_forget(serial->ports[i]);
    }
}

static const VirtioOps ops = {.start = start, .reset = reset, .handle_queue = handle_queue};

static void main_thread_work(gpointer user_data)
{
    VirtioSerial *serial = user_data;
    for (guint i = 0; i < serial->max_ports; i++) {
        if (serial->ports[i] != NULL)
            virtio_serial_port_report(serial->ports[i]);
    }
}

static void machine_reset(Device *device)
{
    VirtioSerial *serial = (VirtioSerial *)device;
    virtio_pci_reset(serial->pci);
}

static void destroy(Device *device)
{
    VirtioSerial *serial = (VirtioSerial *)device;
    notifier_free(serial->notifier);
    for (guint i = 0; i < serial->max_ports; i++) {
        if (serial->ports[i] != NULL)
            virtio_serial_port_orphan(serial->ports[i]);
    }
    virtio_pci_free(serial->pci);
    virtio_device_clear(&serial->virtio);
    g_free(serial->ports);
    g_free(serial->tell_remove);
    g_free(serial->bus_name);
    g_free(serial);
}

static Device *create(DeviceEnv *env, OptSet *options, GError **error)
{
    guint64 max_ports = DEFAULT_MAX_PORTS;
    const char *id = optset_string(options, "id");
    if (!optset_uint(options, "max_ports", 1, MAX_MAX_PORTS, &max_ports, error))
        return NULL;

    VirtioSerial *serial = g_new0(VirtioSerial, 1);
    serial->max_ports = (guint)max_ports;
    serial->bus_name = g_strdup_printf("%s.0", id != NULL ? id : "virtio-serial-bus");
    serial->ports = g_new0(VirtioSerialPort *, max_ports);
    serial->tell_remove = g_new0(gboolean, max_ports);
    serial->notifier = notifier_new(main_thread_work, serial);

    guint queue_count = 2 * (guint)max_ports + 2;
    g_autofree guint16 *sizes = g_new(guint16, queue_count);
    for (guint i = 0; i < queue_count; i++)
        sizes[i] = i == VIRTIO_SERIAL_CONTROL_IN || i == VIRTIO_SERIAL_CONTROL_OUT ? CONTROL_QUEUE_SIZE
                                                                                   : PORT_QUEUE_SIZE;
    guint64 features = max_ports > 1 ? 1ull << VIRTIO_CONSOLE_F_MULTIPORT : 0;
    virtio_device_init(&serial->virtio, env, "virtio-serial-pci", &ops, features, sizes, queue_count,
                       CONFIG_SIZE);
    guint32 max_nr_ports = (guint32)max_ports;
    memcpy(serial->virtio.config + CONFIG_MAX_PORTS, &max_nr_ports, sizeof max_nr_ports);
    serial->virtio.device.reset = machine_reset;
    serial->virtio.device.destroy = destroy;
    if (virtio_device_serve(&serial->virtio, VIRTIO_SERIAL_CONTROL_IN, error) &&
        virtio_device_serve(&serial->virtio, VIRTIO_SERIAL_CONTROL_OUT, error))
        serial->pci = virtio_pci_new(&serial->virtio, VIRTIO_SERIAL_ID, PCI_CLASS, options, error);
    if (serial->pci == NULL) {
        destroy(&serial->virtio.device);
        return NULL;
    }
    return &serial->virtio.device;
}

VirtioSerial *virtio_serial_find(DeviceEnv *env, const char *bus, gboolean is_console, GError **error)
{
    gboolean any = FALSE;
    for (guint i = 0; i < env->devices->len; i++) {
        Device *device = env->devices->pdata[i];
        if (device->type != &virtio_serial_pci_type)
            continue;
        VirtioSerial *serial = (VirtioSerial *)device;
        any = TRUE;
        if (bus != NULL ? strcmp(serial->bus_name, bus) == 0
                        : virtio_serial_free_number(serial, is_console) >= 0)
            return serial;
    }
    if (bus != NULL)
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "there is no virtio-serial bus '%s'", bus);
    else if (any)
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NO_SPACE, "no virtio-serial bus has a free port");
    else
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND,
                    "there is no virtio-serial bus: put -device virtio-serial-pci before it");
    return NULL;
}

const DeviceType virtio_serial_pci_type = {
    .name = "virtio-serial-pci",
    .alias = "virtio-serial",
    .bus = "PCI",
    .description = "bus ID.0 of serial ports [max_ports=N]",
    .create = create,
};
