// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/hw/i6300esb.h"

#define VENDOR_INTEL  0x8086
#define DEVICE_WDT    0x25ab
#define PCI_CLASS_WDT 0x088000 /* system peripheral, other */
#define BAR_SIZE      4096

/* Configuration space. */
#define CONFIG_FIRST      0x60
#define CONFIG_SETTINGS   0x60 /* 16 bits */
#define CONFIG_LOCK       0x68 /* 8 bits */
#define CONFIG_LENGTH     (CONFIG_LOCK + 1 - CONFIG_FIRST)
#define SETTING_FAST      (1u << 2) /* 1 MHz instead of 1 kHz */
#define SETTING_NO_REBOOT (1u << 5)
#define SETTING_BITS      0x27u
#define LOCK_LOCKED       (1u << 0) /* until a reset nothing of this register changes */
#define LOCK_ENABLED      (1u << 1)
#define LOCK_FREE_RUNNING (1u << 2) /* without a reboot it begins again after the second stage */
#define LOCK_BITS         0x07u

/* Memory. Writes are taken right after 0x80 and 0x86 were written to the reload register. */
#define REG_TIMER1     0x0
#define REG_TIMER2     0x4
#define REG_RELOAD     0xc
#define PRELOAD_MASK   0xfffffu
#define RELOAD_TIMER   (1u << 8)
#define RELOAD_TIMEOUT (1u << 9) /* read: it has expired; written: forget that */
#define UNLOCK_FIRST   0x80
#define UNLOCK_SECOND  0x86

/* The PCI clock of 33 MHz is divided by 2^15 (about 1 kHz) or 2^5 (about 1 MHz). */
#define PCI_TICK_NS 30
#define SLOW_SHIFT  15
#define FAST_SHIFT  5

typedef struct I6300Esb {
    Device device;
    DeviceEnv *env;
    GSource *timer; /* its ready time is `deadline`; any thread may set it */

    GMutex lock; /* guards what follows */
    guint16 settings;
    guint8 lock_register;
    guint32 preload[2];
    guint unlocked;  /* how far the sequence has come: 2 is unlocked */
    guint stage;     /* 0 or 1, which one runs */
    gint64 deadline; /* monotonic us; -1: it does not run */
    gint64 left;     /* us, while the machine stands still; -1: it runs */
    gboolean timed_out;
} I6300Esb;

/* With the lock held, as all of these. */
static void set_deadline(I6300Esb *self, gint64 deadline)
{
    self->deadline = deadline;
    g_source_set_ready_time(self->timer, deadline);
}

static void begin_stage(I6300Esb *self, guint stage)
{
    guint shift = self->settings & SETTING_FAST ? FAST_SHIFT : SLOW_SHIFT;
    gint64 ns = (gint64)((guint64)self->preload[stage] << shift) * PCI_TICK_NS;
    self->stage = stage;
    if (self->left >= 0) {
        self->left = ns / 1000;
    } else {
        set_deadline(self, g_get_monotonic_time() + ns / 1000);
    }
}

static void set_lock_register(I6300Esb *self, guint8 value)
{
    gboolean was_enabled = self->lock_register & LOCK_ENABLED;
    if (self->lock_register & LOCK_LOCKED) {
        return;
    }
    self->lock_register = value & LOCK_BITS;
    if (!(value & LOCK_ENABLED)) {
        set_deadline(self, -1);
    } else if (!was_enabled) {
        begin_stage(self, 0);
    }
}

static void on_config(PciDevice *pci, guint offset, guint size, gboolean is_write, gpointer user_data)
{
    I6300Esb *self = user_data;
    guint8 *config = pci_device_config(pci);
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&self->lock);
    if (is_write) {
        self->settings = (config[CONFIG_SETTINGS] | config[CONFIG_SETTINGS + 1] << 8) & SETTING_BITS;
        if (offset <= CONFIG_LOCK && offset + size > CONFIG_LOCK) {
            set_lock_register(self, config[CONFIG_LOCK]);
        }
    }
    config[CONFIG_SETTINGS] = (guint8)self->settings;
    config[CONFIG_SETTINGS + 1] = 0;
    config[CONFIG_LOCK] = self->lock_register;
}

static guint64 bar_read(gpointer device, guint64 offset, guint size)
{
    I6300Esb *self = device;
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&self->lock);
    switch (offset) {
    case REG_TIMER1:
        return self->preload[0];
    case REG_TIMER2:
        return self->preload[1];
    case REG_RELOAD:
        return self->timed_out ? RELOAD_TIMEOUT : 0;
    default:
        return 0;
    }
}

static void bar_write(gpointer device, guint64 offset, guint size, guint64 value)
{
    I6300Esb *self = device;
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&self->lock);
    if (offset == REG_RELOAD && value == UNLOCK_FIRST) {
        self->unlocked = 1;
        return;
    }
    if (offset == REG_RELOAD && value == UNLOCK_SECOND && self->unlocked == 1) {
        self->unlocked = 2;
        return;
    }
    gboolean taken = self->unlocked == 2;
    self->unlocked = 0;
    if (!taken) {
        return;
    }
    if (offset == REG_TIMER1 || offset == REG_TIMER2) {
        self->preload[offset / REG_TIMER2] = (guint32)value & PRELOAD_MASK;
    } else if (offset == REG_RELOAD) {
        if (value & RELOAD_TIMEOUT) {
            self->timed_out = FALSE;
        }
        if ((value & RELOAD_TIMER) && (self->lock_register & LOCK_ENABLED)) {
            begin_stage(self, 0);
        }
    }
}

static const IoBusOps BAR_OPS = {bar_read, bar_write};

/* To power-on state, but for the note that it has expired: the guest asks for that after the reset. */
static void set_defaults(I6300Esb *self)
{
    self->settings = 0;
    self->lock_register = 0;
    self->preload[0] = self->preload[1] = PRELOAD_MASK;
    self->unlocked = self->stage = 0;
    set_deadline(self, -1);
}

static gboolean on_timer(gpointer user_data)
{
    I6300Esb *self = user_data;
    gboolean alarm = FALSE;
    g_mutex_lock(&self->lock);
    /* It may have been reloaded while this was on its way. */
    if (self->deadline < 0 || g_get_monotonic_time() < self->deadline) {
        g_source_set_ready_time(self->timer, self->deadline);
    } else if (self->stage == 0) {
        begin_stage(self, 1);
    } else if (!(self->settings & SETTING_NO_REBOOT)) {
        alarm = self->timed_out = TRUE;
        set_defaults(self);
    } else if (self->lock_register & LOCK_FREE_RUNNING) {
        begin_stage(self, 0);
    } else {
        set_deadline(self, -1);
    }
    g_mutex_unlock(&self->lock);
    if (alarm) {
        self->env->alarm(DEVICE_ALARM_WATCHDOG, self->env->event_data);
    }
    return G_SOURCE_CONTINUE;
}

static gboolean dispatch(GSource *source, GSourceFunc callback, gpointer user_data)
{
    return callback(user_data);
}

static GSourceFuncs timer_funcs = {.dispatch = dispatch};

static void esb_reset(Device *device)
{
    I6300Esb *self = (I6300Esb *)device;
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&self->lock);
    set_defaults(self);
    self->left = -1;
}

static void esb_pause(Device *device)
{
    I6300Esb *self = (I6300Esb *)device;
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&self->lock);
    if (self->deadline >= 0) {
        self->left = MAX(self->deadline - g_get_monotonic_time(), 0);
        set_deadline(self, -1);
    }
}

static void esb_resume(Device *device)
{
    I6300Esb *self = (I6300Esb *)device;
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&self->lock);
    if (self->left >= 0) {
        set_deadline(self, g_get_monotonic_time() + self->left);
        self->left = -1;
    }
}

static void esb_destroy(Device *device)
{
    I6300Esb *self = (I6300Esb *)device;
    g_clear_pointer(&self->device.pci, pci_device_free);
    g_source_destroy(self->timer);
    g_source_unref(self->timer);
    g_mutex_clear(&self->lock);
    g_free(self);
}

static Device *create(DeviceEnv *env, OptSet *options, GError **error)
{
    static const PciIdentity identity = {.vendor = VENDOR_INTEL,
                                         .device = DEVICE_WDT,
                                         .subsystem_vendor = 0x1af4,
                                         .subsystem = 0x1100,
                                         .class_code = PCI_CLASS_WDT};
    int slot;
    guint function;
    if (!device_take_pci_place(options, &slot, &function, error)) {
        return NULL;
    }
    I6300Esb *self = g_new0(I6300Esb, 1);
    self->device =
        (Device){.reset = esb_reset, .pause = esb_pause, .resume = esb_resume, .destroy = esb_destroy};
    self->env = env;
    g_mutex_init(&self->lock);
    self->timer = g_source_new(&timer_funcs, sizeof(GSource));
    g_source_set_callback(self->timer, on_timer, self, NULL);
    g_source_attach(self->timer, NULL);
    esb_reset(&self->device);
    self->device.pci = pci_device_new(env->pci, "i6300esb", &identity, slot, function, 0, error);
    if (!self->device.pci) {
        esb_destroy(&self->device);
        return NULL;
    }
    guint8 *writable = pci_device_writable(self->device.pci);
    writable[CONFIG_SETTINGS] = SETTING_BITS;
    writable[CONFIG_LOCK] = LOCK_BITS;
    pci_device_set_config_func(self->device.pci, CONFIG_FIRST, CONFIG_LENGTH, on_config, self);
    pci_device_add_bar(self->device.pci, 0, BAR_SIZE, FALSE, &BAR_OPS, self);
    return &self->device;
}

const DeviceType i6300esb_type = {
    .name = "i6300esb",
    .bus = "PCI",
    .description = "watchdog; -action watchdog= says what it does",
    .create = create,
};
