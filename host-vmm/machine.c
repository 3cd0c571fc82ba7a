// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/machine.h"

#include "host-vmm/block/iothread.h"
#include "host-vmm/boot/acpi.h"
#include "host-vmm/hw/i8042.h"
#include "host-vmm/hw/pvpanic.h"
#include "host-vmm/hw/uart16550.h"
#include "host-vmm/hw/vmgenid.h"
#include "host-vmm/kvm/interrupts.h"
#include "host-vmm/kvm/probe-cache.h"
#include "host-vmm/machine-private.h"

#define PORT_LIMIT       0xffff
#define MMIO_LIMIT       G_MAXUINT64
#define MAX_SERIAL_PORTS 4

static const char *const state_names[] = {
    [MACHINE_PRELAUNCH] = "prelaunch",
    [MACHINE_RUNNING] = "running",
    [MACHINE_PAUSED] = "paused",
    [MACHINE_IO_ERROR] = "io-error",
    [MACHINE_SHUTDOWN] = "shutdown",
    [MACHINE_WATCHDOG] = "watchdog",
    [MACHINE_GUEST_PANICKED] = "guest-panicked",
    [MACHINE_INTERNAL_ERROR] = "internal-error",
};

const char *machine_state_name(MachineState state)
{
    return state_names[state];
}

/* ---- requests from other threads ---- */

void machine_request_free(gpointer data)
{
    Request *request = data;
    g_free(request->text);
    g_clear_pointer(&request->data, json_object_unref);
    g_free(request);
}

void machine_post_request(Machine *machine, Request request)
{
    Request *copy = g_new(Request, 1);
    *copy = request;
    g_mutex_lock(&machine->request_lock);
    g_queue_push_tail(&machine->requests, copy);
    g_mutex_unlock(&machine->request_lock);
    notifier_signal(machine->request_notifier);
}

/* Takes data. Any thread. */
static void post(Machine *machine, RequestKind kind, const char *text, JsonObject *data)
{
    machine_post_request(machine, (Request){.kind = kind, .text = g_strdup(text), .data = data});
}

static void on_io_error(gpointer user_data)
{
    post(user_data, REQUEST_STOP_ON_IO_ERROR, NULL, NULL);
}

static void on_device_event(const char *name, JsonObject *data, gpointer user_data)
{
    post(user_data, REQUEST_EVENT, name, data);
}

/* On the vCPU's thread. None of the vCPUs should go on from here. */
static void on_pc_request(PcRequest kind, gpointer user_data)
{
    Machine *machine = user_data;
    cpu_set_request_pause(machine->cpus);
    post(machine, kind == PC_RESET ? REQUEST_GUEST_RESET : REQUEST_GUEST_POWER_OFF, NULL, NULL);
}

static void on_alarm(DeviceAlarm alarm, gpointer user_data)
{
    Machine *machine = user_data;
    if (alarm == DEVICE_ALARM_RESET) {
        on_pc_request(PC_RESET, machine);
        return;
    }
    /* A guest that panics goes no further until it is known what is to be done. */
    if (alarm == DEVICE_ALARM_PANIC) {
        cpu_set_request_pause(machine->cpus);
    }
    machine_post_request(machine, (Request){.kind = REQUEST_ALARM, .alarm = alarm});
}

static void on_gpe(guint gpe, gpointer user_data)
{
    pc_raise_gpe(((Machine *)user_data)->pc, gpe);
}

/* ---- lifecycle ---- */

void machine_emit(Machine *machine, const char *name, JsonObject *data)
{
    if (machine->event_func) {
        machine->event_func(name, data, machine->event_data);
    }
    g_clear_pointer(&data, json_object_unref);
}

static JsonObject *cause(gboolean guest, const char *reason)
{
    JsonObject *data = json_object_new();
    json_object_set_boolean_member(data, "guest", guest);
    json_object_set_string_member(data, "reason", reason);
    return data;
}

static void stand_still(Machine *machine)
{
    cpu_set_request_pause(machine->cpus);
    cpu_set_wait_parked(machine->cpus);
}

static void pause_devices(Machine *machine)
{
    for (guint i = 0; i < machine->env.devices->len; i++) {
        Device *device = machine->env.devices->pdata[i];
        if (device->pause) {
            device->pause(device);
        }
    }
}

static void resume_devices(Machine *machine)
{
    for (guint i = 0; i < machine->env.devices->len; i++) {
        Device *device = machine->env.devices->pdata[i];
        if (device->resume) {
            device->resume(device);
        }
    }
}

void machine_stop_in_state(Machine *machine, MachineState state)
{
    gboolean was_running = machine->state == MACHINE_RUNNING;
    stand_still(machine);
    if (was_running) {
        pause_devices(machine);
    }
    machine->state = state;
    if (was_running) {
        machine_emit(machine, "STOP", NULL);
    }
}

static void stop_on_error(Machine *machine, const char *text)
{
    g_critical("%s; the guest is paused", text);
    machine_stop_in_state(machine, MACHINE_INTERNAL_ERROR);
}

static gboolean is_vcpu_present(guint index, gpointer user_data)
{
    return cpu_set_is_present(((Machine *)user_data)->cpus, index);
}

static gboolean write_acpi_tables(Machine *machine, GError **error)
{
    AcpiSerialPort ports[MAX_SERIAL_PORTS];
    AcpiConfig acpi = {
        .topology = machine_topology(machine),
        .is_present = is_vcpu_present,
        .present_data = machine,
        .cpu_hotplug = machine_has_cpu_hotplug(machine),
        .serial_ports = ports,
        .numa = machine->numa,
        .i8042 = i8042_find(&machine->env) != NULL,
        .vmgenid = vmgenid_find(&machine->env) != NULL,
    };
    for (guint i = 0; i < machine->env.devices->len; i++) {
        AcpiSerialPort *port = &ports[acpi.serial_port_count];
        if (acpi.serial_port_count < MAX_SERIAL_PORTS &&
            uart16550_place(machine->env.devices->pdata[i], &port->base, &port->irq)) {
            acpi.serial_port_count++;
        }
        pvpanic_place(machine->env.devices->pdata[i], &acpi.pvpanic_port);
    }
    return acpi_write_tables(machine->env.memory, &acpi, error);
}

/* Everything to its power-on state, the kernel loaded anew. vCPUs stand still. */
static gboolean set_power_on_state(Machine *machine, GError **error)
{
    for (guint i = 0; i < machine->env.devices->len; i++) {
        Device *device = machine->env.devices->pdata[i];
        if (device->reset) {
            device->reset(device);
        }
        if (device->pci) {
            pci_device_reset(device->pci);
        }
    }
    pc_reset(machine->pc);
    VcpuEntry entry;
    return kvm_reset_irqchip(machine->kvm, error) && write_acpi_tables(machine, error) &&
           loader_load(machine->loader, machine->env.memory, &entry, error) &&
           cpu_set_reset(machine->cpus, &entry, error);
}

void machine_end(Machine *machine, gboolean by_guest, const char *reason, int status)
{
    if (machine->ended) {
        return;
    }
    machine->ended = TRUE;
    stand_still(machine);
    machine_emit(machine, "SHUTDOWN", cause(by_guest, reason));
    if (machine->quit_func) {
        machine->quit_func(status, machine->quit_data);
    }
}

static void reset(Machine *machine, gboolean by_guest, const char *reason)
{
    gboolean was_running = machine->state == MACHINE_RUNNING;
    stand_still(machine);
    machine_handle_vcpu_requests(machine);
    g_autoptr(GError) error = NULL;
    if (!set_power_on_state(machine, &error)) {
        stop_on_error(machine, error->message);
        return;
    }
    machine_emit(machine, "RESET", cause(by_guest, reason));
    if (was_running) {
        cpu_set_resume(machine->cpus);
    } else if (machine->state != MACHINE_PRELAUNCH) {
        machine->state = MACHINE_PAUSED;
    }
}

void machine_guest_reset(Machine *machine)
{
    if (machine->actions.reboot_ends) {
        machine_end(machine, TRUE, "guest-reset", 0);
    } else {
        reset(machine, TRUE, "guest-reset");
    }
}

static void handle_request(Machine *machine, Request *request)
{
    switch (request->kind) {
    case REQUEST_EVENT:
        machine_emit(machine, request->text, g_steal_pointer(&request->data));
        break;
    case REQUEST_GUEST_RESET:
        machine_guest_reset(machine);
        break;
    case REQUEST_GUEST_POWER_OFF:
        if (machine->actions.shutdown_pauses) {
            machine_emit(machine, "SHUTDOWN", cause(TRUE, "guest-shutdown"));
            machine_stop_in_state(machine, MACHINE_SHUTDOWN);
        } else {
            machine_end(machine, TRUE, "guest-shutdown", 0);
        }
        break;
    case REQUEST_STOP_ON_ERROR:
        stop_on_error(machine, request->text);
        break;
    case REQUEST_STOP_ON_IO_ERROR:
        if (machine->state == MACHINE_RUNNING) {
            machine_stop_in_state(machine, MACHINE_IO_ERROR);
        }
        break;
    case REQUEST_EJECT_VCPU:
    case REQUEST_VCPU_REPORT:
        machine_handle_vcpu_request(machine, request);
        break;
    case REQUEST_ALARM:
        machine_handle_alarm(machine, request->alarm);
        break;
    }
}

static void handle_requests(gpointer user_data)
{
    Machine *machine = user_data;
    for (;;) {
        g_mutex_lock(&machine->request_lock);
        Request *request = g_queue_pop_head(&machine->requests);
        g_mutex_unlock(&machine->request_lock);
        if (!request) {
            return;
        }
        if (!machine->ended) {
            handle_request(machine, request);
        }
        machine_request_free(request);
    }
}

/* ---- building ---- */

static gboolean create_serial_ports(Machine *machine, GError **error)
{
    for (guint i = 0; i < machine->config->serials->len; i++) {
        g_autofree char *id = g_strdup_printf("serial%u", i);
        g_autoptr(GError) problem = NULL;
        Chardev *chardev = chardev_set_add_shorthand(machine->env.chardevs, id,
                                                     machine->config->serials->pdata[i], &problem);
        if (problem) {
            g_propagate_error(error, g_steal_pointer(&problem));
            return FALSE;
        }
        if (!chardev) {
            continue; /* "none" */
        }
        g_autofree char *text = g_strdup_printf("isa-serial,index=%u,chardev=%s", i, chardev_id(chardev));
        g_autoptr(OptSet) options = optset_parse("-serial", text, "driver", error);
        if (!options || !device_create(&machine->env, options, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean create_objects(Machine *machine, GError **error)
{
    const MachineConfig *config = machine->config;
    for (guint i = 0; i < config->objects->len; i++) {
        if (!object_set_add(machine->env.objects, config->objects->pdata[i], error)) {
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean create_memory(Machine *machine, GError **error)
{
    const MachineConfig *config = machine->config;
    CpuTopology topology = machine_topology(machine);
    NumaConfig numa = {
        .options = config->numas,
        .memory_size = config->memory_size,
        .memory_most = config->memory_most,
        .backend = config->memory_backend,
        .merge = config->memory_merge,
        .topology = &topology,
        .objects = machine->env.objects,
    };
    machine->numa = numa_new(&numa, &machine->env.memory, error);
    return machine->numa != NULL;
}

static gboolean create_devices(Machine *machine, GError **error)
{
    const MachineConfig *config = machine->config;
    for (guint i = 0; i < config->add_fds->len; i++) {
        if (!fd_store_add_option(machine->env.fds, config->add_fds->pdata[i], error)) {
            return FALSE;
        }
    }
    for (guint i = 0; i < config->blockdevs->len; i++) {
        if (!block_set_add(machine->env.blocks, config->blockdevs->pdata[i], error)) {
            return FALSE;
        }
    }
    g_autoptr(GPtrArray) drive_devices = g_ptr_array_new_with_free_func(g_free);
    for (guint i = 0; i < config->drives->len; i++) {
        char *device = NULL;
        if (!drive_set_add(machine->env.drives, config->drives->pdata[i], &device, error)) {
            return FALSE;
        }
        if (device) {
            g_ptr_array_add(drive_devices, device);
        }
    }
    for (guint i = 0; i < config->netdevs->len; i++) {
        if (!netdev_set_add(machine->env.netdevs, config->netdevs->pdata[i], error)) {
            return FALSE;
        }
    }
    if (!create_serial_ports(machine, error)) {
        return FALSE;
    }
    for (guint i = 0; i < config->devices->len; i++) {
        if (!device_create(&machine->env, config->devices->pdata[i], error)) {
            return FALSE;
        }
    }
    /* Last, so that they do not take the place that another device asks for. */
    for (guint i = 0; i < drive_devices->len; i++) {
        g_autoptr(OptSet) options = optset_parse("-drive", drive_devices->pdata[i], "driver", error);
        if (!options || !device_create(&machine->env, options, error)) {
            return FALSE;
        }
    }
    netdev_set_warn_unused(machine->env.netdevs);
    return TRUE;
}

static void confine_io_thread(gpointer data)
{
    confine_thread(data, CONFINE_IO);
}

static void confine_if_iothread(Object *object, gpointer data)
{
    Machine *machine = data;
    IoContext *context = iothread_from_object(object);
    if (context) {
        io_context_confine(context, confine_io_thread, machine->confine);
    }
}

static void give_up_bounds(gpointer data)
{
    confine_give_up_bounds(data);
}

static void give_up_bounds_if_iothread(Object *object, gpointer data)
{
    Machine *machine = data;
    IoContext *context = iothread_from_object(object);
    if (context) {
        io_context_call(context, give_up_bounds, machine->confine);
    }
}

/* All that needs rights is open. */
static gboolean give_up_rights(Machine *machine, GError **error)
{
    /* Workers that have had something to do already have no list. */
    g_thread_pool_stop_unused_threads();
    object_set_foreach(machine->env.objects, give_up_bounds_if_iothread, machine);
    if (!confine_give_up_rights(machine->confine, error)) {
        return FALSE;
    }
    object_set_foreach(machine->env.objects, confine_if_iothread, machine);
    io_context_confine(machine->env.io, confine_io_thread, machine->confine);
    return TRUE;
}

static gboolean build(Machine *machine, GError **error)
{
    const MachineConfig *config = machine->config;
    DeviceEnv *env = &machine->env;
    /* What fails most easily comes first; the probe guest runs before anything is opened for the real one. */
    machine->confine = confine_new(&config->confine, error);
    if (!machine->confine) {
        return FALSE;
    }
    machine->loader = loader_new(config->kernel, config->initrd, config->append, error);
    if (!machine->loader) {
        return FALSE;
    }
    loader_set_unpack(machine->loader, config->kernel_unpack);
    if (config->kernel_cache) {
        loader_set_cache(machine->loader, config->kernel_cache);
    }
    if (!create_objects(machine, error) || !create_memory(machine, error)) {
        return FALSE;
    }
    loader_begin(machine->loader, machine->env.memory);
    if (config->probe && !probe_kvm_once(error)) {
        return FALSE;
    }
    machine->kvm = kvm_new(error);
    if (!machine->kvm || !kvm_create_irqchip(machine->kvm, error) || !kvm_save_irqchip(machine->kvm, error)) {
        return FALSE;
    }
    env->vm = interrupts_new(machine->kvm, error);
    if (!env->vm) {
        return FALSE;
    }
    env->ports = io_bus_new("ports", PORT_LIMIT);
    env->mmio = io_bus_new("mmio", MMIO_LIMIT);
    env->pci = pci_bus_new(env->ports, env->mmio, env->vm, error);
    if (!env->pci) {
        return FALSE;
    }
    machine->pc = pc_new(env, on_pc_request, machine, error);
    return machine->pc && create_devices(machine, error) && pc_complete(machine->pc, env, error) &&
           kvm_map_memory(machine->kvm, env->memory, error) && pci_bus_assign(env->pci, error) &&
           give_up_rights(machine, error) && machine_create_vcpus(machine, error) &&
           set_power_on_state(machine, error);
}

Machine *machine_new(const MachineConfig *config, ChardevSet *chardevs, GError **error)
{
    g_autoptr(Machine) machine = g_new0(Machine, 1);
    machine->config = config;
    machine->state = MACHINE_PRELAUNCH;
    g_mutex_init(&machine->request_lock);
    g_queue_init(&machine->requests);
    machine->request_notifier = notifier_new(handle_requests, machine);
    machine->env.chardevs = chardevs;
    machine->env.objects = object_set_new();
    machine->env.fds = fd_store_new();
    machine->env.blocks = block_set_new(machine->env.objects);
    block_set_set_fds(machine->env.blocks, machine->env.fds);
    machine->env.io = io_context_new_main();
    DriveEnv drive_env = {.event = on_device_event, .io_error = on_io_error, .user_data = machine};
    machine->env.drives = drive_set_new(machine->env.blocks, machine->env.objects, &drive_env);
    machine->env.vcpus = config->sockets * config->cores * config->threads;
    machine->env.netdevs = netdev_set_new(on_device_event, machine);
    netdev_set_set_fds(machine->env.netdevs, machine->env.fds);
    machine->env.devices = g_ptr_array_new();
    machine->env.event = on_device_event;
    machine->env.alarm = on_alarm;
    machine->env.raise_gpe = on_gpe;
    machine->env.event_data = machine;
    machine->actions = config->actions;
    vcpu_init_signals();
    return build(machine, error) ? g_steal_pointer(&machine) : NULL;
}

void machine_free(Machine *machine)
{
    if (!machine) {
        return;
    }
    cpu_set_free(machine->cpus); /* first: nobody drives a device from here on */
    notifier_free(machine->request_notifier);
    /* A device may sit on the bus of one that was made before it. */
    for (guint i = machine->env.devices->len; i > 0; i--) {
        device_destroy(machine->env.devices->pdata[i - 1]);
    }
    g_ptr_array_unref(machine->env.devices);
    pc_free(machine->pc);
    g_clear_pointer(&machine->env.pci, pci_bus_free);
    g_clear_pointer(&machine->env.mmio, io_bus_free);
    g_clear_pointer(&machine->env.ports, io_bus_free);
    drive_set_free(machine->env.drives);
    block_set_free(machine->env.blocks);
    io_context_free(machine->env.io);
    netdev_set_free(machine->env.netdevs);
    fd_store_free(machine->env.fds);
    object_set_free(machine->env.objects);
    interrupts_free(machine->env.vm);
    kvm_stats_free(machine->vm_stats);
    kvm_free(machine->kvm);
    loader_free(machine->loader); /* it may still be writing */
    guest_memory_free(machine->env.memory);
    numa_free(machine->numa);
    cpuid_table_free(machine->cpuid);
    confine_free(machine->confine);
    g_queue_clear_full(&machine->requests, machine_request_free);
    g_mutex_clear(&machine->request_lock);
    g_free(machine);
}

/* ---- for the monitor ---- */

const MachineConfig *machine_config(const Machine *machine)
{
    return machine->config;
}

DeviceEnv *machine_device_env(Machine *machine)
{
    return &machine->env;
}

const Numa *machine_numa(const Machine *machine)
{
    return machine->numa;
}

MachineState machine_state(const Machine *machine)
{
    return machine->state;
}

void machine_confine(Machine *machine)
{
    confine_thread(machine->confine, CONFINE_MAIN);
}

gboolean machine_resume(Machine *machine, GError **error)
{
    if (machine->state == MACHINE_INTERNAL_ERROR || machine->state == MACHINE_SHUTDOWN) {
        g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_FAILED,
                            "Resetting the Virtual Machine is required");
        return FALSE;
    }
    if (machine->state != MACHINE_RUNNING && !machine->ended) {
        machine->state = MACHINE_RUNNING;
        machine_emit(machine, "RESUME", NULL);
        resume_devices(machine);
        cpu_set_resume(machine->cpus);
    }
    return TRUE;
}

void machine_pause(Machine *machine)
{
    if (machine->state == MACHINE_RUNNING) {
        machine_stop_in_state(machine, MACHINE_PAUSED);
    }
}

void machine_reset(Machine *machine)
{
    reset(machine, FALSE, "host-qmp-system-reset");
}

void machine_powerdown(Machine *machine)
{
    pc_press_power_button(machine->pc);
    machine_emit(machine, "POWERDOWN", NULL);
}

void machine_quit(Machine *machine, const char *reason)
{
    machine_end(machine, FALSE, reason, 0);
}

const KvmStats *machine_vm_stats(Machine *machine, GError **error)
{
    if (!machine->vm_stats) {
        machine->vm_stats = kvm_stats_open(kvm_vm_fd(machine->kvm), error);
    }
    return machine->vm_stats;
}

void machine_set_event_func(Machine *machine, MachineEventFunc func, gpointer user_data)
{
    machine->event_func = func;
    machine->event_data = user_data;
}

void machine_set_quit_func(Machine *machine, MachineQuitFunc func, gpointer user_data)
{
    machine->quit_func = func;
    machine->quit_data = user_data;
}
