# SPDX-License-Identifier: GPL-2.0-or-later
# Device tests drive devices through their real registers, without KVM; driver.c plays the guest.
if HAVE_CHECK
if ENABLE_HOST_VMM
check_LIBRARIES += tests/device/libdevice.a
check_PROGRAMS += tests/device/test_pc_board tests/device/test_uart16550 tests/device/test_virtio_rng
check_PROGRAMS += tests/device/test_virtio_blk_life
check_PROGRAMS += tests/device/test_i6300esb tests/device/test_i8042 tests/device/test_pvpanic
check_PROGRAMS += tests/device/test_virtio_net tests/device/test_virtio_net_control tests/device/test_virtio_net_rx tests/device/test_virtio_net_tx
check_PROGRAMS += tests/device/test_io_bus tests/device/test_pci tests/device/test_virtio_scsi tests/device/test_virtio_balloon tests/device/test_virtio_mem
check_PROGRAMS += tests/device/test_hostile tests/device/test_virtio_blk tests/device/test_virtqueue tests/device/test_virtio_pci tests/device/test_virtio_serial
endif
endif
tests_device_libdevice_a_SOURCES = tests/device/driver.c tests/device/driver.h \
	tests/device/fake-netdev.c tests/device/fake-netdev.h tests/device/net-rig.c tests/device/net-rig.h \
	tests/device/hostile.c tests/device/hostile.h tests/device/hostile-private.h \
	tests/device/hostile-balloon.c tests/device/hostile-disk.c tests/device/hostile-mem.c
device_test_libs = tests/device/libdevice.a host-vmm/libhostvmm.a lib/libvirtsuite.a $(BASE_LIBS) $(CHECK_LIBS) $(VMM_LIBS)
tests_device_test_virtio_scsi_LDADD = $(device_test_libs)
tests_device_test_pc_board_LDADD = $(device_test_libs)
tests_device_test_i6300esb_LDADD = $(device_test_libs)
tests_device_test_i8042_LDADD = $(device_test_libs)
tests_device_test_pvpanic_LDADD = $(device_test_libs)
tests_device_test_uart16550_LDADD = $(device_test_libs)
tests_device_test_virtio_balloon_LDADD = $(device_test_libs)
tests_device_test_virtio_mem_LDADD = $(device_test_libs)
tests_device_test_virtio_blk_SOURCES = tests/device/test_virtio_blk.c tests/device/blk.c tests/device/blk.h
tests_device_test_virtio_blk_LDADD = $(device_test_libs)
tests_device_test_virtio_blk_life_SOURCES = tests/device/test_virtio_blk_life.c tests/device/blk.c tests/device/blk.h
tests_device_test_virtio_blk_life_LDADD = $(device_test_libs)
tests_device_test_virtio_net_LDADD = $(device_test_libs)
tests_device_test_virtio_net_control_LDADD = $(device_test_libs)
tests_device_test_virtio_net_rx_LDADD = $(device_test_libs)
tests_device_test_virtio_net_tx_LDADD = $(device_test_libs)
tests_device_test_virtio_rng_LDADD = $(device_test_libs)
tests_device_test_virtio_serial_LDADD = $(device_test_libs)
tests_device_test_io_bus_LDADD = $(device_test_libs)
tests_device_test_pci_LDADD = $(device_test_libs)
tests_device_test_virtqueue_LDADD = $(device_test_libs)
tests_device_test_virtio_pci_LDADD = $(device_test_libs)
tests_device_test_hostile_LDADD = $(device_test_libs)
