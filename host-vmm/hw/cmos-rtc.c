// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/hw/cmos-rtc.h"

#include <string.h>
#include <time.h>

#define CMOS_SIZE 128

enum {
    REG_SECONDS = 0,
    REG_SECONDS_ALARM = 1,
    REG_MINUTES = 2,
    REG_MINUTES_ALARM = 3,
    REG_HOURS = 4,
    REG_HOURS_ALARM = 5,
    REG_WEEKDAY = 6,
    REG_DAY = 7,
    REG_MONTH = 8,
    REG_YEAR = 9,
    REG_A = 10,
    REG_B = 11,
    REG_C = 12,
    REG_D = 13,
};

#define A_UPDATING 0x80 /* UIP */
#define A_RATE     0x0f
#define A_DEFAULT  0x26 /* 32.768 kHz time base, 1.024 kHz periodic rate */
#define B_SET      0x80
#define B_PERIODIC 0x40
#define B_ALARM    0x20
#define B_UPDATE   0x10
#define B_BINARY   0x04
#define B_24H      0x02
#define C_IRQ      0x80
#define D_VALID    0x80 /* battery is good */
#define HOUR_PM    0x80
#define ALARM_ANY  0xc0 /* both top bits: "don't care" */

/* UIP is set 244 us before an update (data sheet, figure 14). */
#define UPDATE_WARNING_US 244

struct CmosRtc {
    IoBus *ports;
    VmOps *vm;
    GMutex lock; /* guards what follows */
    guint8 index;
    guint8 memory[CMOS_SIZE]; /* time registers only hold a value while B_SET stops the clock */
    gint64 offset_us;         /* guest's clock minus the host's */
    GSource *second_timer;    /* alarm and update interrupts, at each full second; NULL if none is wanted */
    GSource *periodic_timer;
};

static gint64 guest_time_us(const CmosRtc *rtc)
{
    return g_get_real_time() + rtc->offset_us;
}

static guint8 encode(const CmosRtc *rtc, guint value)
{
    return (guint8)(rtc->memory[REG_B] & B_BINARY ? value : value / 10 << 4 | value % 10);
}

static guint decode(const CmosRtc *rtc, guint8 value)
{
    return rtc->memory[REG_B] & B_BINARY ? value : (value >> 4) * 10u + (value & 0x0f);
}

static guint8 encode_hour(const CmosRtc *rtc, guint hour)
{
    if (rtc->memory[REG_B] & B_24H) {
        return encode(rtc, hour);
    }
    guint8 value = encode(rtc, hour % 12 ? hour % 12 : 12);
    return hour >= 12 ? value | HOUR_PM : value;
}

static guint decode_hour(const CmosRtc *rtc, guint8 value)
{
    if (rtc->memory[REG_B] & B_24H) {
        return decode(rtc, value);
    }
    return decode(rtc, value & 0x7f) % 12 + (value & HOUR_PM ? 12 : 0);
}

static gboolean is_time_register(guint8 index)
{
    gboolean is_alarm = index == REG_SECONDS_ALARM || index == REG_MINUTES_ALARM || index == REG_HOURS_ALARM;
    return (index <= REG_YEAR && !is_alarm) || index == CMOS_RTC_CENTURY;
}

static void time_to_registers(CmosRtc *rtc)
{
    time_t seconds = (time_t)(guest_time_us(rtc) / G_USEC_PER_SEC);
    struct tm now;
    gmtime_r(&seconds, &now);
    guint year = (guint)now.tm_year + 1900;
    rtc->memory[REG_SECONDS] = encode(rtc, (guint)now.tm_sec);
    rtc->memory[REG_MINUTES] = encode(rtc, (guint)now.tm_min);
    rtc->memory[REG_HOURS] = encode_hour(rtc, (guint)now.tm_hour);
    rtc->memory[REG_WEEKDAY] = encode(rtc, (guint)now.tm_wday + 1);
    rtc->memory[REG_DAY] = encode(rtc, (guint)now.tm_mday);
    rtc->memory[REG_MONTH] = encode(rtc, (guint)now.tm_mon + 1);
    rtc->memory[REG_YEAR] = encode(rtc, year % 100);
    rtc->memory[CMOS_RTC_CENTURY] = encode(rtc, year / 100);
}

/* What the guest wrote may be no date at all: timegm() makes one of it, within what a struct tm can hold. */
static void registers_to_time(CmosRtc *rtc)
{
    struct tm time = {
        .tm_sec = (int)decode(rtc, rtc->memory[REG_SECONDS]),
        .tm_min = (int)decode(rtc, rtc->memory[REG_MINUTES]),
        .tm_hour = (int)decode_hour(rtc, rtc->memory[REG_HOURS]),
        .tm_mday = (int)decode(rtc, rtc->memory[REG_DAY]),
        .tm_mon = (int)decode(rtc, rtc->memory[REG_MONTH]) - 1,
        .tm_year =
            (int)(decode(rtc, rtc->memory[CMOS_RTC_CENTURY]) * 100 + decode(rtc, rtc->memory[REG_YEAR])) -
            1900,
    };
    time_t seconds = timegm(&time);
    rtc->offset_us = (gint64)seconds * G_USEC_PER_SEC - g_get_real_time();
}

static void raise_flags(CmosRtc *rtc, guint8 flags)
{
    rtc->memory[REG_C] |= flags;
    if (rtc->memory[REG_C] & rtc->memory[REG_B] & (B_PERIODIC | B_ALARM | B_UPDATE)) {
        rtc->memory[REG_C] |= C_IRQ;
        rtc->vm->set_line(rtc->vm, CMOS_RTC_IRQ, TRUE);
    }
}

static gboolean alarm_matches(const CmosRtc *rtc)
{
    for (guint reg = REG_SECONDS; reg <= REG_HOURS; reg += 2) {
        guint8 alarm = rtc->memory[reg + 1];
        if ((alarm & ALARM_ANY) != ALARM_ANY && alarm != rtc->memory[reg]) {
            return FALSE;
        }
    }
    return TRUE;
}

static void clear_timer(GSource **timer)
{
    if (*timer) {
        g_source_destroy(*timer);
        g_source_unref(*timer);
        *timer = NULL;
    }
}

static void arm_second_timer(CmosRtc *rtc);
static void arm_periodic_timer(CmosRtc *rtc);

static gboolean second_passed(gpointer data)
{
    CmosRtc *rtc = data;
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&rtc->lock);
    time_to_registers(rtc);
    raise_flags(rtc, (guint8)(B_UPDATE | (alarm_matches(rtc) ? B_ALARM : 0)));
    arm_second_timer(rtc);
    return G_SOURCE_REMOVE;
}

static gboolean period_passed(gpointer data)
{
    CmosRtc *rtc = data;
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&rtc->lock);
    raise_flags(rtc, B_PERIODIC);
    arm_periodic_timer(rtc);
    return G_SOURCE_REMOVE;
}

static GSource *new_timer(gint64 after_us, GSourceFunc func, CmosRtc *rtc)
{
    GSource *timer = g_timeout_source_new(0);
    g_source_set_callback(timer, func, rtc, NULL);
    g_source_set_ready_time(timer, g_get_monotonic_time() + after_us);
    g_source_attach(timer, NULL);
    return timer;
}

/* An idle guest has neither interrupt on, and then there is no timer at all. */
static void arm_second_timer(CmosRtc *rtc)
{
    clear_timer(&rtc->second_timer);
    if ((rtc->memory[REG_B] & (B_ALARM | B_UPDATE)) && !(rtc->memory[REG_B] & B_SET)) {
        gint64 into_second = guest_time_us(rtc) % G_USEC_PER_SEC;
        into_second += into_second < 0 ? G_USEC_PER_SEC : 0;
        rtc->second_timer = new_timer(G_USEC_PER_SEC - into_second, second_passed, rtc);
    }
}

static void arm_periodic_timer(CmosRtc *rtc)
{
    clear_timer(&rtc->periodic_timer);
    guint rate = rtc->memory[REG_A] & A_RATE;
    if ((rtc->memory[REG_B] & B_PERIODIC) && rate) {
        /* Rates 1 and 2 are 8 and 9 (data sheet, table 5). A guest's period is not made shorter than 1/1024
         * s. */
        guint shift = rate <= 2 ? rate + 6 : rate - 1;
        gint64 period_us = MAX(G_USEC_PER_SEC * (1 << shift) / 32768, G_USEC_PER_SEC / 1024);
        rtc->periodic_timer = new_timer(period_us, period_passed, rtc);
    }
}

static guint64 rtc_read(gpointer device, guint64 offset, guint size)
{
    CmosRtc *rtc = device;
    if (offset == 0) {
        return 0xff; /* the index is write-only */
    }
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&rtc->lock);
    if (is_time_register(rtc->index) && !(rtc->memory[REG_B] & B_SET)) {
        time_to_registers(rtc);
    }
    guint8 value = rtc->memory[rtc->index];
    if (rtc->index == REG_A && !(rtc->memory[REG_B] & B_SET)) {
        gint64 into_second = guest_time_us(rtc) % G_USEC_PER_SEC;
        if (into_second >= G_USEC_PER_SEC - UPDATE_WARNING_US) {
            value |= A_UPDATING;
        }
    } else if (rtc->index == REG_C) {
        rtc->memory[REG_C] = 0;
        rtc->vm->set_line(rtc->vm, CMOS_RTC_IRQ, FALSE);
    }
    return value;
}

static void write_register(CmosRtc *rtc, guint8 value)
{
    guint8 before = rtc->memory[REG_B];
    switch (rtc->index) {
    case REG_A:
        rtc->memory[REG_A] = value & ~A_UPDATING;
        arm_periodic_timer(rtc);
        break;
    case REG_B:
        if ((value & B_SET) && !(before & B_SET)) {
            time_to_registers(rtc); /* stops the clock: its registers hold from now on */
        }
        rtc->memory[REG_B] = value;
        if (!(value & B_SET) && (before & B_SET)) {
            registers_to_time(rtc);
        }
        raise_flags(rtc, 0);
        arm_second_timer(rtc);
        arm_periodic_timer(rtc);
        break;
    case REG_C:
    case REG_D:
        break; /* read-only */
    default:
        if (is_time_register(rtc->index) && !(before & B_SET)) {
            time_to_registers(rtc); /* the others go on from now */
            rtc->memory[rtc->index] = value;
            registers_to_time(rtc);
        } else {
            rtc->memory[rtc->index] = value;
        }
        break;
    }
}

static void rtc_write(gpointer device, guint64 offset, guint size, guint64 value)
{
    CmosRtc *rtc = device;
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&rtc->lock);
    if (offset == 0) {
        rtc->index = value & (CMOS_SIZE - 1); /* bit 7 switches NMIs off: there is no source of them */
    } else {
        write_register(rtc, (guint8)value);
    }
}

static const IoBusOps RTC_OPS = {rtc_read, rtc_write};

CmosRtc *cmos_rtc_new(IoBus *ports, VmOps *vm, GError **error)
{
    CmosRtc *rtc = g_new0(CmosRtc, 1);
    g_mutex_init(&rtc->lock);
    rtc->ports = ports;
    rtc->vm = vm;
    rtc->memory[REG_A] = A_DEFAULT;
    rtc->memory[REG_B] = B_24H;
    rtc->memory[REG_D] = D_VALID;
    if (!io_bus_map(ports, CMOS_RTC_PORT, 2, &RTC_OPS, rtc, error)) {
        g_mutex_clear(&rtc->lock);
        g_free(rtc);
        return NULL;
    }
    return rtc;
}

void cmos_rtc_reset(CmosRtc *rtc)
{
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&rtc->lock);
    rtc->memory[REG_B] &= (guint8) ~(B_PERIODIC | B_ALARM | B_UPDATE | B_SET);
    rtc->memory[REG_C] = 0;
    rtc->vm->set_line(rtc->vm, CMOS_RTC_IRQ, FALSE);
    arm_second_timer(rtc);
    arm_periodic_timer(rtc);
}

void cmos_rtc_free(CmosRtc *rtc)
{
    if (!rtc) {
        return;
    }
    io_bus_unmap(rtc->ports, CMOS_RTC_PORT);
    clear_timer(&rtc->second_timer);
    clear_timer(&rtc->periodic_timer);
    g_mutex_clear(&rtc->lock);
    g_free(rtc);
}
