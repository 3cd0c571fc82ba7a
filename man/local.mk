# SPDX-License-Identifier: GPL-2.0-or-later
if ENABLE_VMCTL
dist_man_MANS += man/vmctl.1
endif
