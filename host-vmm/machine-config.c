// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/machine-config.h"

void machine_config_free(MachineConfig *config)
{
    if (config == NULL) {
        return;
    }
    g_free(config->name);
    g_free(config->uuid);
    g_free(config->kernel);
    g_free(config->initrd);
    g_free(config->append);
    g_free(config->confine.user);
    cpu_model_free(config->cpu);
    g_free(config->memory_backend);
    g_free(config->kernel_cache);
    g_free(config->pidfile);
    g_free(config->log_file);
    g_ptr_array_unref(config->objects);
    g_ptr_array_unref(config->chardevs);
    g_ptr_array_unref(config->add_fds);
    g_ptr_array_unref(config->blockdevs);
    g_ptr_array_unref(config->drives);
    g_ptr_array_unref(config->netdevs);
    g_ptr_array_unref(config->devices);
    g_ptr_array_unref(config->numas);
    g_ptr_array_unref(config->serials);
    g_ptr_array_unref(config->monitors);
    g_ptr_array_unref(config->qmps);
    g_free(config);
}

static void free_options(gpointer options)
{
    optset_free(options);
}

MachineConfig *machine_config_new(void)
{
    MachineConfig *config = g_new0(MachineConfig, 1);

    config->cpu = cpu_model_new_host();
    config->memory_merge = TRUE;
    config->vcpus = config->sockets = config->cores = config->threads = 1;
    config->kernel_unpack = TRUE;
    config->probe = TRUE;
    config->actions = ACTIONS_DEFAULT;
    config->objects = g_ptr_array_new_with_free_func(free_options);
    config->chardevs = g_ptr_array_new_with_free_func(free_options);
    config->add_fds = g_ptr_array_new_with_free_func(free_options);
    config->blockdevs = g_ptr_array_new_with_free_func(free_options);
    config->drives = g_ptr_array_new_with_free_func(free_options);
    config->netdevs = g_ptr_array_new_with_free_func(free_options);
    config->devices = g_ptr_array_new_with_free_func(free_options);
    config->numas = g_ptr_array_new_with_free_func(free_options);
    config->serials = g_ptr_array_new_with_free_func(g_free);
    config->monitors = g_ptr_array_new_with_free_func(free_options);
    config->qmps = g_ptr_array_new_with_free_func(g_free);
    return config;
}
