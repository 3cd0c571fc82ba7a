// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/hw/i8042.h"

#include <string.h>

#include "host-vmm/hw/i8042-keys.h"

/* Status, read from the command port. */
#define STATUS_OUTPUT_FULL (1u << 0) /* there is a byte to read */
#define STATUS_SYSTEM      (1u << 2) /* the self-test has passed */
#define STATUS_COMMAND     (1u << 3) /* the last byte written was a command */
#define STATUS_UNLOCKED    (1u << 4)

/* The command byte. */
#define MODE_INTERRUPT (1u << 0)
#define MODE_SYSTEM    (1u << 2)
#define MODE_DISABLED  (1u << 4) /* the keyboard is not listened to */
#define MODE_TRANSLATE (1u << 6) /* scan codes of set 2 become those of set 1 */
#define MODE_DEFAULT   (MODE_INTERRUPT | MODE_SYSTEM | MODE_TRANSLATE) /* as firmware leaves it */

/* Commands to the controller. */
#define COMMAND_READ_RAM      0x20 /* to 0x3f; the first byte is the command byte */
#define COMMAND_WRITE_RAM     0x60 /* to 0x7f */
#define COMMAND_TEST_MOUSE    0xa9
#define COMMAND_SELF_TEST     0xaa
#define COMMAND_TEST_KEYBOARD 0xab
#define COMMAND_DISABLE       0xad
#define COMMAND_ENABLE        0xae
#define COMMAND_READ_INPUT    0xc0
#define COMMAND_READ_OUTPUT   0xd0
#define COMMAND_WRITE_OUTPUT  0xd1
#define COMMAND_ECHO          0xd2 /* the next byte comes back as if from the keyboard */
#define COMMAND_ECHO_MOUSE    0xd3
#define COMMAND_TO_MOUSE      0xd4
#define COMMAND_PULSE         0xf0 /* to 0xff: lines whose bit is clear go low for a moment */
#define RAM_SIZE              32
#define SELF_TEST_PASSED      0x55
#define LINE_STUCK            0x01 /* a port's test: nothing is connected */
#define OUTPUT_NOT_RESET      (1u << 0)
#define OUTPUT_A20            (1u << 1)

/* Commands to the keyboard, and what it says. */
#define KEYBOARD_LEDS       0xed
#define KEYBOARD_ECHO       0xee
#define KEYBOARD_SET        0xf0
#define KEYBOARD_ID         0xf2
#define KEYBOARD_RATE       0xf3
#define KEYBOARD_ENABLE     0xf4
#define KEYBOARD_DISABLE    0xf5
#define KEYBOARD_DEFAULTS   0xf6
#define KEYBOARD_ALL_FIRST  0xf7 /* to 0xfa: what kind all keys are of; set 3 only */
#define KEYBOARD_ALL_LAST   0xfa
#define KEYBOARD_RESEND     0xfe
#define KEYBOARD_RESET      0xff
#define SAYS_ACK            0xfa
#define SAYS_RESEND         0xfe
#define SAYS_PASSED         0xaa
#define SCAN_CODE_SET       2
#define EXTENDED            0xe0
#define RELEASED            0xf0
#define RELEASED_TRANSLATED 0x80

#define QUEUE_SIZE 32
/* What the keyboard keeps free for answers: keys are not taken up to the end. */
#define ANSWER_ROOM 8

typedef struct I8042 {
    Device device;
    DeviceEnv *env;
    gboolean has_data_port, has_command_port;

    GMutex lock; /* guards what follows */
    guint8 ram[RAM_SIZE];
    guint8 pending;          /* the controller's command that waits for a byte, or 0 */
    guint8 keyboard_pending; /* the keyboard's */
    gboolean last_was_command, scanning, line;
    guint8 output; /* the byte that is read, if there is one */
    gboolean output_full;
    guint8 last_said;
    guint8 queue[QUEUE_SIZE]; /* what the keyboard has to say */
    guint head, count;
} I8042;

static guint8 mode(const I8042 *self)
{
    return self->ram[0];
}

static void update_line(I8042 *self)
{
    gboolean level = self->output_full && (mode(self) & MODE_INTERRUPT);
    if (level != self->line) {
        self->line = level;
        self->env->vm->set_line(self->env->vm, I8042_IRQ, level);
    }
}

/* The keyboard's next byte goes to where it is read, if it can. */
static void advance(I8042 *self)
{
    if (!self->output_full && self->count > 0 && !(mode(self) & MODE_DISABLED)) {
        self->output = self->last_said = self->queue[self->head];
        self->head = (self->head + 1) % QUEUE_SIZE;
        self->count--;
        self->output_full = TRUE;
    }
    update_line(self);
}

static void say(I8042 *self, guint8 byte)
{
    if (self->count < QUEUE_SIZE) {
        self->queue[(self->head + self->count++) % QUEUE_SIZE] = byte;
    }
}

/* The controller's own answer takes the place of what has not been read. */
static void answer(I8042 *self, guint8 byte)
{
    self->output = byte;
    self->output_full = TRUE;
}

static void keyboard_defaults(I8042 *self, gboolean scanning)
{
    self->scanning = scanning;
    self->keyboard_pending = 0;
}

static void keyboard_write(I8042 *self, guint8 byte)
{
    guint8 pending = self->keyboard_pending;
    self->keyboard_pending = 0;
    if (pending != 0) {
        say(self, SAYS_ACK);
        if (pending == KEYBOARD_SET && byte == 0) {
            say(self, SCAN_CODE_SET);
        }
        return;
    }
    switch (byte) {
    case KEYBOARD_LEDS:
    case KEYBOARD_SET:
    case KEYBOARD_RATE:
        self->keyboard_pending = byte;
        say(self, SAYS_ACK);
        break;
    case KEYBOARD_ECHO:
        say(self, KEYBOARD_ECHO);
        break;
    case KEYBOARD_ID:
        say(self, SAYS_ACK);
        say(self, 0xab);
        say(self, mode(self) & MODE_TRANSLATE ? 0x41 : 0x83);
        break;
    case KEYBOARD_ENABLE:
        self->scanning = TRUE;
        say(self, SAYS_ACK);
        break;
    case KEYBOARD_DISABLE:
    case KEYBOARD_DEFAULTS:
        keyboard_defaults(self, byte == KEYBOARD_DEFAULTS);
        say(self, SAYS_ACK);
        break;
    case KEYBOARD_RESEND:
        say(self, self->last_said);
        break;
    case KEYBOARD_RESET:
        keyboard_defaults(self, TRUE);
        self->count = 0;
        say(self, SAYS_ACK);
        say(self, SAYS_PASSED);
        break;
    default:
        say(self, byte >= KEYBOARD_ALL_FIRST && byte <= KEYBOARD_ALL_LAST ? SAYS_ACK : SAYS_RESEND);
        break;
    }
}

/* TRUE: the guest asks for a reset. */
static gboolean controller_command(I8042 *self, guint8 byte)
{
    self->last_was_command = TRUE;
    self->pending = 0;
    if (byte >= COMMAND_READ_RAM && byte < COMMAND_READ_RAM + RAM_SIZE) {
        answer(self, self->ram[byte - COMMAND_READ_RAM]);
    } else if ((byte >= COMMAND_WRITE_RAM && byte < COMMAND_WRITE_RAM + RAM_SIZE) ||
               (byte >= COMMAND_WRITE_OUTPUT && byte <= COMMAND_TO_MOUSE)) {
        self->pending = byte;
    } else if (byte >= COMMAND_PULSE) {
        return !(byte & OUTPUT_NOT_RESET);
    }
    switch (byte) {
    case COMMAND_SELF_TEST:
        self->ram[0] |= MODE_SYSTEM;
        answer(self, SELF_TEST_PASSED);
        break;
    case COMMAND_TEST_KEYBOARD:
    case COMMAND_READ_INPUT:
        answer(self, 0);
        break;
    case COMMAND_TEST_MOUSE:
        answer(self, LINE_STUCK);
        break;
    case COMMAND_DISABLE:
        self->ram[0] |= MODE_DISABLED;
        break;
    case COMMAND_ENABLE:
        self->ram[0] &= (guint8)~MODE_DISABLED;
        break;
    case COMMAND_READ_OUTPUT:
        answer(self, OUTPUT_NOT_RESET | OUTPUT_A20);
        break;
    }
    return FALSE;
}

/* TRUE: the guest asks for a reset. */
static gboolean data_write(I8042 *self, guint8 byte)
{
    guint8 pending = self->pending;
    self->last_was_command = FALSE;
    self->pending = 0;
    if (pending >= COMMAND_WRITE_RAM && pending < COMMAND_WRITE_RAM + RAM_SIZE) {
        self->ram[pending - COMMAND_WRITE_RAM] = byte;
    } else if (pending == COMMAND_WRITE_OUTPUT) {
        return !(byte & OUTPUT_NOT_RESET);
    } else if (pending == COMMAND_ECHO || pending == COMMAND_ECHO_MOUSE) {
        answer(self, byte); /* that of the mouse comes without its mark: there is none */
    } else if (pending == 0) {
        self->ram[0] &= (guint8)~MODE_DISABLED; /* writing to it enables it */
        keyboard_write(self, byte);
    }
    return FALSE;
}

static void write_port(I8042 *self, gboolean is_command, guint64 value)
{
    g_mutex_lock(&self->lock);
    gboolean reset = is_command ? controller_command(self, (guint8)value) : data_write(self, (guint8)value);
    advance(self);
    g_mutex_unlock(&self->lock);
    if (reset) {
        self->env->alarm(DEVICE_ALARM_RESET, self->env->event_data);
    }
}

static void on_data_write(gpointer device, guint64 offset, guint size, guint64 value)
{
    write_port(device, FALSE, value);
}

static void on_command_write(gpointer device, guint64 offset, guint size, guint64 value)
{
    write_port(device, TRUE, value);
}

static guint64 on_data_read(gpointer device, guint64 offset, guint size)
{
    I8042 *self = device;
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&self->lock);
    guint8 byte = self->output;
    self->output_full = FALSE;
    update_line(self); /* an edge for each byte */
    advance(self);
    return byte;
}

static guint64 on_status_read(gpointer device, guint64 offset, guint size)
{
    I8042 *self = device;
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&self->lock);
    return (self->output_full ? STATUS_OUTPUT_FULL : 0) | (mode(self) & MODE_SYSTEM ? STATUS_SYSTEM : 0) |
           (self->last_was_command ? STATUS_COMMAND : 0) | STATUS_UNLOCKED;
}

static const IoBusOps DATA_OPS = {on_data_read, on_data_write};
static const IoBusOps COMMAND_OPS = {on_status_read, on_command_write};

static void kbc_reset(Device *device)
{
    I8042 *self = (I8042 *)device;
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&self->lock);
    memset(self->ram, 0, sizeof(self->ram));
    self->ram[0] = MODE_DEFAULT;
    self->pending = self->last_said = 0;
    self->last_was_command = self->output_full = FALSE;
    self->head = self->count = 0;
    keyboard_defaults(self, TRUE);
    update_line(self);
}

static void kbc_destroy(Device *device)
{
    I8042 *self = (I8042 *)device;
    if (self->has_data_port) {
        io_bus_unmap(self->env->ports, I8042_DATA_PORT);
    }
    if (self->has_command_port) {
        io_bus_unmap(self->env->ports, I8042_COMMAND_PORT);
    }
    if (self->line) {
        self->env->vm->set_line(self->env->vm, I8042_IRQ, FALSE);
    }
    g_mutex_clear(&self->lock);
    g_free(self);
}

static Device *create(DeviceEnv *env, OptSet *options, GError **error)
{
    if (i8042_find(env)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_EXISTS, "Only one i8042 device is supported");
        return NULL;
    }
    I8042 *self = g_new0(I8042, 1);
    self->device = (Device){.reset = kbc_reset, .destroy = kbc_destroy};
    self->env = env;
    g_mutex_init(&self->lock);
    kbc_reset(&self->device);
    self->has_data_port = io_bus_map(env->ports, I8042_DATA_PORT, 1, &DATA_OPS, self, error);
    self->has_command_port =
        self->has_data_port && io_bus_map(env->ports, I8042_COMMAND_PORT, 1, &COMMAND_OPS, self, error);
    if (!self->has_command_port) {
        kbc_destroy(&self->device);
        return NULL;
    }
    return &self->device;
}

Device *i8042_find(const DeviceEnv *env)
{
    return device_find_type(env, &i8042_type);
}

int i8042_key(const char *name)
{
    for (guint i = 0; i < I8042_KEY_COUNT; i++) {
        if (!g_strcmp0(I8042_KEYS[i].name, name)) {
            return (int)i;
        }
    }
    return -1;
}

int i8042_key_number(guint number)
{
    for (guint i = 0; i < I8042_KEY_COUNT; i++) {
        if (number == I8042_KEYS[i].set1 + (I8042_KEYS[i].extended ? 0x80u : 0)) {
            return (int)i;
        }
    }
    return -1;
}

gboolean i8042_put_key(Device *device, int key, gboolean down)
{
    I8042 *self = (I8042 *)device;
    g_return_val_if_fail(key >= 0 && (guint)key < I8042_KEY_COUNT, FALSE);
    const I8042Key *codes = &I8042_KEYS[key];
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&self->lock);
    if (!self->scanning) {
        return TRUE; /* it is switched off: nobody hears it */
    }
    if (self->count + ANSWER_ROOM >= QUEUE_SIZE) {
        return FALSE;
    }
    if (codes->extended) {
        say(self, EXTENDED);
    }
    if (mode(self) & MODE_TRANSLATE) {
        say(self, down ? codes->set1 : codes->set1 | RELEASED_TRANSLATED);
    } else {
        if (!down) {
            say(self, RELEASED);
        }
        say(self, codes->set2);
    }
    advance(self);
    return TRUE;
}

const DeviceType i8042_type = {
    .name = "i8042",
    .bus = "ISA",
    .description = "PS/2 keyboard controller and keyboard; send-key types on it",
    .create = create,
};
