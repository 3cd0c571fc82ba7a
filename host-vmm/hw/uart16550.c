// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/hw/uart16550.h"

#include "host-vmm/notifier.h"

#define FIFO_SIZE 16

enum { REG_DATA, REG_IER, REG_IIR_FCR, REG_LCR, REG_MCR, REG_LSR, REG_MSR, REG_SCRATCH, REG_COUNT };

#define IER_RECEIVED  0x01
#define IER_EMPTY     0x02
#define IER_LINE      0x04
#define IER_MODEM     0x08
#define IIR_NONE      0x01
#define IIR_EMPTY     0x02
#define IIR_RECEIVED  0x04
#define IIR_TIMEOUT   0x0c
#define IIR_LINE      0x06
#define IIR_FIFOS     0xc0
#define FCR_ENABLE    0x01
#define FCR_CLEAR_RX  0x02
#define FCR_TRIGGER   0xc0
#define LCR_DLAB      0x80
#define MCR_OUT2      0x08 /* gates the interrupt on a PC */
#define MCR_LOOPBACK  0x10
#define LSR_READY     0x01
#define LSR_OVERRUN   0x02
#define LSR_THR_EMPTY 0x20
#define LSR_IDLE      0x40
#define MSR_CTS       0x10
#define MSR_DSR       0x20
#define MSR_CARRIER   0x80

typedef struct Uart {
    Device device;
    Chardev *chardev;   /* NULL: output is dropped, nothing comes in */
    Notifier *has_room; /* tells the chardev, on the main thread, that it may go on reading */
    VmOps *vm;
    IoBus *ports;
    guint16 base;
    guint irq;
    GMutex lock; /* guards what follows */
    guint8 ier, lcr, mcr, scratch, fcr;
    guint8 divisor[2];
    gboolean overrun;
    gboolean empty_pending; /* the transmitter became empty and IIR has not told it yet */
    guint8 fifo[FIFO_SIZE]; /* received, oldest first */
    guint fifo_start, fifo_count;
    gboolean input_waits; /* the chardev has been told that there is no room */
    gboolean line;        /* interrupt line as driven */
    /* A byte that the host did not take: the transmitter stays busy until it does. */
    gboolean holding;
    guint8 held;
} Uart;

static guint fifo_trigger(const Uart *uart)
{
    static const guint levels[] = {1, 4, 8, 14};
    return uart->fcr & FCR_ENABLE ? levels[uart->fcr >> 6] : 1;
}

static guint8 pending_interrupt(const Uart *uart)
{
    if ((uart->ier & IER_LINE) && uart->overrun) {
        return IIR_LINE;
    }
    if ((uart->ier & IER_RECEIVED) && uart->fifo_count > 0) {
        /* Below the trigger the data sheet waits four characters' time; a guest gains nothing from that wait.
         */
        return uart->fifo_count >= fifo_trigger(uart) ? IIR_RECEIVED : IIR_TIMEOUT;
    }
    if ((uart->ier & IER_EMPTY) && uart->empty_pending) {
        return IIR_EMPTY;
    }
    return IIR_NONE;
}

static void update_line(Uart *uart)
{
    gboolean level = pending_interrupt(uart) != IIR_NONE && (uart->mcr & MCR_OUT2);
    if (level != uart->line) {
        uart->line = level;
        uart->vm->set_line(uart->vm, uart->irq, level);
    }
}

static gboolean receive_byte(Uart *uart, guint8 byte)
{
    guint size = uart->fcr & FCR_ENABLE ? FIFO_SIZE : 1;
    if (uart->fifo_count >= size) {
        uart->overrun = TRUE;
        return FALSE;
    }
    uart->fifo[(uart->fifo_start + uart->fifo_count++) % FIFO_SIZE] = byte;
    return TRUE;
}

static void offer_room(Uart *uart)
{
    if (uart->input_waits) {
        uart->input_waits = FALSE;
        notifier_signal(uart->has_room);
    }
}

static void transmit(Uart *uart, guint8 byte)
{
    if (uart->mcr & MCR_LOOPBACK) {
        receive_byte(uart, byte);
    } else if (uart->chardev && chardev_write(uart->chardev, &byte, 1) == 0) {
        uart->holding = TRUE;
        uart->held = byte;
        uart->empty_pending = FALSE;
        return;
    }
    uart->empty_pending = TRUE;
}

static guint8 modem_status(const Uart *uart)
{
    if (uart->mcr & MCR_LOOPBACK) {
        /* DTR, RTS, OUT1, OUT2 come back as DSR, CTS, RI, CD. */
        return (guint8)((uart->mcr & 0x0c) << 4 | (uart->mcr & 0x02) << 3 | (uart->mcr & 0x01) << 5);
    }
    return MSR_CARRIER | MSR_DSR | MSR_CTS;
}

static guint64 uart_read(gpointer device, guint64 offset, guint size)
{
    Uart *uart = device;
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&uart->lock);
    guint8 value = 0;
    if ((uart->lcr & LCR_DLAB) && offset <= REG_IER) {
        return uart->divisor[offset];
    }
    switch (offset) {
    case REG_DATA:
        if (uart->fifo_count > 0) {
            value = uart->fifo[uart->fifo_start];
            uart->fifo_start = (uart->fifo_start + 1) % FIFO_SIZE;
            if (--uart->fifo_count == 0) {
                offer_room(uart);
            }
        }
        break;
    case REG_IER:
        value = uart->ier;
        break;
    case REG_IIR_FCR:
        value = pending_interrupt(uart);
        if (value == IIR_EMPTY) {
            uart->empty_pending = FALSE;
        }
        if (uart->fcr & FCR_ENABLE) {
            value |= IIR_FIFOS;
        }
        break;
    case REG_LCR:
        value = uart->lcr;
        break;
    case REG_MCR:
        value = uart->mcr;
        break;
    case REG_LSR:
        value = (guint8)((uart->holding ? 0 : LSR_THR_EMPTY | LSR_IDLE) |
                         (uart->fifo_count > 0 ? LSR_READY : 0) | (uart->overrun ? LSR_OVERRUN : 0));
        uart->overrun = FALSE;
        break;
    case REG_MSR:
        value = modem_status(uart);
        break;
    case REG_SCRATCH:
        value = uart->scratch;
        break;
    }
    update_line(uart);
    return value;
}

static void uart_write(gpointer device, guint64 offset, guint size, guint64 wide)
{
    Uart *uart = device;
    guint8 value = (guint8)wide;
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&uart->lock);
    if ((uart->lcr & LCR_DLAB) && offset <= REG_IER) {
        uart->divisor[offset] = value;
        return;
    }
    switch (offset) {
    case REG_DATA:
        if (!uart->holding) { /* else the guest did not look at LSR: the byte overwrites one that is lost
                                 anyway */
            transmit(uart, value);
        }
        break;
    case REG_IER:
        if ((value & IER_EMPTY) && !(uart->ier & IER_EMPTY) && !uart->holding) {
            uart->empty_pending = TRUE;
        }
        uart->ier = value & 0x0f;
        break;
    case REG_IIR_FCR:
        if ((value & FCR_CLEAR_RX) || ((value ^ uart->fcr) & FCR_ENABLE)) {
            uart->fifo_count = 0;
            offer_room(uart);
        }
        uart->fcr = value & (FCR_TRIGGER | FCR_ENABLE);
        break;
    case REG_LCR:
        uart->lcr = value;
        break;
    case REG_MCR:
        uart->mcr = value & 0x1f;
        break;
    case REG_SCRATCH:
        uart->scratch = value;
        break;
    }
    update_line(uart);
}

static const IoBusOps UART_OPS = {uart_read, uart_write};

/* ---- host end, on the main thread ---- */

static gsize can_receive(gpointer data)
{
    Uart *uart = data;
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&uart->lock);
    guint size = uart->fcr & FCR_ENABLE ? FIFO_SIZE : 1;
    uart->input_waits = uart->fifo_count >= size;
    return uart->input_waits ? 0 : size - uart->fifo_count;
}

static void receive(gpointer data, const guint8 *bytes, gsize length)
{
    Uart *uart = data;
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&uart->lock);
    for (gsize i = 0; i < length; i++) {
        receive_byte(uart, bytes[i]);
    }
    update_line(uart);
}

static void can_write(gpointer data)
{
    Uart *uart = data;
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&uart->lock);
    if (uart->holding && chardev_write(uart->chardev, &uart->held, 1) == 1) {
        uart->holding = FALSE;
        uart->empty_pending = TRUE;
        update_line(uart);
    }
}

static void tell_room(gpointer data)
{
    Uart *uart = data;
    chardev_accept_input(uart->chardev);
}

/* A serial line knows no peers: what comes and goes at the other end is not told to the guest. */
static void open_changed(gpointer data, gboolean open)
{
}

static const ChardevFront UART_FRONT = {
    .can_receive = can_receive, .receive = receive, .open_changed = open_changed, .can_write = can_write};

static void uart_reset(Device *device)
{
    Uart *uart = (Uart *)device;
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&uart->lock);
    uart->ier = uart->lcr = uart->scratch = uart->fcr = 0;
    uart->mcr = MCR_OUT2;
    uart->divisor[0] = 0x0c; /* 9600 baud */
    uart->divisor[1] = 0;
    uart->overrun = uart->empty_pending = uart->holding = FALSE;
    uart->fifo_count = 0;
    offer_room(uart);
    update_line(uart);
}

static void uart_destroy(Device *device)
{
    Uart *uart = (Uart *)device;
    if (uart->base) {
        io_bus_unmap(uart->ports, uart->base);
    }
    if (uart->chardev) {
        chardev_detach(uart->chardev);
    }
    notifier_free(uart->has_room);
    if (uart->line) {
        uart->vm->set_line(uart->vm, uart->irq, FALSE);
    }
    g_mutex_clear(&uart->lock);
    g_free(uart);
}

static guint count_uarts(const DeviceEnv *env)
{
    guint count = 0;
    for (guint i = 0; i < env->devices->len; i++) {
        count += ((Device *)env->devices->pdata[i])->type == &uart16550_type;
    }
    return count;
}

static Device *uart_create(DeviceEnv *env, OptSet *options, GError **error)
{
    static const struct {
        guint16 base;
        guint irq;
    } places[] = {{0x3f8, 4}, {0x2f8, 3}, {0x3e8, 4}, {0x2e8, 3}};
    guint64 index = count_uarts(env);
    if (!optset_uint(options, "index", 0, G_N_ELEMENTS(places) - 1, &index, error)) {
        return NULL;
    }
    if (index >= G_N_ELEMENTS(places)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "a machine has %u serial ports at most",
                    (guint)G_N_ELEMENTS(places));
        return NULL;
    }
    guint64 base = places[index].base;
    guint64 irq = places[index].irq;
    if (!optset_uint(options, "iobase", 0x100, 0xfff8, &base, error) ||
        !optset_uint(options, "irq", 3, 15, &irq, error)) {
        return NULL;
    }

    Uart *uart = g_new0(Uart, 1);
    uart->device = (Device){.reset = uart_reset, .destroy = uart_destroy};
    g_mutex_init(&uart->lock);
    uart->vm = env->vm;
    uart->ports = env->ports;
    uart->irq = (guint)irq;
    uart->has_room = notifier_new(tell_room, uart);
    if (!io_bus_map(env->ports, base, REG_COUNT, &UART_OPS, uart, error)) {
        uart_destroy(&uart->device);
        return NULL;
    }
    uart->base = (guint16)base;

    const char *id = optset_string(options, "id");
    const char *chardev_name = optset_string(options, "chardev");
    if (chardev_name) {
        Chardev *chardev = chardev_set_find(env->chardevs, chardev_name);
        if (!chardev) {
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "chardev '%s' is not there", chardev_name);
        } else if (chardev_attach(chardev, id ? id : "isa-serial", &UART_FRONT, uart, error)) {
            uart->chardev = chardev;
        }
        if (!uart->chardev) {
            uart_destroy(&uart->device);
            return NULL;
        }
    }
    uart_reset(&uart->device);
    return &uart->device;
}

gboolean uart16550_place(const Device *device, guint16 *base, guint *irq)
{
    if (device->type != &uart16550_type) {
        return FALSE;
    }
    const Uart *uart = (const Uart *)device;
    *base = uart->base;
    *irq = uart->irq;
    return TRUE;
}

const DeviceType uart16550_type = {
    .name = "isa-serial",
    .bus = "ISA",
    .description = "16550A serial port",
    .create = uart_create,
};
