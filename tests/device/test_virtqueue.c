// SPDX-License-Identifier: GPL-2.0-or-later
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "host-vmm/virtio/virtqueue.h"
#include "tests/check-run.h"

#define RAM   (1u << 20)
#define SIZE  8
#define DESC  0x1000
#define AVAIL 0x2000
#define USED  0x3000
#define TABLE 0x4000
#define DATA  0x10000

#define NEXT     1
#define WRITE    2
#define INDIRECT 4

typedef struct Desc {
    guint64 address;
    guint32 length;
    guint16 flags, next;
} Desc;

static GuestMemory *memory;
static VirtQueue queue;

static void put16(guint64 address, guint16 value)
{
    ck_assert(guest_memory_write(memory, address, &value, sizeof value));
}

static guint16 get16(guint64 address)
{
    guint16 value = 0;
    ck_assert(guest_memory_read(memory, address, &value, sizeof value));
    return value;
}

static void put_desc(guint64 table, guint index, Desc desc)
{
    ck_assert(guest_memory_write(memory, table + 16 * index, &desc, sizeof desc));
}

static void offer(guint16 head)
{
    guint16 index = get16(AVAIL + 2);
    put16(AVAIL + 4 + 2 * (index % queue.size), head);
    put16(AVAIL + 2, (guint16)(index + 1));
}

static void set_up(void)
{
    memory = guest_memory_new(RAM, NULL);
    ck_assert_ptr_nonnull(memory);
    memset(&queue, 0, sizeof queue);
    virtqueue_init(&queue, memory, 256);
    ck_assert(virtqueue_set_size(&queue, SIZE));
    queue.desc_address = DESC;
    queue.driver_address = AVAIL;
    queue.device_address = USED;
    queue.indirect = TRUE;
    ck_assert(virtqueue_enable(&queue, NULL));
}

static void tear_down(void)
{
    guest_memory_free(memory);
}

/* The queue breaks on what is offered now, with this reason, and stays so until a reset. */
static void expect_broken(const char *why)
{
    g_autoptr(GError) error = NULL;
    ck_assert_ptr_null(virtqueue_pop(&queue, &error));
    ck_assert_ptr_nonnull(error);
    ck_assert_str_eq(error->message, why);
    ck_assert(queue.broken);
    ck_assert_ptr_null(virtqueue_pop(&queue, NULL));
    ck_assert(!virtqueue_want_kicks(&queue));
    ck_assert(!virtqueue_should_interrupt(&queue));
    virtqueue_reset(&queue);
    ck_assert(!queue.broken && !queue.enabled);
    ck_assert_uint_eq(queue.size, 256);
}

static VirtQueueElement *pop(void)
{
    g_autoptr(GError) error = NULL;
    VirtQueueElement *element = virtqueue_pop(&queue, &error);
    ck_assert_msg(error == NULL, "%s", error != NULL ? error->message : "");
    return element;
}

START_TEST (sizes) {
    static const guint bad[] = {0, 3, 257, 512, 65535, 65536, G_MAXUINT};
    for (guint i = 0; i < G_N_ELEMENTS(bad); i++)
        ck_assert(!virtqueue_set_size(&queue, bad[i]));
    ck_assert_uint_eq(queue.size, SIZE);
    ck_assert(virtqueue_set_size(&queue, 1));
    ck_assert(virtqueue_set_size(&queue, 256));
}
END_TEST

static const struct {
    guint64 desc, avail, used;
    gboolean ok;
} places[] = {
    {DESC, AVAIL, USED, TRUE},
    {DESC + 8, AVAIL, USED, FALSE},
    {DESC, AVAIL + 1, USED, FALSE},
    {DESC, AVAIL, USED + 2, FALSE},
    {RAM - 16 * SIZE, AVAIL, USED, TRUE},
    {RAM - 16 * SIZE + 16, AVAIL, USED, FALSE},
    {DESC, RAM - 6 - 2 * SIZE, USED, TRUE},
    {DESC, RAM - 4 - 2 * SIZE, USED, FALSE},
    {DESC, AVAIL, RAM - 8 - 8 * SIZE, TRUE},
    {DESC, AVAIL, RAM - 4 - 8 * SIZE, FALSE},
    {0xfee00000, AVAIL, USED, FALSE},
    {DESC, G_MAXUINT64 - 1, USED, FALSE},
    {DESC, AVAIL, G_MAXUINT64 - 3, FALSE},
    {G_MAXUINT64 - 15, AVAIL, USED, FALSE},
};

START_TEST (rings_must_be_in_ram) {
    for (guint i = 0; i < G_N_ELEMENTS(places); i++) {
        g_autoptr(GError) error = NULL;
        virtqueue_reset(&queue);
        virtqueue_set_size(&queue, SIZE);
        queue.desc_address = places[i].desc;
        queue.driver_address = places[i].avail;
        queue.device_address = places[i].used;
        ck_assert_msg(virtqueue_enable(&queue, &error) == places[i].ok, "place %u", i);
        ck_assert((error == NULL) == places[i].ok);
        ck_assert(queue.broken == !places[i].ok);
        ck_assert_ptr_null(virtqueue_pop(&queue, NULL));
    }
}
END_TEST

START_TEST (chain_of_out_and_in) {
    put_desc(DESC, 3, (Desc){DATA, 4, NEXT, 1});
    put_desc(DESC, 1, (Desc){DATA + 0x100, 0, NEXT, 6}); /* an empty one is no buffer */
    put_desc(DESC, 6, (Desc){DATA + 0x200, 6, NEXT, 0});
    put_desc(DESC, 0, (Desc){DATA + 0x300, 5, NEXT | WRITE, 7});
    put_desc(DESC, 7, (Desc){DATA + 0x400, 7, WRITE, 3});
    ck_assert(guest_memory_write(memory, DATA, "abcd", 4));
    ck_assert(guest_memory_write(memory, DATA + 0x200, "efghij", 6));
    ck_assert_ptr_null(pop());
    offer(3);
    VirtQueueElement *element = pop();
    ck_assert_ptr_nonnull(element);
    ck_assert_uint_eq(element->head, 3);
    ck_assert_uint_eq(element->out_count, 2);
    ck_assert_uint_eq(element->in_count, 2);
    ck_assert_uint_eq(element->out_bytes, 10);
    ck_assert_uint_eq(element->in_bytes, 12);
    ck_assert_ptr_null(pop());
    char text[16] = {0};
    ck_assert_uint_eq(virtqueue_element_read(element, 0, text, sizeof text), 10);
    ck_assert_str_eq(text, "abcdefghij");
    memset(text, 0, sizeof text);
    ck_assert_uint_eq(virtqueue_element_read(element, 3, text, 3), 3);
    ck_assert_str_eq(text, "def");
    ck_assert_uint_eq(virtqueue_element_read(element, 10, text, 3), 0);
    ck_assert_uint_eq(virtqueue_element_write(element, 3, "0123456789", 10), 9);
    ck_assert_uint_eq(virtqueue_element_write(element, 12, "x", 1), 0);
    ck_assert(guest_memory_read(memory, DATA + 0x303, text, 2));
    ck_assert(guest_memory_read(memory, DATA + 0x400, text + 2, 7));
    ck_assert_mem_eq(text, "012345678", 9);
    virtqueue_push(&queue, element, 99); /* no more than there was room for */
    ck_assert_uint_eq(get16(USED + 2), 1);
    guint32 entry[2];
    ck_assert(guest_memory_read(memory, USED + 4, entry, sizeof entry));
    ck_assert_uint_eq(entry[0], 3);
    ck_assert_uint_eq(entry[1], 12);
}
END_TEST

START_TEST (indirect_chains) {
    put_desc(TABLE, 0, (Desc){DATA, 10, NEXT, 2});
    put_desc(TABLE, 2, (Desc){DATA + 0x100, 20, WRITE, 0});
    put_desc(DESC, 5, (Desc){TABLE, 3 * 16, INDIRECT | WRITE, 9}); /* WRITE has no meaning here */
    offer(5);
    VirtQueueElement *element = pop();
    ck_assert_uint_eq(element->head, 5);
    ck_assert_uint_eq(element->out_bytes, 10);
    ck_assert_uint_eq(element->in_bytes, 20);
    virtqueue_push(&queue, element, 0);
    /* After ordinary descriptors, which section 2.7.5.3.2 asks us to take; the table need not be aligned. */
    put_desc(TABLE + 0x103, 0, (Desc){DATA, 10, NEXT, 1});
    put_desc(TABLE + 0x103, 1, (Desc){DATA, 10, WRITE, 1});
    put_desc(DESC, 0, (Desc){DATA, 1, NEXT, 1});
    put_desc(DESC, 1, (Desc){TABLE + 0x103, 32, INDIRECT, 0});
    offer(0);
    element = pop();
    ck_assert_uint_eq(element->out_bytes, 11);
    ck_assert_uint_eq(element->in_bytes, 10);
    virtqueue_push(&queue, element, 0);
}
END_TEST

static const struct {
    Desc desc[3], table[3];
    guint16 head;
    const char *why;
} bad_chains[] = {
    {{{0}}, {{0}}, SIZE, "a descriptor beyond the end of its table"},
    {{{0}}, {{0}}, 0xffff, "a descriptor beyond the end of its table"},
    {{{DATA, 1, NEXT, SIZE}}, {{0}}, 0, "a descriptor beyond the end of its table"},
    {{{DATA, 1, NEXT, 0}}, {{0}}, 0, "a chain that runs in a circle"},
    {{{DATA, 1, NEXT, 1}, {DATA, 1, NEXT, 2}, {DATA, 1, NEXT, 1}}, {{0}}, 0, "a chain that runs in a circle"},
    {{{DATA, 0, NEXT, 0}}, {{0}}, 0, "a chain that runs in a circle"},
    {{{DATA, 1, WRITE | NEXT, 1}, {DATA, 1, 0, 0}}, {{0}}, 0, "a readable buffer after a writable one"},
    {{{RAM - 1, 2, 0, 0}}, {{0}}, 0, "a buffer is not in RAM"},
    {{{RAM, 1, WRITE, 0}}, {{0}}, 0, "a buffer is not in RAM"},
    {{{G_MAXUINT64, 1, 0, 0}}, {{0}}, 0, "a buffer is not in RAM"},
    {{{G_MAXUINT64 - 10, 100, WRITE, 0}}, {{0}}, 0, "a buffer is not in RAM"},
    {{{DATA, G_MAXUINT32, 0, 0}}, {{0}}, 0, "a buffer is not in RAM"},
    {{{TABLE, 0, INDIRECT, 0}}, {{0}}, 0, "an indirect table of impossible length"},
    {{{TABLE, 17, INDIRECT, 0}}, {{0}}, 0, "an indirect table of impossible length"},
    {{{TABLE, 0xfffffff0, INDIRECT, 0}}, {{0}}, 0, "an indirect table of impossible length"},
    {{{RAM - 16, 32, INDIRECT, 0}}, {{0}}, 0, "an indirect table is not in RAM"},
    {{{G_MAXUINT64 - 15, 32, INDIRECT, 0}}, {{0}}, 0, "an indirect table is not in RAM"},
    {{{TABLE, 16, INDIRECT | NEXT, 1}}, {{0}}, 0, "an indirect descriptor where none may be"},
    {{{TABLE, 32, INDIRECT, 0}}, {{TABLE, 16, INDIRECT, 0}}, 0, "an indirect descriptor where none may be"},
    {{{TABLE, 32, INDIRECT, 0}},
     {{DATA, 1, NEXT, 1}, {DATA, 1, NEXT, 0}},
     0,
     "a chain that runs in a circle"},
    {{{TABLE, 32, INDIRECT, 0}}, {{DATA, 1, NEXT, 2}}, 0, "a descriptor beyond the end of its table"},
    {{{DATA, 1, WRITE | NEXT, 1}, {TABLE, 16, INDIRECT, 0}},
     {{DATA, 1, 0, 0}},
     0,
     "a readable buffer after a writable one"},
};

START_TEST (bad_chains_break_the_queue) {
    for (guint j = 0; j < 3; j++) {
        put_desc(DESC, j, bad_chains[_i].desc[j]);
        put_desc(TABLE, j, bad_chains[_i].table[j]);
    }
    offer(bad_chains[_i].head);
    expect_broken(bad_chains[_i].why);
}
END_TEST

START_TEST (indirect_needs_the_feature) {
    queue.indirect = FALSE;
    put_desc(TABLE, 0, (Desc){DATA, 1, 0, 0});
    put_desc(DESC, 0, (Desc){TABLE, 16, INDIRECT, 0});
    offer(0);
    expect_broken("an indirect descriptor where none may be");
}
END_TEST

START_TEST (too_many_segments) {
    const guint entries = VIRTQUEUE_MAX_SEGMENTS + 1;
    for (guint i = 0; i < entries; i++)
        put_desc(DATA, i, (Desc){0, 1, i + 1 < entries ? NEXT : 0, (guint16)(i + 1)});
    put_desc(DESC, 0, (Desc){DATA, entries * 16, INDIRECT, 0});
    put_desc(DESC, 1, (Desc){DATA + 16, (entries - 1) * 16, INDIRECT, 0});
    for (guint i = 1; i < entries; i++) /* the second table begins at entry 1 */
        put_desc(DATA, i, (Desc){0, 1, i + 1 < entries ? NEXT : 0, (guint16)i});
    offer(1);
    VirtQueueElement *element = pop();
    ck_assert_uint_eq(element->out_count, VIRTQUEUE_MAX_SEGMENTS);
    virtqueue_push(&queue, element, 0);
    for (guint i = 1; i < entries; i++)
        put_desc(DATA, i, (Desc){0, 1, i + 1 < entries ? NEXT : 0, (guint16)(i + 1)});
    offer(0);
    expect_broken("a chain of too many buffers");
}
END_TEST

START_TEST (more_than_32_bits_of_bytes) {
    /* 64 MiB, seventy times: each is in RAM, the sum is not. */
    guest_memory_free(memory);
    memory = guest_memory_new(128u << 20, NULL);
    ck_assert_ptr_nonnull(memory);
    queue.memory = memory;
    virtqueue_reset(&queue);
    virtqueue_set_size(&queue, SIZE);
    queue.desc_address = DESC;
    queue.driver_address = AVAIL;
    queue.device_address = USED;
    queue.indirect = TRUE;
    ck_assert(virtqueue_enable(&queue, NULL));
    for (guint i = 0; i < 70; i++)
        put_desc(TABLE, i, (Desc){0, 64u << 20, i < 69 ? NEXT : 0, (guint16)(i + 1)});
    put_desc(DESC, 0, (Desc){TABLE, 70 * 16, INDIRECT, 0});
    offer(0);
    expect_broken("a chain of more than 4 GiB");
}
END_TEST

START_TEST (index_jumps) {
    put_desc(DESC, 0, (Desc){DATA, 1, 0, 0});
    put16(AVAIL + 2, SIZE);
    VirtQueueElement *element = pop();
    ck_assert_ptr_nonnull(element);
    virtqueue_push(&queue, element, 0);
    put16(AVAIL + 2, SIZE + 2);
    /* Seven are still known; then one more than the ring holds. */
    for (guint i = 0; i < SIZE - 1; i++)
        virtqueue_push(&queue, pop(), 0);
    put16(AVAIL + 2, 2 * SIZE + 1);
    expect_broken("the available index jumped by more than the queue's size");
}
END_TEST

START_TEST (index_going_back) {
    put_desc(DESC, 0, (Desc){DATA, 1, 0, 0});
    put16(AVAIL + 2, 2);
    g_free(pop());
    g_free(pop());
    put16(AVAIL + 2, 1);
    expect_broken("the available index jumped by more than the queue's size");
}
END_TEST

START_TEST (same_chain_over_and_over) {
    VirtQueueElement *held[SIZE];
    put_desc(DESC, 0, (Desc){DATA, 1, 0, 0});
    put16(AVAIL + 2, SIZE);
    for (guint i = 0; i < SIZE; i++) {
        held[i] = pop();
        ck_assert_ptr_nonnull(held[i]);
    }
    put16(AVAIL + 2, SIZE + 1);
    expect_broken("more chains than the queue has descriptors");
    for (guint i = 0; i < SIZE; i++)
        g_free(held[i]);
}
END_TEST

static void round_trip(void)
{
    offer(0);
    VirtQueueElement *element = pop();
    ck_assert_ptr_nonnull(element);
    virtqueue_push(&queue, element, 0);
}

START_TEST (indices_wrap) {
    put_desc(DESC, 0, (Desc){DATA, 1, WRITE, 0});
    for (guint i = 0; i < 70000; i++)
        round_trip();
    ck_assert_uint_eq(get16(USED + 2), 70000 - 65536);
    ck_assert_uint_eq(queue.in_use, 0);
}
END_TEST

START_TEST (interrupts_without_event_idx) {
    put_desc(DESC, 0, (Desc){DATA, 1, 0, 0});
    ck_assert(!virtqueue_should_interrupt(&queue));
    round_trip();
    round_trip();
    ck_assert(virtqueue_should_interrupt(&queue));
    ck_assert(!virtqueue_should_interrupt(&queue)); /* nothing new */
    put16(AVAIL, 1);
    round_trip();
    ck_assert(!virtqueue_should_interrupt(&queue));
    put16(AVAIL, 0);
    round_trip();
    ck_assert(virtqueue_should_interrupt(&queue));
}
END_TEST

START_TEST (interrupts_with_event_idx) {
    const guint64 used_event = AVAIL + 4 + 2 * SIZE;
    queue.event_idx = TRUE;
    put_desc(DESC, 0, (Desc){DATA, 1, 0, 0});
    put16(AVAIL, 1); /* flags have no meaning now */
    round_trip();
    ck_assert(virtqueue_should_interrupt(&queue)); /* 0 was asked for */
    round_trip();
    ck_assert(!virtqueue_should_interrupt(&queue));
    put16(used_event, 4); /* the fifth */
    round_trip();
    round_trip();
    ck_assert(!virtqueue_should_interrupt(&queue));
    round_trip();
    ck_assert(virtqueue_should_interrupt(&queue));
    round_trip();
    ck_assert(!virtqueue_should_interrupt(&queue));
    /* Passed within a batch. */
    put16(used_event, 7);
    for (guint i = 0; i < 5; i++)
        round_trip();
    ck_assert(virtqueue_should_interrupt(&queue));
    /* Around the wrap of the index. */
    while (queue.used != 65534) {
        round_trip();
        virtqueue_should_interrupt(&queue);
    }
    put16(used_event, 65535);
    round_trip();
    ck_assert(!virtqueue_should_interrupt(&queue));
    round_trip();
    ck_assert(virtqueue_should_interrupt(&queue));
    /* A batch so long that every event is in it. */
    put16(used_event, 0x7777);
    for (guint i = 0; i < 65536; i++)
        round_trip();
    ck_assert(virtqueue_should_interrupt(&queue));
}
END_TEST

START_TEST (kicks_without_event_idx) {
    put_desc(DESC, 0, (Desc){DATA, 1, 0, 0});
    virtqueue_stop_kicks(&queue);
    ck_assert_uint_eq(get16(USED), 1);
    ck_assert(!virtqueue_want_kicks(&queue));
    ck_assert_uint_eq(get16(USED), 0);
    virtqueue_stop_kicks(&queue);
    offer(0);
    ck_assert(virtqueue_want_kicks(&queue));
}
END_TEST

START_TEST (kicks_with_event_idx) {
    const guint64 avail_event = USED + 4 + 8 * SIZE;
    queue.event_idx = TRUE;
    put_desc(DESC, 0, (Desc){DATA, 1, 0, 0});
    round_trip();
    ck_assert_ptr_null(pop());
    ck_assert_uint_eq(get16(avail_event), 1);
    virtqueue_stop_kicks(&queue);
    round_trip();
    round_trip();
    ck_assert_ptr_null(pop());
    ck_assert_uint_eq(get16(avail_event), 1);
    ck_assert_uint_eq(get16(USED), 0);
    ck_assert(!virtqueue_want_kicks(&queue));
    ck_assert_uint_eq(get16(avail_event), 3);
    virtqueue_stop_kicks(&queue);
    offer(0);
    ck_assert(virtqueue_want_kicks(&queue));
}
END_TEST

START_TEST (several_chains_at_once) {
    VirtQueueElement *elements[3];
    guint32 written[3] = {10, 99, 0}, entry[2];
    for (guint16 i = 0; i < 3; i++) {
        put_desc(DESC, i, (Desc){DATA + 64 * i, 64, WRITE, 0});
        offer(i);
    }
    for (guint i = 0; i < 3; i++)
        elements[i] = pop();
    virtqueue_push_many(&queue, elements, written, 3);
    ck_assert_uint_eq(get16(USED + 2), 3);
    for (guint16 i = 0; i < 3; i++) {
        ck_assert(guest_memory_read(memory, USED + 4 + 8 * i, entry, sizeof entry));
        ck_assert_uint_eq(entry[0], i);
        ck_assert_uint_eq(entry[1], MIN(written[i], 64)); /* never more than there was room for */
    }
    ck_assert(virtqueue_should_interrupt(&queue));
    ck_assert(!virtqueue_should_interrupt(&queue));
    ck_assert_uint_eq(queue.in_use, 0);
}
END_TEST

START_TEST (handed_over_and_back) {
    VirtQueueElement *elements[3];
    for (guint16 i = 0; i < 5; i++) {
        put_desc(DESC, i, (Desc){DATA + 64 * i, 64, WRITE, 0});
        offer(i);
    }
    for (guint i = 0; i < 3; i++)
        elements[i] = pop();
    virtqueue_push(&queue, elements[0], 1);
    g_free(elements[1]);
    g_free(elements[2]);
    ck_assert_uint_eq(virtqueue_hand_over(&queue, 2), 1);
    /* The other one takes three and gives two back. */
    put16(USED + 2, 3);
    virtqueue_take_back(&queue);
    for (guint16 i = 3; i < 5; i++) {
        VirtQueueElement *element = pop();
        ck_assert_ptr_nonnull(element);
        ck_assert_uint_eq(element->head, i);
        virtqueue_push(&queue, element, 0);
    }
    ck_assert_ptr_null(pop());
    ck_assert_uint_eq(get16(USED + 2), 5);
    /* An index that the driver made up is found out. */
    virtqueue_hand_over(&queue, 0);
    put16(USED + 2, 1000);
    virtqueue_take_back(&queue);
    expect_broken("the available index jumped by more than the queue's size");
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("virtqueue");
    TCase *c = tcase_create("virtqueue");
    tcase_set_timeout(c, 60);
    tcase_add_checked_fixture(c, set_up, tear_down);
    tcase_add_test(c, sizes);
    tcase_add_test(c, rings_must_be_in_ram);
    tcase_add_test(c, chain_of_out_and_in);
    tcase_add_test(c, indirect_chains);
    tcase_add_loop_test(c, bad_chains_break_the_queue, 0, G_N_ELEMENTS(bad_chains));
    tcase_add_test(c, indirect_needs_the_feature);
    tcase_add_test(c, too_many_segments);
    tcase_add_test(c, more_than_32_bits_of_bytes);
    tcase_add_test(c, index_jumps);
    tcase_add_test(c, index_going_back);
    tcase_add_test(c, same_chain_over_and_over);
    tcase_add_test(c, indices_wrap);
    tcase_add_test(c, interrupts_without_event_idx);
    tcase_add_test(c, interrupts_with_event_idx);
    tcase_add_test(c, kicks_without_event_idx);
    tcase_add_test(c, kicks_with_event_idx);
    tcase_add_test(c, several_chains_at_once);
    tcase_add_test(c, handed_over_and_back);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return check_run(suite());
}
