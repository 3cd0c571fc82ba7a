# SPDX-License-Identifier: GPL-2.0-or-later
# A unit test is test_<module>.c; those of host-vmm link all of it but main().
if HAVE_CHECK
check_PROGRAMS += tests/unit/test_agent_client tests/unit/test_command tests/unit/test_command_calls tests/unit/test_jsonstream \
	tests/unit/test_log tests/unit/test_memory tests/unit/test_pending tests/unit/test_qmp_client tests/unit/test_runtime_dir
endif
if HAVE_CHECK
if ENABLE_HOST_VMM
check_PROGRAMS += tests/unit/test_net_packet tests/unit/test_netdev tests/unit/test_netdev_user
check_PROGRAMS += tests/unit/test_acpi tests/unit/test_numa tests/unit/test_fd_store tests/unit/test_confine tests/unit/test_probe_cache tests/unit/test_cpu_model tests/unit/test_block tests/unit/test_throttle tests/unit/test_chardev tests/unit/test_guest_memory \
	tests/unit/test_loader tests/unit/test_vmlinux tests/unit/test_options tests/unit/test_optset tests/unit/test_qmp_server
endif
endif
EXTRA_DIST += tests/check-run.h
unit_test_libs = lib/libvirtsuite.a $(BASE_LIBS) $(CHECK_LIBS)
malformed = tests/unit/malformed.c tests/unit/malformed.h
command_peer = tests/unit/command-peer.c tests/unit/command-peer.h
tests_unit_test_command_SOURCES = tests/unit/test_command.c $(command_peer) $(malformed)
tests_unit_test_command_LDADD = $(unit_test_libs)
tests_unit_test_command_calls_SOURCES = tests/unit/test_command_calls.c $(command_peer)
tests_unit_test_command_calls_LDADD = $(unit_test_libs)
tests_unit_test_jsonstream_SOURCES = tests/unit/test_jsonstream.c $(malformed)
tests_unit_test_jsonstream_LDADD = $(unit_test_libs)
tests_unit_test_log_LDADD = $(unit_test_libs)
tests_unit_test_memory_LDADD = $(unit_test_libs)
tests_unit_test_pending_LDADD = $(unit_test_libs)
tests_unit_test_runtime_dir_LDADD = $(unit_test_libs)
scripted_server = tests/unit/scripted-server.c tests/unit/scripted-server.h
tests_unit_test_agent_client_SOURCES = tests/unit/test_agent_client.c $(scripted_server)
tests_unit_test_agent_client_LDADD = $(unit_test_libs)
tests_unit_test_qmp_client_SOURCES = tests/unit/test_qmp_client.c $(scripted_server)
tests_unit_test_qmp_client_LDADD = $(unit_test_libs)

if HAVE_CHECK
if ENABLE_HOST_VMM
check_PROGRAMS += tests/unit/test_qcow2 tests/unit/test_qcow2_crash tests/unit/test_qcow2_hostile \
	tests/unit/test_qcow2_model
endif
endif
qcow2_image = tests/unit/qcow2-image.c tests/unit/qcow2-image.h
tests_unit_test_qcow2_SOURCES = tests/unit/test_qcow2.c $(qcow2_image)
tests_unit_test_qcow2_LDADD = $(vmm_test_libs)
tests_unit_test_qcow2_crash_SOURCES = tests/unit/test_qcow2_crash.c $(qcow2_image)
tests_unit_test_qcow2_crash_LDADD = $(vmm_test_libs)
tests_unit_test_qcow2_hostile_SOURCES = tests/unit/test_qcow2_hostile.c tests/unit/qcow2-play.c \
	tests/unit/qcow2-play.h $(qcow2_image)
tests_unit_test_qcow2_hostile_LDADD = $(vmm_test_libs)
tests_unit_test_qcow2_model_SOURCES = tests/unit/test_qcow2_model.c $(qcow2_image)
tests_unit_test_qcow2_model_LDADD = $(vmm_test_libs)

vmm_test_libs = host-vmm/libhostvmm.a $(unit_test_libs) $(VMM_LIBS)
tests_unit_test_acpi_LDADD = $(vmm_test_libs)
tests_unit_test_numa_LDADD = $(vmm_test_libs)
tests_unit_test_fd_store_LDADD = $(vmm_test_libs)
tests_unit_test_probe_cache_LDADD = $(vmm_test_libs)
tests_unit_test_confine_LDADD = $(vmm_test_libs)
tests_unit_test_cpu_model_LDADD = $(vmm_test_libs)
tests_unit_test_block_LDADD = $(vmm_test_libs)
tests_unit_test_throttle_LDADD = $(vmm_test_libs)
tests_unit_test_chardev_LDADD = $(vmm_test_libs)
tests_unit_test_guest_memory_LDADD = $(vmm_test_libs)
tests_unit_test_net_packet_LDADD = $(vmm_test_libs)
tests_unit_test_netdev_user_LDADD = $(vmm_test_libs)
tests_unit_test_netdev_LDADD = $(vmm_test_libs)
tests_unit_test_loader_LDADD = $(vmm_test_libs)
tests_unit_test_vmlinux_LDADD = $(vmm_test_libs)
tests_unit_test_options_LDADD = $(vmm_test_libs)
tests_unit_test_optset_LDADD = $(vmm_test_libs)

# guest-agent
if HAVE_CHECK
if ENABLE_GUEST_AGENT
check_PROGRAMS += tests/unit/test_agent_base64 tests/unit/test_agent_channel tests/unit/test_agent_child \
	tests/unit/test_agent_handle_counter tests/unit/test_agent_os_release tests/unit/test_agent_peer \
	tests/unit/test_agent_port tests/unit/test_agent_power \
	tests/unit/test_agent_disks tests/unit/test_agent_helper tests/unit/test_agent_mounts \
	tests/unit/test_agent_system
endif
endif
AGENT_TEST_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
AGENT_TEST_LIBS = $(AGENT_LIBS) $(CHECK_LIBS)
tests_unit_test_agent_base64_CFLAGS = $(AGENT_TEST_CFLAGS)
tests_unit_test_agent_base64_LDADD = $(AGENT_TEST_LIBS)
tests_unit_test_agent_channel_CFLAGS = $(AGENT_TEST_CFLAGS)
tests_unit_test_agent_channel_LDADD = $(AGENT_TEST_LIBS)
tests_unit_test_agent_child_CFLAGS = $(AGENT_TEST_CFLAGS)
tests_unit_test_agent_child_LDADD = $(AGENT_TEST_LIBS)
tests_unit_test_agent_handle_counter_CFLAGS = $(AGENT_TEST_CFLAGS)
tests_unit_test_agent_handle_counter_LDADD = $(AGENT_TEST_LIBS)
tests_unit_test_agent_os_release_CFLAGS = $(AGENT_TEST_CFLAGS)
tests_unit_test_agent_os_release_LDADD = $(AGENT_TEST_LIBS)
tests_unit_test_agent_peer_CFLAGS = $(AGENT_TEST_CFLAGS)
tests_unit_test_agent_peer_LDADD = $(AGENT_TEST_LIBS)
tests_unit_test_agent_port_CFLAGS = $(AGENT_TEST_CFLAGS)
tests_unit_test_agent_port_LDADD = $(AGENT_TEST_LIBS)
fake_root = tests/unit/fake-root.c tests/unit/fake-root.h
tests_unit_test_agent_disks_SOURCES = tests/unit/test_agent_disks.c $(fake_root)
tests_unit_test_agent_disks_CFLAGS = $(AGENT_TEST_CFLAGS)
tests_unit_test_agent_disks_LDADD = $(AGENT_TEST_LIBS)
tests_unit_test_agent_system_SOURCES = tests/unit/test_agent_system.c $(fake_root)
tests_unit_test_agent_system_CFLAGS = $(AGENT_TEST_CFLAGS)
tests_unit_test_agent_system_LDADD = $(AGENT_TEST_LIBS)
tests_unit_test_agent_helper_CFLAGS = $(AGENT_TEST_CFLAGS)
tests_unit_test_agent_helper_LDADD = $(AGENT_TEST_LIBS)
tests_unit_test_agent_mounts_SOURCES = tests/unit/test_agent_mounts.c $(fake_root)
tests_unit_test_agent_mounts_CFLAGS = $(AGENT_TEST_CFLAGS)
tests_unit_test_agent_mounts_LDADD = $(AGENT_TEST_LIBS)
tests_unit_test_agent_power_SOURCES = tests/unit/test_agent_power.c $(fake_root)
tests_unit_test_agent_power_CFLAGS = $(AGENT_TEST_CFLAGS)
tests_unit_test_agent_power_LDADD = $(AGENT_TEST_LIBS)
fake_machine = tests/unit/fake-machine.c tests/unit/fake-machine.h
tests_unit_test_qmp_server_SOURCES = tests/unit/test_qmp_server.c $(fake_machine)
tests_unit_test_qmp_server_LDADD = $(vmm_test_libs)

# lib/domain
if HAVE_CHECK
check_PROGRAMS += tests/unit/test_domain_model tests/unit/test_domain_monitor tests/unit/test_domain_libvirt
endif
domain_test_libs = $(DOMAIN_LIBS) $(CHECK_LIBS)
tests_unit_test_domain_model_LDADD = $(domain_test_libs)
tests_unit_test_domain_libvirt_LDADD = $(domain_test_libs)
tests_unit_test_domain_monitor_SOURCES = tests/unit/test_domain_monitor.c $(scripted_server)
tests_unit_test_domain_monitor_LDADD = $(domain_test_libs)

# virt-what
if HAVE_CHECK
if ENABLE_VIRT_WHAT
check_PROGRAMS += tests/unit/test_what_pattern
endif
endif
tests_unit_test_what_pattern_SOURCES = tests/unit/test_what_pattern.c virt-what/pattern.c virt-what/pattern.h
tests_unit_test_what_pattern_CFLAGS = $(what_cflags) $(CHECK_CFLAGS)
tests_unit_test_what_pattern_LDADD = $(CHECK_LIBS)

# virt-top
if HAVE_CHECK
if ENABLE_VIRT_TOP
check_PROGRAMS += tests/unit/test_virt_top
endif
endif
tests_unit_test_virt_top_LDADD = virt-top/libvirttop.a $(DOMAIN_LIBS) $(CHECK_LIBS) -lm

if HAVE_CHECK
if ENABLE_BALLOON
check_PROGRAMS += tests/unit/test_policy tests/unit/test_policy_ksm \
	tests/unit/test_policy_vcpu tests/unit/test_policy_numa \
	tests/unit/test_balloond tests/unit/test_balloond_keep \
	tests/unit/test_balloond_observe tests/unit/test_balloond_vcpus tests/unit/test_balloond_numa
endif
endif
tests_unit_test_policy_LDADD = balloon/libpolicy.a $(BASE_LIBS) $(CHECK_LIBS)
tests_unit_test_policy_ksm_LDADD = balloon/libpolicy.a $(BASE_LIBS) $(CHECK_LIBS)
tests_unit_test_policy_vcpu_LDADD = balloon/libpolicy.a $(BASE_LIBS) $(CHECK_LIBS)
tests_unit_test_policy_numa_LDADD = balloon/libpolicy.a $(BASE_LIBS) $(CHECK_LIBS)
tests_unit_test_balloond_SOURCES = tests/unit/test_balloond.c $(fake_root)
tests_unit_test_balloond_numa_SOURCES = tests/unit/test_balloond_numa.c $(fake_root)
tests_unit_test_balloond_numa_LDADD = $(BALLOOND_LIBS) $(CHECK_LIBS)
tests_unit_test_balloond_keep_SOURCES = tests/unit/test_balloond_keep.c $(fake_root)
tests_unit_test_balloond_keep_LDADD = $(BALLOOND_LIBS) $(CHECK_LIBS)
tests_unit_test_balloond_LDADD = $(BALLOOND_LIBS) $(CHECK_LIBS)
tests_unit_test_balloond_vcpus_SOURCES = tests/unit/test_balloond_vcpus.c $(fake_root)
tests_unit_test_balloond_vcpus_LDADD = $(BALLOOND_LIBS) $(CHECK_LIBS)
tests_unit_test_balloond_observe_LDADD = $(BALLOOND_LIBS) $(CHECK_LIBS)

# virt-who
if HAVE_CHECK
if ENABLE_VIRT_WHO
check_PROGRAMS += tests/unit/test_who tests/unit/test_who_destination
endif
endif
tests_unit_test_who_LDADD = $(WHO_LIBS) $(CHECK_LIBS)
tests_unit_test_who_destination_LDADD = $(WHO_LIBS) $(CHECK_LIBS)
