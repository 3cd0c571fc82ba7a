# SPDX-License-Identifier: GPL-2.0-or-later
if ENABLE_GUEST_AGENT
sbin_PROGRAMS += guest-agent/guest-agent
noinst_LIBRARIES += guest-agent/libguestagent.a
endif
guest_agent_guest_agent_SOURCES = guest-agent/main.c
AGENT_LIBS = guest-agent/libguestagent.a lib/libvirtsuite.a $(UDEV_LIBS) $(BASE_LIBS)
guest_agent_guest_agent_LDADD = $(AGENT_LIBS)

# All but main(), so that unit tests can link it.
guest_agent_libguestagent_a_SOURCES = \
	guest-agent/options.c guest-agent/options-file.c guest-agent/options.h \
	guest-agent/daemon.c guest-agent/daemon.h \
	guest-agent/transport.c guest-agent/transport.h \
	guest-agent/transport-serial.c guest-agent/port.c guest-agent/port.h \
	guest-agent/transport-listen.c \
	guest-agent/peer.c guest-agent/peer.h \
	guest-agent/channel.c guest-agent/channel.h \
	guest-agent/agent.c guest-agent/agent.h \
	guest-agent/policy.c guest-agent/policy.h \
	guest-agent/worker.c guest-agent/worker.h \
	guest-agent/child.c guest-agent/child.h \
	guest-agent/helper.c guest-agent/helper.h \
	guest-agent/rights.c guest-agent/rights.h \
	guest-agent/mounts.c guest-agent/mounts.h \
	guest-agent/text-file.c guest-agent/text-file.h \
	guest-agent/audit.c guest-agent/audit.h \
	guest-agent/base64.c guest-agent/base64.h \
	guest-agent/commands-sync.c \
	guest-agent/commands-os.c guest-agent/os-release.c guest-agent/os-release.h \
	guest-agent/commands-cpu.c \
	guest-agent/commands-file.c guest-agent/handle-counter.c guest-agent/handle-counter.h \
	guest-agent/commands-exec.c \
	guest-agent/commands-power.c guest-agent/power.c guest-agent/power.h \
	guest-agent/commands-suspend.c \
	guest-agent/commands-net.c guest-agent/kernel-stats.c guest-agent/kernel-stats.h \
	guest-agent/commands-stats.c \
	guest-agent/commands-time.c guest-agent/rtc.c guest-agent/rtc.h \
	guest-agent/commands-memory.c guest-agent/memory-blocks.c guest-agent/memory-blocks.h \
	guest-agent/commands-disk.c guest-agent/disks.c guest-agent/disks.h \
	guest-agent/disk-address.c guest-agent/disk-address.h guest-agent/disk-udev.c guest-agent/disk-udev.h \
	guest-agent/nvme-smart.c guest-agent/nvme-smart.h \
	guest-agent/commands-user.c \
	guest-agent/commands-ssh.c guest-agent/ssh-keys.c guest-agent/ssh-keys.h \
	guest-agent/commands-freeze.c guest-agent/freezer.c guest-agent/freezer.h \
	guest-agent/freeze-hooks.c guest-agent/freeze-hooks.h \
	guest-agent/commands-stream.c \
	guest-agent/commands-trim.c
guest_agent_libguestagent_a_CFLAGS = $(AM_CFLAGS) $(UDEV_CFLAGS)

# What makes it a service. With --enable-qemu-ga-names it takes the place of Debian's qemu-guest-agent.
EXTRA_DIST += guest-agent/system/guest-agent.service.in guest-agent/system/99-guest-agent.rules.in \
	guest-agent/system/guest-agent.conf guest-agent/system/README.hooks
if ENABLE_GUEST_AGENT
systemdsystemunit_DATA = guest-agent/system/$(AGENT_SERVICE)
udevrules_DATA = guest-agent/system/99-$(AGENT_SERVICE_NAME).rules
agenthooksdir = $(sysconfdir)/guest-agent/fsfreeze-hook.d
dist_doc_DATA += guest-agent/system/guest-agent.conf
CLEANFILES += $(systemdsystemunit_DATA) $(udevrules_DATA)
agent_service_words = sed -e 's,[@]sbindir[@],$(sbindir),' -e 's,[@]AGENT_NAME[@],$(AGENT_NAME),' \
	-e 's,[@]AGENT_TITLE[@],$(AGENT_TITLE),' -e 's,[@]AGENT_SERVICE[@],$(AGENT_SERVICE),'
guest-agent/system/$(AGENT_SERVICE): guest-agent/system/guest-agent.service.in Makefile
	@$(MKDIR_P) guest-agent/system
	$(AM_V_GEN)$(agent_service_words) $(srcdir)/guest-agent/system/guest-agent.service.in >$@
guest-agent/system/99-$(AGENT_SERVICE_NAME).rules: guest-agent/system/99-guest-agent.rules.in Makefile
	@$(MKDIR_P) guest-agent/system
	$(AM_V_GEN)$(agent_service_words) $(srcdir)/guest-agent/system/99-guest-agent.rules.in >$@
install-data-local: install-agent-hooks
uninstall-local: uninstall-agent-hooks
install-agent-hooks:
	$(MKDIR_P) $(DESTDIR)$(agenthooksdir)
	$(INSTALL_DATA) $(srcdir)/guest-agent/system/README.hooks $(DESTDIR)$(agenthooksdir)/README
uninstall-agent-hooks:
	rm -f $(DESTDIR)$(agenthooksdir)/README
	-rmdir $(DESTDIR)$(agenthooksdir) 2>/dev/null
.PHONY: install-agent-hooks uninstall-agent-hooks install-agent-names uninstall-agent-names
if QEMU_GA_NAMES
install-exec-hook: install-agent-names
uninstall-hook: uninstall-agent-names
install-agent-names:
	cd $(DESTDIR)$(sbindir) && rm -f qemu-ga && $(LN_S) guest-agent qemu-ga
uninstall-agent-names:
	rm -f $(DESTDIR)$(sbindir)/qemu-ga
endif
endif
