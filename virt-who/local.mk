# SPDX-License-Identifier: GPL-2.0-or-later
if ENABLE_VIRT_WHO
sbin_PROGRAMS += virt-who/virt-who virt-who/virt-who-password
noinst_LIBRARIES += virt-who/libvirtwho.a
endif
# All but main(), for tests.
virt_who_libvirtwho_a_SOURCES = \
	virt-who/clock.c virt-who/clock.h \
	virt-who/conf.c virt-who/conf-section.c virt-who/conf.h \
	virt-who/destination.c virt-who/destination.h \
	virt-who/engine.c virt-who/engine.h \
	virt-who/fake.c \
	virt-who/filter.c virt-who/filter.h \
	virt-who/http.c virt-who/http.h \
	virt-who/ini.c virt-who/ini.h \
	virt-who/notify.c virt-who/notify.h \
	virt-who/options.c virt-who/options.h \
	virt-who/report.c virt-who/report.h \
	virt-who/secret.c virt-who/secret.h \
	virt-who/server.c virt-who/server.h \
	virt-who/source.c virt-who/source.h \
	virt-who/state.c virt-who/state.h \
	virt-who/status.c virt-who/status.h \
	virt-who/transport.h
virt_who_libvirtwho_a_CFLAGS = $(AM_CFLAGS) $(CURL_CFLAGS) $(GNUTLS_CFLAGS)
WHO_LIBS = virt-who/libvirtwho.a $(DOMAIN_LIBS) $(CURL_LIBS) $(GNUTLS_LIBS)
virt_who_virt_who_SOURCES = virt-who/main.c
virt_who_virt_who_LDADD = $(WHO_LIBS)
virt_who_virt_who_password_SOURCES = virt-who/password-main.c
virt_who_virt_who_password_LDADD = virt-who/libvirtwho.a lib/libvirtsuite.a $(GNUTLS_LIBS) $(BASE_LIBS)

EXTRA_DIST += virt-who/virt-who.service.in
if ENABLE_VIRT_WHO
nodist_systemdsystemunit_DATA += virt-who/virt-who.service
CLEANFILES += virt-who/virt-who.service
virt-who/virt-who.service: virt-who/virt-who.service.in Makefile
	@$(MKDIR_P) virt-who
	$(AM_V_GEN)sed 's|[@]sbindir[@]|$(sbindir)|' $(srcdir)/virt-who/virt-who.service.in >$@
endif
