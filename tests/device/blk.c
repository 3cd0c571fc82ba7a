// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/device/blk.h"

#include <check.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

BlkTest blk;

guint8 blk_pattern(guint64 at)
{
    return (guint8)(at * 31 + (at >> 8) * 7 + (at >> 16));
}

void blk_make_image(void)
{
    blk.folder = g_dir_make_tmp("virt-suite-blk-XXXXXX", NULL);
    blk.image = g_build_filename(blk.folder, "image", NULL);
    g_autofree char *bytes = g_malloc(BLK_IMAGE);
    for (gsize i = 0; i < BLK_IMAGE; i++)
        bytes[i] = (char)blk_pattern(i);
    ck_assert(g_file_set_contents(blk.image, bytes, BLK_IMAGE, NULL));
}

void blk_add_node(const char *text)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(OptSet) options = optset_parse("-blockdev", text, "driver", &error);
    ck_assert_msg(options != NULL && block_set_add(blk.rig->env.blocks, options, &error) != NULL, "%s",
                  error->message);
}

void blk_start_driver(guint64 features)
{
    ck_assert(driver_negotiate(blk.driver, features));
    blk.queue = driver_setup_queue(blk.driver, 0, 64);
    driver_ok(blk.driver);
}

void blk_set_up_on(const char *node, const char *device, guint64 features)
{
    blk.rig = rig_new();
    rig_object(blk.rig, "iothread,id=io");
    g_autofree char *node_text =
        g_strdup_printf("%s,node-name=disk,file.driver=file,file.filename=%s", node, blk.image);
    g_autofree char *device_text =
        g_strdup_printf("virtio-blk-pci,drive=disk,id=d%s%s%s", blk.thread == 1 ? ",iothread=io" : "",
                        *device != '\0' ? "," : "", device);
    blk_add_node(node_text);
    rig_device(blk.rig, device_text);
    rig_assign(blk.rig);
    blk.driver = driver_new(blk.rig, 2, BLK_DRIVER_BASE);
    driver_msix_enable(blk.driver);
    blk_start_driver(features);
}

void blk_set_up(const char *device)
{
    blk_make_image();
    blk_set_up_on("raw,discard=unmap", device, BLK_ALL);
}

void blk_tear_down(void)
{
    g_free(blk.driver);
    rig_free(blk.rig);
    unlink(blk.image);
    rmdir(blk.folder);
    g_free(blk.image);
    g_free(blk.folder);
}

void *blk_ram(guint64 address)
{
    return guest_memory_range(blk.rig->memory, address, 1);
}

/* ---- requests ---- */

/* Header, data, status: each in a buffer of its own. */
BlkAsked blk_ask(guint32 type, guint64 sector, guint64 data, guint32 length)
{
    BlkAsked asked = {driver_alloc(blk.driver, 16), data, driver_alloc(blk.driver, 1), length};
    gboolean is_in = type == VIRTIO_BLK_T_IN || type == VIRTIO_BLK_T_GET_ID;
    memcpy(blk_ram(asked.header), &type, 4);
    memcpy((guint8 *)blk_ram(asked.header) + 8, &sector, 8);
    *(guint8 *)blk_ram(asked.status) = BLK_UNTOUCHED;
    DriverBuffer buffers[] = {{asked.header, 16, FALSE}, {data, length, is_in}, {asked.status, 1, TRUE}};
    if (length == 0)
        buffers[1] = buffers[2];
    driver_add(blk.driver, blk.queue, buffers, length == 0 ? 2 : 3);
    return asked;
}

guint8 blk_status_of(const BlkAsked *asked)
{
    return *(guint8 *)blk_ram(asked->status);
}

/* The status of one request. */
guint8 blk_call(guint32 type, guint64 sector, guint64 data, guint32 length)
{
    BlkAsked asked = blk_ask(type, sector, data, length);
    driver_kick(blk.driver, blk.queue);
    driver_wait_used(blk.driver, blk.queue, NULL);
    return blk_status_of(&asked);
}

void blk_check_pattern(guint64 data, guint64 offset, guint length)
{
    for (guint i = 0; i < length; i++)
        ck_assert_uint_eq(((guint8 *)blk_ram(data))[i], blk_pattern(offset + i));
}

guint64 blk_fill(guint8 byte, guint32 length)
{
    guint64 data = driver_alloc(blk.driver, length);
    memset(blk_ram(data), byte, length);
    return data;
}

guint8 blk_image_byte(guint64 offset)
{
    guint8 byte = 0;
    int fd = open(blk.image, O_RDONLY);
    ck_assert_int_eq(pread(fd, &byte, 1, (off_t)offset), 1);
    close(fd);
    return byte;
}

guint64 blk_config_read(guint offset, guint size)
{
    return io_bus_read(blk.rig->env.mmio, blk.driver->config + offset, size);
}
