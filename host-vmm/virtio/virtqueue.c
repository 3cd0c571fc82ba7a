// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/virtio/virtqueue.h"

#include <string.h>

/* Descriptor table: section 2.7.5. */
#define DESC_SIZE            16u
#define DESC_ALIGN           16u
#define DESC_F_NEXT          1u
#define DESC_F_WRITE         2u
#define DESC_F_INDIRECT      4u
#define INDIRECT_MAX_ENTRIES 65536u /* what the 16-bit next can reach */

/* Available ring: section 2.7.6: flags, idx, ring[size], used_event. */
#define DRIVER_FLAGS        0u
#define DRIVER_IDX          2u
#define DRIVER_RING         4u
#define DRIVER_ALIGN        2u
#define DRIVER_NO_INTERRUPT 1u

/* Used ring: section 2.7.8: flags, idx, ring[size] of (id, len), avail_event. */
#define DEVICE_FLAGS     0u
#define DEVICE_IDX       2u
#define DEVICE_RING      4u
#define DEVICE_ALIGN     4u
#define DEVICE_NO_NOTIFY 1u
#define USED_SIZE        8u

typedef struct Descriptor {
    guint64 address;
    guint32 length;
    guint16 flags;
    guint16 next;
} Descriptor;
G_STATIC_ASSERT(sizeof(Descriptor) == DESC_SIZE);

typedef struct Chain {
    guint out_count, in_count;
    guint64 out_bytes, in_bytes;
    struct iovec segments[VIRTQUEUE_MAX_SEGMENTS];
} Chain;

/* Each shared field is loaded or stored once; alignment is checked when the queue is enabled. */
static guint16 load16(const guint8 *at)
{
    return __atomic_load_n((const guint16 *)(const void *)at, __ATOMIC_ACQUIRE);
}

static void store16(guint8 *at, guint16 value)
{
    __atomic_store_n((guint16 *)(void *)at, value, __ATOMIC_RELEASE);
}

/* Between our store and the load that decides whether the other side has seen it (section 2.7.7.1, 2.7.10.1).
 */
static void full_barrier(void)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static guint8 *used_event(const VirtQueue *queue)
{
    return queue->driver + DRIVER_RING + 2u * queue->size;
}

static guint8 *avail_event(const VirtQueue *queue)
{
    return queue->device + DEVICE_RING + USED_SIZE * queue->size;
}

void virtqueue_init(VirtQueue *queue, const GuestMemory *memory, guint16 max_size)
{
    g_return_if_fail(max_size >= 1 && max_size <= VIRTQUEUE_MAX_SIZE && (max_size & (max_size - 1)) == 0);

    queue->memory = memory;
    queue->max_size = max_size;
    virtqueue_reset(queue);
}

void virtqueue_reset(VirtQueue *queue)
{
    *queue = (VirtQueue){
        .memory = queue->memory, .max_size = queue->max_size, .size = queue->max_size, .kicks_wanted = TRUE};
}

gboolean virtqueue_set_size(VirtQueue *queue, guint size)
{
    if (size == 0 || size > queue->max_size || (size & (size - 1)) != 0)
        return FALSE;
    queue->size = (guint16)size;
    return TRUE;
}

static guint8 *locate(const VirtQueue *queue, const char *part, guint64 address, guint align, guint64 length,
                      GError **error)
{
    guint8 *host = address % align == 0 ? guest_memory_range(queue->memory, address, length) : NULL;
    if (host == NULL)
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                    "the %s at 0x%" G_GINT64_MODIFIER "x is not aligned or not in RAM", part, address);
    return host;
}

gboolean virtqueue_enable(VirtQueue *queue, GError **error)
{
    queue->enabled = TRUE;
    queue->desc =
        locate(queue, "descriptor table", queue->desc_address, DESC_ALIGN, DESC_SIZE * queue->size, error);
    if (queue->desc != NULL)
        queue->driver = locate(queue, "available ring", queue->driver_address, DRIVER_ALIGN,
                               DRIVER_RING + 2u * queue->size + 2, error);
    if (queue->driver != NULL)
        queue->device = locate(queue, "used ring", queue->device_address, DEVICE_ALIGN,
                               DEVICE_RING + USED_SIZE * queue->size + 2, error);
    queue->broken = queue->device == NULL;
    return !queue->broken;
}

static gboolean fail(VirtQueue *queue, GError **error, const char *what)
{
    queue->broken = TRUE;
    g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, what);
    return FALSE;
}

/* Whether there is anything to take; reads the driver's index only when all that was seen is used up. With
 * EVENT_IDX it says first from where on it wants to be kicked: what the driver adds after a look in vain is
 * then kicked for. */
static gboolean refresh_avail(VirtQueue *queue, GError **error)
{
    if (queue->next_avail != queue->seen_avail)
        return TRUE;
    if (queue->event_idx && queue->kicks_wanted) {
        store16(avail_event(queue), queue->next_avail);
        full_barrier();
    }
    guint16 index = load16(queue->driver + DRIVER_IDX);
    guint16 count = (guint16)(index - queue->next_avail);
    if (count > queue->size)
        return fail(queue, error, "the available index jumped by more than the queue's size");
    queue->seen_avail = index;
    return count > 0;
}

static gboolean add_segment(VirtQueue *queue, Chain *chain, const Descriptor *descriptor, GError **error)
{
    gboolean is_in = (descriptor->flags & DESC_F_WRITE) != 0;
    if (!is_in && chain->in_count > 0)
        return fail(queue, error, "a readable buffer after a writable one");
    if (descriptor->length == 0)
        return TRUE;
    if (chain->out_count + chain->in_count == VIRTQUEUE_MAX_SEGMENTS)
        return fail(queue, error, "a chain of too many buffers");
    void *host = guest_memory_range(queue->memory, descriptor->address, descriptor->length);
    if (host == NULL)
        return fail(queue, error, "a buffer is not in RAM");
    guint64 *bytes = is_in ? &chain->in_bytes : &chain->out_bytes;
    *bytes += descriptor->length;
    if (*bytes > G_MAXUINT32)
        return fail(queue, error, "a chain of more than 4 GiB");
    chain->segments[chain->out_count + chain->in_count] =
        (struct iovec){.iov_base = host, .iov_len = descriptor->length};
    if (is_in)
        chain->in_count++;
    else
        chain->out_count++;
    return TRUE;
}

static gboolean walk_chain(VirtQueue *queue, guint16 head, Chain *chain, GError **error)
{
    const guint8 *table = queue->desc;
    guint entries = queue->size;
    guint visited = 0;
    gboolean in_indirect = FALSE;
    guint index = head;
    for (;;) {
        if (index >= entries)
            return fail(queue, error, "a descriptor beyond the end of its table");
        if (visited++ == entries)
            return fail(queue, error, "a chain that runs in a circle");
        Descriptor descriptor;
        memcpy(&descriptor, table + index * DESC_SIZE, DESC_SIZE);
        /* What is checked must be what is used: no second load from memory that the guest may change
         * meanwhile. */
        __asm__ volatile("" : "+m"(descriptor)::"memory");
        if ((descriptor.flags & DESC_F_INDIRECT) != 0) {
            if (!queue->indirect || in_indirect || (descriptor.flags & DESC_F_NEXT) != 0)
                return fail(queue, error, "an indirect descriptor where none may be");
            if (descriptor.length == 0 || descriptor.length % DESC_SIZE != 0 ||
                descriptor.length / DESC_SIZE > INDIRECT_MAX_ENTRIES)
                return fail(queue, error, "an indirect table of impossible length");
            table = guest_memory_range(queue->memory, descriptor.address, descriptor.length);
            if (table == NULL)
                return fail(queue, error, "an indirect table is not in RAM");
            entries = descriptor.length / DESC_SIZE;
            visited = 0;
            in_indirect = TRUE;
            index = 0;
            continue;
        }
        if (!add_segment(queue, chain, &descriptor, error))
            return FALSE;
        if ((descriptor.flags & DESC_F_NEXT) == 0)
            return TRUE;
        index = descriptor.next;
    }
}

static VirtQueueElement *element_new(guint16 head, const Chain *chain)
{
    guint count = chain->out_count + chain->in_count;
    VirtQueueElement *element = g_malloc(sizeof *element + count * sizeof(struct iovec));
    *element = (VirtQueueElement){.head = head,
                                  .out_count = chain->out_count,
                                  .in_count = chain->in_count,
                                  .out_bytes = (guint32)chain->out_bytes,
                                  .in_bytes = (guint32)chain->in_bytes,
                                  .out = element->segments,
                                  .in = element->segments + chain->out_count};
    if (count > 0)
        memcpy(element->segments, chain->segments, count * sizeof(struct iovec));
    return element;
}

VirtQueueElement *virtqueue_pop(VirtQueue *queue, GError **error)
{
    if (!queue->enabled || queue->broken || !refresh_avail(queue, error))
        return NULL;
    if (queue->in_use >= queue->size) {
        fail(queue, error, "more chains than the queue has descriptors");
        return NULL;
    }
    guint16 head = load16(queue->driver + DRIVER_RING + 2u * (queue->next_avail & (queue->size - 1u)));
    Chain chain;
    chain.out_count = chain.in_count = 0;
    chain.out_bytes = chain.in_bytes = 0;
    if (!walk_chain(queue, head, &chain, error))
        return NULL;
    queue->next_avail++;
    queue->in_use++;
    return element_new(head, &chain);
}

void virtqueue_push_many(VirtQueue *queue, VirtQueueElement *const *elements, const guint32 *written,
                         guint count)
{
    gboolean usable = queue->enabled && !queue->broken;
    for (guint i = 0; i < count; i++) {
        guint32 entry[2] = {elements[i]->head, MIN(written[i], elements[i]->in_bytes)};
        guint at = (guint)(queue->used + i) & (queue->size - 1u);
        if (usable)
            memcpy(queue->device + DEVICE_RING + USED_SIZE * at, entry, USED_SIZE);
        g_free(elements[i]);
    }
    if (!usable)
        return;
    queue->used = (guint16)(queue->used + count);
    store16(queue->device + DEVICE_IDX, queue->used);
    queue->unsignalled += count;
    queue->in_use -= count;
}

void virtqueue_push(VirtQueue *queue, VirtQueueElement *element, guint32 written)
{
    virtqueue_push_many(queue, &element, &written, 1);
}

gboolean virtqueue_should_interrupt(VirtQueue *queue)
{
    guint pushed = queue->unsignalled;
    if (!queue->enabled || queue->broken || pushed == 0)
        return FALSE;
    queue->unsignalled = 0;
    full_barrier();
    if (!queue->event_idx)
        return (load16(queue->driver + DRIVER_FLAGS) & DRIVER_NO_INTERRUPT) == 0;
    if (pushed > G_MAXUINT16)
        return TRUE;
    /* Has the used index passed the event (section 2.7.10)? */
    guint16 since_event = (guint16)(queue->used - load16(used_event(queue)) - 1);
    return since_event < pushed;
}

void virtqueue_stop_kicks(VirtQueue *queue)
{
    if (!queue->enabled || queue->broken || !queue->kicks_wanted)
        return;
    queue->kicks_wanted = FALSE;
    /* With EVENT_IDX leaving the event where it is does it. */
    if (!queue->event_idx)
        store16(queue->device + DEVICE_FLAGS, DEVICE_NO_NOTIFY);
}

gboolean virtqueue_want_kicks(VirtQueue *queue)
{
    if (!queue->enabled || queue->broken)
        return FALSE;
    queue->kicks_wanted = TRUE;
    if (queue->event_idx)
        store16(avail_event(queue), queue->next_avail);
    else
        store16(queue->device + DEVICE_FLAGS, 0);
    full_barrier();
    return load16(queue->driver + DRIVER_IDX) != queue->next_avail;
}

guint16 virtqueue_hand_over(VirtQueue *queue, guint held)
{
    queue->next_avail = (guint16)(queue->next_avail - held);
    queue->in_use -= held;
    return queue->next_avail;
}

void virtqueue_take_back(VirtQueue *queue)
{
    if (!queue->enabled || queue->broken)
        return;
    queue->used = load16(queue->device + DEVICE_IDX);
    queue->next_avail = queue->seen_avail = queue->used;
    queue->unsignalled = 0;
    /* What the other one wanted to be told is not known. */
    virtqueue_want_kicks(queue);
}

gsize virtqueue_element_read(const VirtQueueElement *element, gsize offset, void *to, gsize length)
{
    gsize done = 0;
    for (guint i = 0; i < element->out_count && done < length; i++) {
        const struct iovec *segment = &element->out[i];
        if (offset >= segment->iov_len) {
            offset -= segment->iov_len;
            continue;
        }
        gsize part = MIN(segment->iov_len - offset, length - done);
        memcpy((guint8 *)to + done, (const guint8 *)segment->iov_base + offset, part);
        done += part;
        offset = 0;
    }
    return done;
}

gsize virtqueue_element_write(const VirtQueueElement *element, gsize offset, const void *from, gsize length)
{
    gsize done = 0;
    for (guint i = 0; i < element->in_count && done < length; i++) {
        const struct iovec *segment = &element->in[i];
        if (offset >= segment->iov_len) {
            offset -= segment->iov_len;
            continue;
        }
        gsize part = MIN(segment->iov_len - offset, length - done);
        memcpy((guint8 *)segment->iov_base + offset, (const guint8 *)from + done, part);
        done += part;
        offset = 0;
    }
    return done;
}
