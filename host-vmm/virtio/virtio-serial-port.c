// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/virtio/virtio-serial-private.h"

#include <string.h>

/* Copied out of guest RAM at a time: what Linux writes at once. */
#define OUT_CHUNK 32768u
/* Output handled before others get their turn. */
#define OUT_MAX_CHAINS 256
#define OUT_MAX_BYTES  (1u << 20)
/* Room for input that is taken from the ring in advance. */
#define IN_TARGET 65536u

static VirtQueue *ring_of(VirtioSerialPort *port, guint index)
{
    return &port->serial->virtio.queues[index].ring;
}

/* ---- guest to host ---- */

/* Writes some of port->out. FALSE: no more for now. The lock is open meanwhile. */
static gboolean write_some(VirtioSerialPort *port)
{
    VirtioDevice *device = &port->serial->virtio;
    guint8 bytes[OUT_CHUNK];
    gsize length = virtqueue_element_read(port->out, port->out_offset, bytes, sizeof bytes);
    guint resets = device->resets, can_writes = port->can_writes;
    g_mutex_unlock(&device->lock);
    gsize taken = chardev_write(port->chardev, bytes, length);
    g_mutex_lock(&device->lock);
    if (device->resets != resets)
        return FALSE; /* and port->out was forgotten */
    port->out_offset += taken;
    if (taken == length)
        return TRUE;
    if (port->is_console) {
        /* Linux writes to a console with a spinlock held and spins until we have taken it all. */
        port->out_offset = port->out->out_bytes;
        return TRUE;
    }
    port->out_blocked = port->can_writes == can_writes;
    return !port->out_blocked;
}

static void output_batch(VirtioSerialPort *port)
{
    VirtioDevice *device = &port->serial->virtio;
    guint index = VIRTIO_SERIAL_PORT_OUT(port->number);
    VirtQueue *ring = ring_of(port, index);
    guint chains = 0;
    gsize bytes = 0;
    virtqueue_stop_kicks(ring);
    while (device->running) {
        if (chains >= OUT_MAX_CHAINS || bytes >= OUT_MAX_BYTES) {
            virtio_device_kick(device, index);
            return;
        }
        if (port->out == NULL) {
            port->out = virtio_device_pop(device, index);
            port->out_offset = 0;
        }
        if (port->out == NULL) {
            if (!virtqueue_want_kicks(ring))
                return;
            chains++; /* counted: a guest may take back what it showed */
            continue;
        }
        /* With nobody there it goes nowhere (the guest was told). */
        gboolean discard = port->chardev == NULL || !port->host_open;
        if (!discard && port->out_offset < port->out->out_bytes) {
            gsize before = port->out_offset;
            if (port->out_blocked || !write_some(port))
                return;
            bytes += port->out_offset - before;
        }
        if (discard || port->out_offset >= port->out->out_bytes) {
            virtqueue_push(ring, g_steal_pointer(&port->out), 0);
            chains++;
        }
    }
}

void virtio_serial_port_output(VirtioSerialPort *port)
{
    port->out_again = TRUE;
    if (port->out_busy)
        return;
    port->out_busy = TRUE;
    while (port->out_again) {
        port->out_again = FALSE;
        output_batch(port);
    }
    port->out_busy = FALSE;
    virtio_device_notify(&port->serial->virtio, VIRTIO_SERIAL_PORT_OUT(port->number));
}

/* ---- host to guest ---- */

/* Takes buffers from the ring until there is room for IN_TARGET bytes. */
static void gather_buffers(VirtioSerialPort *port)
{
    VirtioDevice *device = &port->serial->virtio;
    guint index = VIRTIO_SERIAL_PORT_IN(port->number);
    VirtQueue *ring = ring_of(port, index);
    /* A guest that hands in buffers without room as fast as they come back must not hold us here. */
    for (guint i = 0; i < 2u * ring->size && port->in_bytes < IN_TARGET; i++) {
        VirtQueueElement *element = virtio_device_pop(device, index);
        if (element == NULL)
            break;
        if (element->in_bytes == 0) {
            virtqueue_push(ring, element, 0);
            continue;
        }
        port->in_bytes += element->in_bytes;
        g_queue_push_tail(&port->in, element);
    }
}

static gsize can_receive(gpointer user_data)
{
    VirtioSerialPort *port = user_data;
    if (port->serial == NULL)
        return 0;
    VirtioDevice *device = &port->serial->virtio;
    VirtQueue *ring = ring_of(port, VIRTIO_SERIAL_PORT_IN(port->number));
    gsize room = 0;
    g_mutex_lock(&device->lock);
    /* While the guest has the port closed, the peer's data waits where it is. */
    if (device->running && port->guest_open) {
        gather_buffers(port);
        if (port->in_bytes == 0 && virtqueue_want_kicks(ring))
            gather_buffers(port);
        port->in_starved = port->in_bytes == 0;
        if (!port->in_starved)
            virtqueue_stop_kicks(ring);
        room = port->in_bytes;
    }
    g_mutex_unlock(&device->lock);
    return room;
}

static void receive(gpointer user_data, const guint8 *data, gsize length)
{
    VirtioSerialPort *port = user_data;
    VirtioDevice *device = &port->serial->virtio;
    guint index = VIRTIO_SERIAL_PORT_IN(port->number);
    g_mutex_lock(&device->lock);
    VirtQueueElement *element;
    /* All fits, unless the guest has reset the device since it was asked for. */
    while (length > 0 && (element = g_queue_pop_head(&port->in)) != NULL) {
        gsize done = virtqueue_element_write(element, 0, data, length);
        port->in_bytes -= element->in_bytes;
        virtqueue_push(ring_of(port, index), element, (guint32)done);
        data += done;
        length -= done;
    }
    virtio_device_notify(device, index);
    g_mutex_unlock(&device->lock);
}

void virtio_serial_port_input(VirtioSerialPort *port)
{
    if (!port->in_starved) {
        virtqueue_stop_kicks(ring_of(port, VIRTIO_SERIAL_PORT_IN(port->number)));
        return;
    }
    port->in_starved = FALSE;
    port->accept_due = TRUE;
    notifier_signal(port->serial->notifier);
}

/* ---- both sides' coming and going ---- */

void virtio_serial_port_set_guest_open(VirtioSerialPort *port, gboolean open)
{
    if (port->guest_open == open)
        return;
    port->guest_open = open;
    port->guest_changes++;
    port->accept_due = open;
    notifier_signal(port->serial->notifier);
}

static void open_changed(gpointer user_data, gboolean open)
{
    VirtioSerialPort *port = user_data;
    if (port->serial == NULL || port->is_console)
        return;
    VirtioDevice *device = &port->serial->virtio;
    g_mutex_lock(&device->lock);
    if (port->host_open != open) {
        port->host_open = open;
        port->out_blocked = FALSE;
        if (port->announced) {
            port->tell |= TELL_OPEN;
            virtio_serial_flush_control(port->serial);
        }
        /* A peer that has gone takes with it what it has not read. */
        if (!open)
            virtio_serial_port_output(port);
    }
    g_mutex_unlock(&device->lock);
}

static void can_write(gpointer user_data)
{
    VirtioSerialPort *port = user_data;
    if (port->serial == NULL)
        return;
    VirtioDevice *device = &port->serial->virtio;
    g_mutex_lock(&device->lock);
    port->can_writes++;
    port->out_blocked = FALSE;
    virtio_serial_port_output(port);
    g_mutex_unlock(&device->lock);
}

static const ChardevFront front = {
    .can_receive = can_receive, .receive = receive, .open_changed = open_changed, .can_write = can_write};

static void tell_host(VirtioSerialPort *port, gboolean open)
{
    const DeviceEnv *env = port->serial->virtio.env;
    port->told_open = open;
    if (port->chardev != NULL && !port->is_console)
        chardev_set_front_open(port->chardev, open);
    if (port->id == NULL)
        return;
    JsonObject *data = json_object_new();
    json_object_set_string_member(data, "id", port->id);
    json_object_set_boolean_member(data, "open", open);
    env->event("VSERPORT_CHANGE", data, env->event_data);
}

void virtio_serial_port_report(VirtioSerialPort *port)
{
    VirtioDevice *device = &port->serial->virtio;
    g_mutex_lock(&device->lock);
    gboolean open = port->guest_open;
    guint changes = port->guest_changes;
    gboolean accept = port->accept_due;
    port->accept_due = FALSE;
    if (!port->announced && port->serial->driver_ready) {
        port->announced = TRUE;
        port->tell = TELL_ADD;
        virtio_serial_flush_control(port->serial);
    }
    g_mutex_unlock(&device->lock);
    /* Closed and opened again since the last time is news too. */
    if (changes != port->told_changes && open == port->told_open)
        tell_host(port, !open);
    if (open != port->told_open)
        tell_host(port, open);
    port->told_changes = changes;
    if (accept && port->chardev != NULL)
        chardev_accept_input(port->chardev);
}

void virtio_serial_port_forget(VirtioSerialPort *port)
{
    port->tell = 0;
    port->announced = FALSE;
    g_clear_pointer(&port->out, g_free);
    port->out_offset = 0;
    g_queue_clear_full(&port->in, g_free);
    port->in_bytes = 0;
    port->in_starved = FALSE;
    virtio_serial_port_set_guest_open(port, FALSE);
}

/* ---- creation ---- */

void virtio_serial_port_orphan(VirtioSerialPort *port)
{
    if (port->chardev != NULL)
        chardev_detach(g_steal_pointer(&port->chardev));
    g_clear_pointer(&port->out, g_free);
    g_queue_clear_full(&port->in, g_free);
    port->serial = NULL;
}

static void give_back(gpointer element, gpointer ring)
{
    virtqueue_push(ring, element, 0);
}

static void leave_bus(VirtioSerialPort *port)
{
    VirtioSerial *serial = port->serial;
    VirtioDevice *device = &serial->virtio;
    guint in = VIRTIO_SERIAL_PORT_IN(port->number), out = VIRTIO_SERIAL_PORT_OUT(port->number);
    g_mutex_lock(&device->lock);
    if (serial->ports[port->number] == port) {
        serial->ports[port->number] = NULL;
        serial->tell_remove[port->number] = port->announced;
        /* What was taken goes back to the guest, which gets its buffers back or has them for the next port
         * here. */
        if (port->out != NULL)
            virtqueue_push(ring_of(port, out), g_steal_pointer(&port->out), 0);
        g_queue_foreach(&port->in, give_back, ring_of(port, in));
        g_queue_clear(&port->in);
        virtio_device_notify(device, in);
        virtio_device_notify(device, out);
        virtio_serial_flush_control(serial);
    }
    g_mutex_unlock(&device->lock);
}

static void destroy(Device *device)
{
    VirtioSerialPort *port = (VirtioSerialPort *)device;
    if (port->chardev != NULL) {
        chardev_set_front_open(port->chardev, TRUE);
        chardev_detach(port->chardev);
    }
    if (port->serial != NULL)
        leave_bus(port);
    g_free(port->name);
    g_free(port->id);
    g_free(port);
}

/* Port 0 is kept for a console: drivers without MULTIPORT know no other. */
int virtio_serial_free_number(const VirtioSerial *serial, gboolean is_console)
{
    for (guint i = is_console ? 0 : 1; i < serial->max_ports; i++) {
        if (serial->ports[i] == NULL)
            return (int)i;
    }
    return -1;
}

static gboolean check_number(const VirtioSerial *serial, guint number, gboolean is_console, GError **error)
{
    const char *why = NULL;
    if (number >= serial->max_ports)
        why = "is beyond the bus's max_ports";
    else if (serial->ports[number] != NULL)
        why = "is taken";
    else if (number == 0 && !is_console)
        why = "is reserved for a virtconsole";
    if (why != NULL)
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "port number %u of bus '%s' %s", number,
                    serial->bus_name, why);
    return why == NULL;
}

static gboolean choose_place(VirtioSerialPort *port, DeviceEnv *env, OptSet *options, GError **error)
{
    VirtioSerial *serial = virtio_serial_find(env, optset_string(options, "bus"), port->is_console, error);
    if (serial == NULL)
        return FALSE;
    int free_number = virtio_serial_free_number(serial, port->is_console);
    guint64 number = free_number >= 0 ? (guint64)free_number : serial->max_ports;
    if (!optset_uint(options, "nr", 0, G_MAXUINT32, &number, error))
        return FALSE;
    if (!optset_has(options, "nr") && free_number < 0) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NO_SPACE, "bus '%s' has no free port", serial->bus_name);
        return FALSE;
    }
    if (!check_number(serial, (guint)number, port->is_console, error))
        return FALSE;
    for (guint i = 0; port->name != NULL && i < serial->max_ports; i++) {
        if (serial->ports[i] != NULL && g_strcmp0(serial->ports[i]->name, port->name) == 0) {
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_EXISTS, "bus '%s' has a port named '%s' already",
                        serial->bus_name, port->name);
            return FALSE;
        }
    }
    port->number = (guint)number;
    port->serial = serial;
    return TRUE;
}

static gboolean attach_chardev(VirtioSerialPort *port, OptSet *options, GError **error)
{
    const char *id = optset_string(options, "chardev");
    if (id == NULL)
        return TRUE;
    Chardev *chardev = chardev_set_find(port->serial->virtio.env->chardevs, id);
    if (chardev == NULL) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "there is no chardev '%s'", id);
        return FALSE;
    }
    const char *name = port->id != NULL ? port->id : port->name != NULL ? port->name : "a virtio-serial port";
    if (!chardev_attach(chardev, name, &front, port, error))
        return FALSE;
    port->chardev = chardev;
    port->host_open = port->is_console;
    if (!port->is_console)
        chardev_set_front_open(chardev, FALSE);
    return TRUE;
}

static Device *create(DeviceEnv *env, OptSet *options, gboolean is_console, GError **error)
{
    VirtioSerialPort *port = g_new0(VirtioSerialPort, 1);
    port->device.destroy = destroy;
    port->is_console = is_console;
    port->name = g_strdup(optset_string(options, "name"));
    port->id = g_strdup(optset_string(options, "id"));
    g_queue_init(&port->in);
    if (!choose_place(port, env, options, error) || !attach_chardev(port, options, error)) {
        destroy(&port->device);
        return NULL;
    }
    VirtioDevice *device = &port->serial->virtio;
    g_mutex_lock(&device->lock);
    port->serial->ports[port->number] = port;
    g_mutex_unlock(&device->lock);
    if (!virtio_device_serve(device, VIRTIO_SERIAL_PORT_IN(port->number), error) ||
        !virtio_device_serve(device, VIRTIO_SERIAL_PORT_OUT(port->number), error)) {
        destroy(&port->device);
        return NULL;
    }
    /* To a running guest it is announced from the main loop: once nothing can fail any more. */
    notifier_signal(port->serial->notifier);
    return &port->device;
}

static Device *create_port(DeviceEnv *env, OptSet *options, GError **error)
{
    return create(env, options, FALSE, error);
}

static Device *create_console(DeviceEnv *env, OptSet *options, GError **error)
{
    return create(env, options, TRUE, error);
}

const DeviceType virtserialport_type = {
    .name = "virtserialport",
    .bus = "virtio-serial-bus",
    .description = "named byte stream to the guest [chardev=ID,name=NAME,nr=N,bus=ID.0]",
    .create = create_port,
};

const DeviceType virtconsole_type = {
    .name = "virtconsole",
    .bus = "virtio-serial-bus",
    .description = "console hvc of the guest [chardev=ID,name=NAME,nr=N,bus=ID.0]",
    .create = create_console,
};
