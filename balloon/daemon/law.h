// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * law: a law beside that of memory (KSM, NUMA), as the fleet, the log and its replay see it: records of
 * numbers that they need not understand, and a pure function over them.
 *
 * To add one: write a LawClass with the tables of its records (law-ksm.c is an example), give it a number and
 * a row in FLEET_CLASSES (fleet.h, fleet.c), fill its LAW_HOST and LAW_GUEST records before fleet_plan(), and
 * carry out its LAW_VERDICT and LAW_DECISION records after that. Log, replay, places that come and go, and
 * guests that are forgotten need nothing more: a law that is on is written to the log, and is on in its
 * replay. All of what plan() looks at has to be in the tables.
 */
#pragma once

#include "balloon/daemon/record.h"

typedef enum {
    LAW_CONFIG,
    LAW_HOST,    /* what is seen of the host */
    LAW_STATE,   /* what is remembered of it */
    LAW_VERDICT, /* what is decided for it */
    LAW_SHARED,  /* so many there are once; each guest has: */
    LAW_GUEST = LAW_SHARED,
    LAW_GUEST_STATE,
    LAW_DECISION,
    LAW_PARTS
} LawPart;

typedef struct Law Law;

typedef struct LawClass {
    const char *name; /* in the log */
    struct {
        gsize size;                /* 0: it has none */
        const RecordField *fields; /* NULL then */
    } part[LAW_PARTS];
    /* One step over the first `count` places; those that nobody has are all zeros. Sets verdict and decisions
     * anew, whole. */
    void (*plan)(Law *law, guint count, gint64 now);
    /* What was decided in this step for a place (-1: for the host), for people; NULL: nothing new. */
    char *(*tell)(const Law *law, gint place);
} LawClass;

struct Law {
    const LawClass *class;
    gboolean on;
    guint runs; /* how often it was switched on */
    guint room; /* of the arrays */
    gpointer part[LAW_PARTS];
};

void law_init(Law *law, const LawClass *class);
void law_clear(Law *law);
/* On with this configuration: what was remembered stays if it was on already. NULL: off, all is forgotten. */
void law_set(Law *law, gconstpointer config);
/* Room for so many guests at least, while it is on. */
void law_make_room(Law *law, guint count);
/* A record; place is not looked at where there is one for all. NULL while it is off. */
gpointer law_part(const Law *law, LawPart part, guint place);
/* What is remembered and decided of a place (and with `seen`: what is seen of it) is all zeros again. */
void law_forget(Law *law, guint place, gboolean seen);
/* A number made of all that it remembers and has decided. */
guint64 law_check(const Law *law, guint count);
