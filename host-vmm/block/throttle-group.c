// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/block/throttle-group.h"

#include <time.h>

#define LONGEST_SLEEP_US 50000 /* before a blocked worker looks whether there is a drain */

enum { READS, WRITES, DIRECTIONS };

/* What waits, linked by work.next. */
typedef struct Queue {
    BlockRequest *first, *last;
} Queue;

struct ThrottleMember {
    ThrottleGroup *group;
    IoContext *context;
    ThrottlePassFunc pass;
    gpointer user_data;
    GSource *timer; /* on the context's thread */
    /* Under the group's lock. */
    Queue waiting[DIRECTIONS];
};

struct ThrottleGroup {
    char *name;
    gint references; /* atomic */
    GMutex lock;     /* guards all below */
    Throttle throttle;
    GPtrArray *members;               /* ThrottleMember*, served in this order */
    ThrottleMember *turn[DIRECTIONS]; /* whose request is next; NULL: nothing waits */
    guint last;                       /* the direction that was served last */
};

typedef struct ThrottleGroupObject {
    Object object;
    ThrottleGroup *group;
} ThrottleGroupObject;

static gint64 now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (gint64)now.tv_sec * 1000000000 + now.tv_nsec;
}

static guint direction_of(const BlockRequest *request)
{
    return request->op == BLOCK_READ ? READS : WRITES;
}

/* ---- queues: with the lock held ---- */

#define REQUEST_OF(work_) ((BlockRequest *)((guint8 *)(work_)-G_STRUCT_OFFSET(BlockRequest, work)))

static void push(Queue *queue, BlockRequest *request)
{
    request->work.next = NULL;
    if (queue->last != NULL)
        queue->last->work.next = &request->work;
    else
        queue->first = request;
    queue->last = request;
}

static BlockRequest *pop(Queue *queue)
{
    BlockRequest *request = queue->first;
    if (request == NULL)
        return NULL;
    queue->first = request->work.next != NULL ? REQUEST_OF(request->work.next) : NULL;
    if (queue->first == NULL)
        queue->last = NULL;
    return request;
}

/* The next member after this one with something waiting; this one comes last. */
static ThrottleMember *next_waiting(ThrottleGroup *group, const ThrottleMember *after, guint direction)
{
    guint at = 0;
    g_ptr_array_find(group->members, after, &at);
    for (guint i = 1; i <= group->members->len; i++) {
        ThrottleMember *member = group->members->pdata[(at + i) % group->members->len];
        if (member->waiting[direction].first != NULL)
            return member;
    }
    return NULL;
}

static gint64 wait_for(ThrottleGroup *group, guint direction)
{
    return throttle_wait(&group->throttle, direction == WRITES, now_ns());
}

/* To when the first of its turns comes. */
static void set_timer(ThrottleGroup *group, ThrottleMember *member)
{
    gint64 ready = -1;
    for (guint i = 0; i < DIRECTIONS; i++) {
        if (group->turn[i] != member)
            continue;
        gint64 wait = wait_for(group, i);
        gint64 then = wait > 0 ? g_get_monotonic_time() + (wait + 999) / 1000 : 0;
        ready = ready < 0 ? then : MIN(ready, then);
    }
    g_source_set_ready_time(member->timer, ready);
}

/* Takes the next request of a direction out; whose turn is after it may be on another thread. */
static BlockRequest *serve(ThrottleGroup *group, guint direction)
{
    ThrottleMember *member = group->turn[direction];
    BlockRequest *request = pop(&member->waiting[direction]);
    throttle_account(&group->throttle, direction == WRITES, request->length);
    request->work.data[0] = member;
    group->last = direction;
    group->turn[direction] = next_waiting(group, member, direction);
    if (group->turn[direction] != NULL && group->turn[direction]->context != member->context)
        set_timer(group, group->turn[direction]);
    return request;
}

/* Takes out all of this thread's whose turn has come, reads and writes alternating. */
static void serve_all(ThrottleGroup *group, IoContext *here, Queue *passed)
{
    for (guint tried = 0; tried < DIRECTIONS;) {
        guint direction = (group->last + 1 + tried) % DIRECTIONS;
        ThrottleMember *member = group->turn[direction];
        if (member != NULL && member->context == here && wait_for(group, direction) == 0) {
            push(passed, serve(group, direction));
            tried = 0;
        } else {
            tried++;
        }
    }
}

static void pass_all(Queue *passed)
{
    BlockRequest *request;
    while ((request = pop(passed)) != NULL) {
        ThrottleMember *member = request->work.data[0];
        member->pass(request, member->user_data);
    }
}

typedef struct Timer {
    GSource source;
    ThrottleMember *member;
} Timer;

static gboolean on_timer(GSource *source, GSourceFunc callback, gpointer user_data)
{
    ThrottleMember *member = ((Timer *)source)->member;
    ThrottleGroup *group = member->group;
    Queue passed = {NULL, NULL};
    g_mutex_lock(&group->lock);
    g_source_set_ready_time(source, -1);
    serve_all(group, member->context, &passed);
    for (guint i = 0; i < DIRECTIONS; i++) {
        if (group->turn[i] != NULL)
            set_timer(group, group->turn[i]);
    }
    g_mutex_unlock(&group->lock);
    pass_all(&passed);
    return G_SOURCE_CONTINUE;
}

/* ---- members ---- */

ThrottleMember *throttle_member_new(ThrottleGroup *group, IoContext *context, ThrottlePassFunc pass,
                                    gpointer user_data)
{
    static GSourceFuncs timer_funcs = {.dispatch = on_timer};
    ThrottleMember *member = g_new0(ThrottleMember, 1);
    member->group = throttle_group_ref(group);
    member->context = context;
    member->pass = pass;
    member->user_data = user_data;
    member->timer = g_source_new(&timer_funcs, sizeof(Timer));
    ((Timer *)member->timer)->member = member;
    g_source_attach(member->timer, io_context_main_context(context));
    g_mutex_lock(&group->lock);
    g_ptr_array_add(group->members, member);
    g_mutex_unlock(&group->lock);
    return member;
}

void throttle_member_free(ThrottleMember *member)
{
    if (member == NULL)
        return;
    g_mutex_lock(&member->group->lock);
    g_ptr_array_remove(member->group->members, member);
    g_mutex_unlock(&member->group->lock);
    g_source_destroy(member->timer);
    g_source_unref(member->timer);
    throttle_group_unref(member->group);
    g_free(member);
}

ThrottleGroup *throttle_member_group(const ThrottleMember *member)
{
    return member->group;
}

void throttle_member_submit(ThrottleMember *member, BlockRequest *request)
{
    ThrottleGroup *group = member->group;
    gboolean waits = FALSE;
    if (request->op != BLOCK_FLUSH && request->op != BLOCK_DISCARD) {
        guint direction = direction_of(request);
        g_mutex_lock(&group->lock);
        waits = group->turn[direction] != NULL || wait_for(group, direction) > 0;
        if (!waits) {
            throttle_account(&group->throttle, direction == WRITES, request->length);
        } else {
            push(&member->waiting[direction], request);
            if (group->turn[direction] == NULL) {
                group->turn[direction] = member;
                set_timer(group, member);
            }
        }
        g_mutex_unlock(&group->lock);
    }
    if (!waits)
        member->pass(request, member->user_data);
}

/* With the lock held: the first that waits, and the turn, if it was its, is the next one's. */
static BlockRequest *take(ThrottleMember *member)
{
    ThrottleGroup *group = member->group;
    for (guint i = 0; i < DIRECTIONS; i++) {
        BlockRequest *request = pop(&member->waiting[i]);
        if (request == NULL)
            continue;
        if (group->turn[i] == member && member->waiting[i].first == NULL) {
            group->turn[i] = next_waiting(group, member, i);
            if (group->turn[i] != NULL)
                set_timer(group, group->turn[i]);
        }
        return request;
    }
    return NULL;
}

BlockRequest *throttle_member_take(ThrottleMember *member)
{
    g_mutex_lock(&member->group->lock);
    BlockRequest *request = take(member);
    g_mutex_unlock(&member->group->lock);
    return request;
}

void throttle_member_release(ThrottleMember *member)
{
    BlockRequest *request;
    while ((request = throttle_member_take(member)) != NULL)
        member->pass(request, member->user_data);
}

/* ---- groups ---- */

ThrottleGroup *throttle_group_new(const char *name)
{
    ThrottleGroup *group = g_new0(ThrottleGroup, 1);
    ThrottleConfig none;
    throttle_config_init(&none);
    group->name = g_strdup(name);
    group->references = 1;
    group->members = g_ptr_array_new();
    g_mutex_init(&group->lock);
    throttle_init(&group->throttle, &none, now_ns());
    return group;
}

ThrottleGroup *throttle_group_ref(ThrottleGroup *group)
{
    g_atomic_int_inc(&group->references);
    return group;
}

void throttle_group_unref(ThrottleGroup *group)
{
    if (!g_atomic_int_dec_and_test(&group->references))
        return;
    g_ptr_array_unref(group->members);
    g_mutex_clear(&group->lock);
    g_free(group->name);
    g_free(group);
}

const char *throttle_group_name(const ThrottleGroup *group)
{
    return group->name;
}

void throttle_group_set(ThrottleGroup *group, const ThrottleConfig *config)
{
    g_mutex_lock(&group->lock);
    throttle_init(&group->throttle, config, now_ns());
    for (guint i = 0; i < DIRECTIONS; i++) {
        if (group->turn[i] != NULL)
            set_timer(group, group->turn[i]);
    }
    g_mutex_unlock(&group->lock);
}

void throttle_group_get(ThrottleGroup *group, ThrottleConfig *config)
{
    g_mutex_lock(&group->lock);
    *config = group->throttle.config;
    g_mutex_unlock(&group->lock);
}

void throttle_group_block(ThrottleGroup *group, gboolean is_write, guint64 bytes, const int *drains)
{
    int before = __atomic_load_n(drains, __ATOMIC_RELAXED);
    guint direction = is_write ? WRITES : READS;
    for (;;) {
        g_mutex_lock(&group->lock);
        gint64 wait = wait_for(group, direction);
        gboolean goes = wait == 0 || __atomic_load_n(drains, __ATOMIC_RELAXED) != before;
        if (goes)
            throttle_account(&group->throttle, is_write, bytes);
        g_mutex_unlock(&group->lock);
        if (goes)
            return;
        g_usleep((gulong)MIN(wait / 1000 + 1, LONGEST_SLEEP_US));
    }
}

/* ---- the object ---- */

static void destroy(Object *object)
{
    ThrottleGroupObject *self = (ThrottleGroupObject *)object;
    throttle_group_unref(self->group);
    g_free(self);
}

static Object *create(OptSet *options, GError **error)
{
    static const char *const prefixes[] = {"limits.", "x-"};
    ThrottleConfig config;
    throttle_config_init(&config);
    /* Either form, not a mixture: the second one is looked at only if the first says nothing. */
    for (guint i = 0; i < G_N_ELEMENTS(prefixes) && !throttle_config_is_set(&config); i++) {
        if (!throttle_config_parse(&config, options, prefixes[i], error))
            return NULL;
    }
    ThrottleGroupObject *self = g_new0(ThrottleGroupObject, 1);
    self->object.destroy = destroy;
    self->group = throttle_group_new(optset_string(options, "id"));
    throttle_group_set(self->group, &config);
    return &self->object;
}

const ObjectType throttle_group_type = {
    .name = "throttle-group",
    .description = "limits that disks share [x-iops-total=N,x-bps-total=N,…]",
    .create = create,
};

ThrottleGroup *throttle_group_from_object(Object *object)
{
    return object->type == &throttle_group_type ? ((ThrottleGroupObject *)object)->group : NULL;
}
