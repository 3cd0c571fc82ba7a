# SPDX-License-Identifier: GPL-2.0-or-later
EXTRA_DIST += tests/program/payload.S
if ENABLE_HOST_VMM
noinst_DATA += tests/program/payload
CLEANFILES += tests/program/payload
tests/program/payload: tests/program/payload.S
	@$(MKDIR_P) tests/program
	$(AM_V_CCAS)$(CC) -m32 -nostdlib -static -no-pie -Wl,-Ttext-segment=0x100000 -Wl,--build-id=none -o $@ $(srcdir)/tests/program/payload.S
endif
