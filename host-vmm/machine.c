// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/machine.h"

#include "host-vmm/boot/acpi.h"
#include "host-vmm/boot/loader.h"
#include "host-vmm/hw/pc.h"
#include "host-vmm/hw/uart16550.h"
#include "host-vmm/kvm/interrupts.h"
#include "host-vmm/kvm/probe.h"
#include "host-vmm/kvm/vcpu.h"
#include "host-vmm/notifier.h"

#define PORT_LIMIT       0xffff
#define MMIO_LIMIT       G_MAXUINT64
#define MAX_SERIAL_PORTS 4

/* What other threads ask of the main thread, in order. */
typedef enum {
    REQUEST_EVENT,
    REQUEST_GUEST_RESET,
    REQUEST_GUEST_POWER_OFF,
    REQUEST_STOP_ON_ERROR
} RequestKind;

typedef struct Request {
    RequestKind kind;
    char *text; /* the event's name, or what went wrong */
    JsonObject *data;
} Request;

struct Machine {
    const MachineConfig *config;
    MachineState state; /* main thread, as all that is not said to be otherwise */
    DeviceEnv env;
    Kvm *kvm;
    Loader *loader;
    Pc *pc;
    GPtrArray *vcpus; /* of Vcpu*; complete before any of them runs */
    gboolean ended;   /* the quit function has been called */

    GMutex request_lock; /* guards requests */
    GQueue requests;
    Notifier *request_notifier;

    MachineEventFunc event_func;
    gpointer event_data;
    MachineQuitFunc quit_func;
    gpointer quit_data;
};

static const char *const state_names[] = {
    [MACHINE_PRELAUNCH] = "prelaunch",
    [MACHINE_RUNNING] = "running",
    [MACHINE_PAUSED] = "paused",
    [MACHINE_SHUTDOWN] = "shutdown",
    [MACHINE_INTERNAL_ERROR] = "internal-error",
};

const char *machine_state_name(MachineState state)
{
    return state_names[state];
}

/* ---- requests from other threads ---- */

static void request_free(gpointer data)
{
    Request *request = data;
    g_free(request->text);
    g_clear_pointer(&request->data, json_object_unref);
    g_free(request);
}

/* Takes data. Any thread. */
static void post(Machine *machine, RequestKind kind, const char *text, JsonObject *data)
{
    Request *request = g_new0(Request, 1);
    request->kind = kind;
    request->text = g_strdup(text);
    request->data = data;
    g_mutex_lock(&machine->request_lock);
    g_queue_push_tail(&machine->requests, request);
    g_mutex_unlock(&machine->request_lock);
    notifier_signal(machine->request_notifier);
}

static void ask_vcpus_to_pause(Machine *machine)
{
    for (guint i = 0; i < machine->vcpus->len; i++) {
        vcpu_request_pause(machine->vcpus->pdata[i]);
    }
}

static void on_device_event(const char *name, JsonObject *data, gpointer user_data)
{
    post(user_data, REQUEST_EVENT, name, data);
}

/* On the vCPU's thread. None of the vCPUs should go on from here. */
static void on_pc_request(PcRequest kind, gpointer user_data)
{
    Machine *machine = user_data;
    ask_vcpus_to_pause(machine);
    post(machine, kind == PC_RESET ? REQUEST_GUEST_RESET : REQUEST_GUEST_POWER_OFF, NULL, NULL);
}

static void on_vcpu_event(Vcpu *vcpu, VcpuEvent event, const char *text, gpointer user_data)
{
    Machine *machine = user_data;
    ask_vcpus_to_pause(machine);
    switch (event) {
    case VCPU_EVENT_RESET:
        post(machine, REQUEST_GUEST_RESET, NULL, NULL);
        break;
    case VCPU_EVENT_SHUTDOWN:
        post(machine, REQUEST_GUEST_POWER_OFF, NULL, NULL);
        break;
    case VCPU_EVENT_ERROR:
        post(machine, REQUEST_STOP_ON_ERROR, text, NULL);
        break;
    }
}

/* ---- lifecycle ---- */

/* Takes data. */
static void emit(Machine *machine, const char *name, JsonObject *data)
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
    ask_vcpus_to_pause(machine);
    for (guint i = 0; i < machine->vcpus->len; i++) {
        vcpu_wait_parked(machine->vcpus->pdata[i]);
    }
}

static void run_vcpus(Machine *machine)
{
    for (guint i = 0; i < machine->vcpus->len; i++) {
        vcpu_resume(machine->vcpus->pdata[i]);
    }
}

static void stop_in_state(Machine *machine, MachineState state)
{
    gboolean was_running = machine->state == MACHINE_RUNNING;
    stand_still(machine);
    machine->state = state;
    if (was_running) {
        emit(machine, "STOP", NULL);
    }
}

static void stop_on_error(Machine *machine, const char *text)
{
    g_critical("%s; the guest is paused", text);
    stop_in_state(machine, MACHINE_INTERNAL_ERROR);
}

static gboolean write_acpi_tables(Machine *machine, GError **error)
{
    AcpiSerialPort ports[MAX_SERIAL_PORTS];
    AcpiConfig acpi = {
        .vcpus = machine->config->vcpus,
        .topology = {machine->config->sockets, machine->config->cores, machine->config->threads},
        .serial_ports = ports,
    };
    for (guint i = 0; i < machine->env.devices->len && acpi.serial_port_count < MAX_SERIAL_PORTS; i++) {
        AcpiSerialPort *port = &ports[acpi.serial_port_count];
        if (uart16550_place(machine->env.devices->pdata[i], &port->base, &port->irq)) {
            acpi.serial_port_count++;
        }
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
    if (!kvm_reset_irqchip(machine->kvm, error) || !write_acpi_tables(machine, error) ||
        !loader_load(machine->loader, machine->env.memory, &entry, error)) {
        return FALSE;
    }
    for (guint i = 0; i < machine->vcpus->len; i++) {
        if (!vcpu_reset(machine->vcpus->pdata[i], i == 0 ? &entry : NULL, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

static void reset(Machine *machine, gboolean by_guest, const char *reason)
{
    gboolean was_running = machine->state == MACHINE_RUNNING;
    stand_still(machine);
    g_autoptr(GError) error = NULL;
    if (!set_power_on_state(machine, &error)) {
        stop_on_error(machine, error->message);
        return;
    }
    emit(machine, "RESET", cause(by_guest, reason));
    if (was_running) {
        run_vcpus(machine);
    } else if (machine->state != MACHINE_PRELAUNCH) {
        machine->state = MACHINE_PAUSED;
    }
}

static void end(Machine *machine, gboolean by_guest, const char *reason, int status)
{
    if (machine->ended) {
        return;
    }
    machine->ended = TRUE;
    stand_still(machine);
    emit(machine, "SHUTDOWN", cause(by_guest, reason));
    if (machine->quit_func) {
        machine->quit_func(status, machine->quit_data);
    }
}

static void handle_request(Machine *machine, Request *request)
{
    switch (request->kind) {
    case REQUEST_EVENT:
        emit(machine, request->text, g_steal_pointer(&request->data));
        break;
    case REQUEST_GUEST_RESET:
        if (machine->config->no_reboot) {
            end(machine, TRUE, "guest-reset", 0);
        } else {
            reset(machine, TRUE, "guest-reset");
        }
        break;
    case REQUEST_GUEST_POWER_OFF:
        if (machine->config->no_shutdown) {
            emit(machine, "SHUTDOWN", cause(TRUE, "guest-shutdown"));
            stop_in_state(machine, MACHINE_SHUTDOWN);
        } else {
            end(machine, TRUE, "guest-shutdown", 0);
        }
        break;
    case REQUEST_STOP_ON_ERROR:
        stop_on_error(machine, request->text);
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
        request_free(request);
    }
}

/* ---- building ---- */

static gboolean create_vcpus(Machine *machine, GError **error)
{
    const MachineConfig *config = machine->config;
    guint most = kvm_max_vcpus(machine->kvm);
    if (config->vcpus > most) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
                    "-smp %u: this host's KVM takes %u vCPUs at most", config->vcpus, most);
        return FALSE;
    }
    for (guint i = 0; i < config->vcpus; i++) {
        g_autofree char *name = g_strdup_printf("CPU %u/KVM", i);
        VcpuConfig vcpu_config = {
            .index = i,
            .topology = {config->sockets, config->cores, config->threads},
            .thread_name = name,
            .ports = machine->env.ports,
            .mmio = machine->env.mmio,
            .memory = machine->env.memory,
            .event = on_vcpu_event,
            .event_data = machine,
        };
        Vcpu *vcpu = vcpu_new(machine->kvm, &vcpu_config, error);
        if (!vcpu) {
            return FALSE;
        }
        g_ptr_array_add(machine->vcpus, vcpu);
    }
    return TRUE;
}

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

static gboolean create_objects_and_devices(Machine *machine, GError **error)
{
    const MachineConfig *config = machine->config;
    for (guint i = 0; i < config->objects->len; i++) {
        if (!object_set_add(machine->env.objects, config->objects->pdata[i], error)) {
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
    return TRUE;
}

static gboolean build(Machine *machine, GError **error)
{
    const MachineConfig *config = machine->config;
    DeviceEnv *env = &machine->env;
    /* What fails most easily comes first; the probe guest runs before anything is opened for the real one. */
    machine->loader = loader_new(config->kernel, config->initrd, config->append, error);
    if (!machine->loader) {
        return FALSE;
    }
    env->memory = guest_memory_new(config->memory_size, error);
    if (!env->memory) {
        return FALSE;
    }
    if (config->probe && !probe_kvm(NULL, error)) {
        return FALSE;
    }
    machine->kvm = kvm_new(error);
    if (!machine->kvm || !kvm_create_irqchip(machine->kvm, error) || !kvm_save_irqchip(machine->kvm, error) ||
        !kvm_map_memory(machine->kvm, env->memory, error)) {
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
    return machine->pc && create_objects_and_devices(machine, error) && pci_bus_assign(env->pci, error) &&
           create_vcpus(machine, error) && set_power_on_state(machine, error);
}

Machine *machine_new(const MachineConfig *config, ChardevSet *chardevs, GError **error)
{
    g_autoptr(Machine) machine = g_new0(Machine, 1);
    machine->config = config;
    machine->state = MACHINE_PRELAUNCH;
    machine->vcpus = g_ptr_array_new_with_free_func((GDestroyNotify)vcpu_free);
    g_mutex_init(&machine->request_lock);
    g_queue_init(&machine->requests);
    machine->request_notifier = notifier_new(handle_requests, machine);
    machine->env.chardevs = chardevs;
    machine->env.objects = object_set_new();
    machine->env.devices = g_ptr_array_new();
    machine->env.event = on_device_event;
    machine->env.event_data = machine;
    vcpu_init_signals();
    return build(machine, error) ? g_steal_pointer(&machine) : NULL;
}

void machine_free(Machine *machine)
{
    if (!machine) {
        return;
    }
    g_ptr_array_unref(machine->vcpus); /* first: nobody drives a device from here on */
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
    object_set_free(machine->env.objects);
    interrupts_free(machine->env.vm);
    kvm_free(machine->kvm);
    guest_memory_free(machine->env.memory);
    loader_free(machine->loader);
    g_queue_clear_full(&machine->requests, request_free);
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

MachineState machine_state(const Machine *machine)
{
    return machine->state;
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
        emit(machine, "RESUME", NULL);
        run_vcpus(machine);
    }
    return TRUE;
}

void machine_pause(Machine *machine)
{
    if (machine->state == MACHINE_RUNNING) {
        stop_in_state(machine, MACHINE_PAUSED);
    }
}

void machine_reset(Machine *machine)
{
    reset(machine, FALSE, "host-qmp-system-reset");
}

void machine_powerdown(Machine *machine)
{
    pc_press_power_button(machine->pc);
    emit(machine, "POWERDOWN", NULL);
}

void machine_quit(Machine *machine, const char *reason)
{
    end(machine, FALSE, reason, 0);
}

guint machine_vcpu_count(const Machine *machine)
{
    return machine->vcpus->len;
}

MachineVcpu machine_vcpu(const Machine *machine, guint index)
{
    Vcpu *vcpu = machine->vcpus->pdata[index];
    return (MachineVcpu){.index = vcpu_index(vcpu), .thread_id = vcpu_thread_id(vcpu)};
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
