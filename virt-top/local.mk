# SPDX-License-Identifier: GPL-2.0-or-later
if ENABLE_VIRT_TOP
bin_PROGRAMS += virt-top/virt-top
noinst_LIBRARIES += virt-top/libvirttop.a virt-top/libvirttopscreen.a
endif
# All but main() and the screen, for tests.
virt_top_libvirttop_a_SOURCES = \
	virt-top/export.c \
	virt-top/fleet.c virt-top/fleet.h \
	virt-top/http.c virt-top/http.h \
	virt-top/lines.c virt-top/lines.h \
	virt-top/numbers.c virt-top/numbers.h \
	virt-top/options.c virt-top/options.h
virt_top_libvirttopscreen_a_SOURCES = \
	virt-top/ui.c virt-top/ui.h virt-top/ui-private.h \
	virt-top/ui-head.c virt-top/ui-keys.c virt-top/ui-pages.c virt-top/ui-prompt.c virt-top/ui-views.c
virt_top_libvirttopscreen_a_CFLAGS = $(AM_CFLAGS) $(NCURSES_CFLAGS)
VIRT_TOP_LIBS = virt-top/libvirttopscreen.a virt-top/libvirttop.a
virt_top_virt_top_SOURCES = virt-top/main.c
virt_top_virt_top_LDADD = $(VIRT_TOP_LIBS) $(TERMINAL_LIBS) $(DOMAIN_LIBS) -lm
