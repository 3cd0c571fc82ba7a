# SPDX-License-Identifier: GPL-2.0-or-later
if ENABLE_HOST_VMM
dist_man_MANS += man/host-vmm.1
endif
if ENABLE_VMCTL
dist_man_MANS += man/vmctl.1
endif
if ENABLE_VIRT_WHAT
dist_man_MANS += man/virt-what.1 man/virt-what-cvm.1
endif
if ENABLE_GUEST_AGENT
dist_man_MANS += man/guest-agent.8 man/guest-agent.conf.5
endif
if ENABLE_VIRT_TOP
dist_man_MANS += man/virt-top.1
endif
if ENABLE_BALLOON
dist_man_MANS += man/balloon-sim.1 man/balloond.8 man/balloond.conf.5 man/balloonctl.1
endif
if ENABLE_VIRT_WHO
dist_man_MANS += man/virt-who.8 man/virt-who-config.5 man/virt-who-password.8
endif
