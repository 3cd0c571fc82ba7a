// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/memory.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif

#define HEAP_DELAY_US  (1 * G_USEC_PER_SEC)
#define SLICE_DELAY_US (15 * G_USEC_PER_SEC) /* after that: 16 s, a little more than GLib's "working set" */
#define SLICE_STEP     16                    /* bytes between two sizes of slices */
#define SLICE_LARGEST  128
#define SLICE_COUNT    512

/* Slices that were freed go to a cache. What has been there for longer than GLib's working set time is looked
 * at, and freed, only when more slices of the same size come in: so we send some round. */
static void flush_slices(void)
{
    gpointer slices[SLICE_COUNT];

    for (gsize size = SLICE_STEP; size <= SLICE_LARGEST; size += SLICE_STEP) {
        for (guint i = 0; i < SLICE_COUNT; i++) {
            slices[i] = g_slice_alloc(size);
        }
        for (guint i = 0; i < SLICE_COUNT; i++) {
            g_slice_free1(size, slices[i]);
        }
    }
}

static void trim_heap(void)
{
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}

void memory_give_back(void)
{
    flush_slices();
    trim_heap();
}

typedef struct GiveBack {
    GSource source;
    gboolean heap_done;
} GiveBack;

static gboolean give_back(GSource *source, GSourceFunc callback, gpointer user_data)
{
    GiveBack *self = (GiveBack *)source;

    if (!self->heap_done) {
        trim_heap();
        self->heap_done = TRUE;
        g_source_set_ready_time(source, g_get_monotonic_time() + SLICE_DELAY_US);
        return G_SOURCE_CONTINUE;
    }
    memory_give_back();
    return G_SOURCE_REMOVE;
}

static GSourceFuncs give_back_funcs = {.dispatch = give_back};

void memory_give_back_later(void)
{
    g_autoptr(GMainContext) context = g_main_context_ref_thread_default();
    /* The context itself remembers whether we are at it already. */
    GSource *source = g_main_context_find_source_by_funcs_user_data(context, &give_back_funcs, NULL);

    if (!source) {
        source = g_source_new(&give_back_funcs, sizeof(GiveBack));
        g_source_set_name(source, "give memory back");
        g_source_set_priority(source, G_PRIORITY_LOW);
        g_source_set_callback(source, NULL, NULL, NULL); /* sources without one are not found */
        g_source_attach(source, context);
        g_source_unref(source);
    }
    ((GiveBack *)source)->heap_done = FALSE;
    g_source_set_ready_time(source, g_get_monotonic_time() + HEAP_DELAY_US);
}

void memory_drop_code(void)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[4352];

    while (maps != NULL && fgets(line, sizeof line, maps) != NULL) {
        unsigned long begin, end, inode;
        char flags[5];

        /* Code is never written to, so that nothing is lost; what the linker relocates lies in other
         * mappings. */
        if (sscanf(line, "%lx-%lx %4s %*s %*s %lu", &begin, &end, flags, &inode) == 4 && inode != 0 &&
            strcmp(flags, "r-xp") == 0) {
            madvise((void *)begin, end - begin, MADV_DONTNEED);
        }
    }
    if (maps != NULL) {
        fclose(maps);
    }
}
