# SPDX-License-Identifier: GPL-2.0-or-later
# virt-what knows nothing of lib: a shell script, and two programs of the C library alone, static where that is to be had, since
# starting them is most of what they do.
what_cflags = -std=gnu17 $(WARN_CFLAGS) $(SAN_CFLAGS)
what_ldflags = $(SAN_CFLAGS) $(STATIC_LDFLAGS)
what_datadir = $(datadir)/virt-what
if ENABLE_VIRT_WHAT
sbin_PROGRAMS += virt-what/virt-what-cvm
libexec_PROGRAMS += virt-what/virt-what-cpuid-helper
sbin_SCRIPTS += virt-what/virt-what
whatdir = $(what_datadir)
dist_what_DATA = virt-what/signatures
endif
EXTRA_DIST += virt-what/virt-what.in
CLEANFILES += virt-what/virt-what

virt_what_virt_what_cvm_SOURCES = virt-what/cvm.c virt-what/cpuid.c virt-what/cpuid.h \
	virt-what/root-file.c virt-what/root-file.h
virt_what_virt_what_cvm_CFLAGS = $(what_cflags)
virt_what_virt_what_cvm_LDFLAGS = $(what_ldflags)

virt_what_virt_what_cpuid_helper_SOURCES = virt-what/cpuid-helper.c \
	virt-what/cpuid.c virt-what/cpuid.h \
	virt-what/evidence.c virt-what/evidence.h \
	virt-what/gather.c virt-what/gather.h \
	virt-what/pattern.c virt-what/pattern.h \
	virt-what/root-file.c virt-what/root-file.h \
	virt-what/table.c virt-what/table.h
virt_what_virt_what_cpuid_helper_CFLAGS = $(what_cflags)
virt_what_virt_what_cpuid_helper_LDFLAGS = $(what_ldflags)

virt-what/virt-what: virt-what/virt-what.in Makefile
	@$(MKDIR_P) virt-what
	$(AM_V_GEN)sed -e "s,@field_end[@],$$(printf '\037')," -e 's,@sbindir[@],$(sbindir),' \
		-e 's,@libexecdir[@],$(libexecdir),' -e 's,@what_datadir[@],$(what_datadir),' \
		$(srcdir)/virt-what/virt-what.in >$@.tmp && chmod 755 $@.tmp && mv $@.tmp $@
