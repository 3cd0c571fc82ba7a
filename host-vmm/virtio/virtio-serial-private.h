// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virtio-serial-private: between virtio-serial.c (the device and its control queues) and virtio-serial-port.c
 * (the ports and their data).
 */
#pragma once

#include "host-vmm/notifier.h"
#include "host-vmm/virtio/virtio-pci.h"
#include "host-vmm/virtio/virtio-serial.h"

typedef struct VirtioSerial VirtioSerial;
typedef struct VirtioSerialPort VirtioSerialPort;

/* What the driver still has to be told about a port, in this order. A message that finds no buffer in the
 * control queue waits as a bit here: so a driver that gives none costs nothing. */
typedef enum {
    TELL_ADD = 1 << 0,
    TELL_CONSOLE = 1 << 1,
    TELL_NAME = 1 << 2,
    TELL_OPEN = 1 << 3, /* host_open as it is then */
} PortMessage;

struct VirtioSerial {
    VirtioDevice virtio;
    VirtioPci *pci;
    Notifier *notifier; /* brings what only the main thread may do there */
    guint max_ports;
    char *bus_name; /* "ID.0" */

    /* Under virtio.lock; changed on the main thread. */
    VirtioSerialPort **ports; /* by number, NULL: none */
    /* Under virtio.lock. */
    gboolean *tell_remove; /* by number: the driver still has to hear that it is gone */
    gboolean driver_ready; /* has sent DEVICE_READY */
};

struct VirtioSerialPort {
    Device device;
    VirtioSerial *serial; /* NULL once that was destroyed */
    guint number;
    gboolean is_console;
    char *name;       /* NULL: none */
    char *id;         /* for events; NULL: none */
    Chardev *chardev; /* NULL: none */

    /* Under serial->virtio.lock. */
    guint tell;         /* PortMessage bits */
    gboolean announced; /* PORT_ADD is sent or due */
    gboolean host_open; /* a peer is there; a console's always is */
    gboolean guest_open;
    guint guest_changes; /* of guest_open */
    gboolean accept_due; /* the main thread should have the chardev read again */

    VirtQueueElement *out; /* taken, not all of it written */
    gsize out_offset;
    gboolean out_blocked;         /* until can_write() */
    guint can_writes;             /* counts them */
    gboolean out_busy, out_again; /* somebody is at it with the lock open; should look again */

    GQueue in; /* VirtQueueElement: empty buffers for the guest */
    gsize in_bytes;
    gboolean in_starved; /* the chardev waits for buffers */

    /* The main thread's. */
    gboolean told_open; /* guest_open as the host was told last */
    guint told_changes;
};

/* ---- virtio-serial.c ---- */

/* The device whose bus has this name, or (NULL) the first with a free port of this kind. */
VirtioSerial *virtio_serial_find(DeviceEnv *env, const char *bus, gboolean is_console, GError **error);
/* Lock held: sends what ports and tell_remove ask for, as far as there are buffers. */
void virtio_serial_flush_control(VirtioSerial *serial);

/* ---- virtio-serial-port.c ---- */

/* Number for a new port if none was asked for; -1: all are taken. */
int virtio_serial_free_number(const VirtioSerial *serial, gboolean is_console);
/* Lock held, the queue's thread or the main thread. */
void virtio_serial_port_output(VirtioSerialPort *port);
/* Lock held: the driver has put in buffers. */
void virtio_serial_port_input(VirtioSerialPort *port);
/* Lock held. */
void virtio_serial_port_set_guest_open(VirtioSerialPort *port, gboolean open);
/* Lock held: the driver has reset the device. */
void virtio_serial_port_forget(VirtioSerialPort *port);
/* Main thread, without the lock: tells chardev and monitor what has changed. */
void virtio_serial_port_report(VirtioSerialPort *port);
/* The serial device goes away before the port. Main thread, without the lock. */
void virtio_serial_port_orphan(VirtioSerialPort *port);
