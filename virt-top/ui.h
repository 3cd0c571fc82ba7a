// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ui: the screen and the keys. Curses never blocks here: keys come as they are typed, messages go away by
 * themselves.
 */
#pragma once

#include "virt-top/fleet.h"
#include "virt-top/options.h"

typedef struct Ui Ui;

typedef struct UiHooks {
    void (*round)(gpointer user_data); /* a round is wanted now, the delay may have changed */
    void (*quit)(gpointer user_data);
    gpointer user_data;
} UiHooks;

/* NULL and error if the terminal cannot place its cursor, or is none. options: borrowed, changed by keys. */
Ui *ui_new(Options *options, Fleet *fleet, const UiHooks *hooks, GError **error);
/* Restores the terminal. */
void ui_free(Ui *ui);
/* A round is over. */
void ui_update(Ui *ui);
