# SPDX-License-Identifier: GPL-2.0-or-later
# What a device needs of host-vmm, without KVM: device tests drive devices through their real registers.
if HAVE_CHECK
if ENABLE_HOST_VMM
check_LIBRARIES += tests/device/libdevice.a
check_PROGRAMS += tests/device/test_virtio_rng
endif
endif
tests_device_libdevice_a_SOURCES = \
	tests/device/driver.c tests/device/driver.h \
	$(host_bus_sources) $(host_virtio_sources) \
	host-vmm/char/chardev.c host-vmm/char/chardev-socket.c host-vmm/char/chardev-pty.c \
	host-vmm/char/chardev-stdio.c host-vmm/char/chardev-file.c host-vmm/char/unix-listen.c \
	host-vmm/memory/guest-memory.c host-vmm/hw/uart16550.c \
	host-vmm/device.c host-vmm/object.c host-vmm/optset.c host-vmm/notifier.c
tests_device_libdevice_a_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
device_test_libs = tests/device/libdevice.a lib/libvirtsuite.a $(BASE_LIBS) $(CHECK_LIBS)

tests_device_test_virtio_rng_SOURCES = tests/device/test_virtio_rng.c
tests_device_test_virtio_rng_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_device_test_virtio_rng_LDADD = $(device_test_libs)
