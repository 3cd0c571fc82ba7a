// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libvirt-api: libvirt's client library, loaded when it is asked for first.
 *
 * Linked, it and the fifty libraries behind it would cost every program of the suite that may talk with
 * libvirt, but does not, their relocated data and the time to load them (5 MB and 20 ms). Who includes this
 * calls libvirt's functions by their own names; one that is missing from the two lists below is not found by
 * the linker. Needed in build are libvirt's headers only.
 */
#pragma once

#include <glib.h>
#include <libvirt/libvirt-qemu.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

#define LIBVIRT_FUNCTIONS(F)                                                                                 \
    F(virConnectClose)                                                                                       \
    F(virConnectDomainEventDeregisterAny)                                                                    \
    F(virConnectDomainEventRegisterAny)                                                                      \
    F(virConnectGetAllDomainStats)                                                                           \
    F(virConnectGetCapabilities)                                                                             \
    F(virConnectGetHostname)                                                                                 \
    F(virConnectGetType)                                                                                     \
    F(virConnectGetURI)                                                                                      \
    F(virConnectGetVersion)                                                                                  \
    F(virConnectIsAlive)                                                                                     \
    F(virConnectListAllDomains)                                                                              \
    F(virConnectOpen)                                                                                        \
    F(virConnectOpenAuth)                                                                                    \
    F(virConnectOpenReadOnly)                                                                                \
    F(virConnectRegisterCloseCallback)                                                                       \
    F(virConnectSetKeepAlive)                                                                                \
    F(virConnectUnregisterCloseCallback)                                                                     \
    F(virDomainAgentSetResponseTimeout)                                                                      \
    F(virDomainBlockStats)                                                                                   \
    F(virDomainFree)                                                                                         \
    F(virDomainGetBlockIoTune)                                                                               \
    F(virDomainGetGuestInfo)                                                                                 \
    F(virDomainGetID)                                                                                        \
    F(virDomainGetInfo)                                                                                      \
    F(virDomainGetName)                                                                                      \
    F(virDomainGetState)                                                                                     \
    F(virDomainGetUUID)                                                                                      \
    F(virDomainGetUUIDString)                                                                                \
    F(virDomainGetVcpus)                                                                                     \
    F(virDomainGetXMLDesc)                                                                                   \
    F(virDomainInterfaceStats)                                                                               \
    F(virDomainIsActive)                                                                                     \
    F(virDomainListGetStats)                                                                                 \
    F(virDomainLookupByID)                                                                                   \
    F(virDomainLookupByName)                                                                                 \
    F(virDomainLookupByUUIDString)                                                                           \
    F(virDomainResume)                                                                                       \
    F(virDomainSetMemoryFlags)                                                                               \
    F(virDomainSetMemoryStatsPeriod)                                                                         \
    F(virDomainSetVcpusFlags)                                                                                \
    F(virDomainShutdown)                                                                                     \
    F(virDomainStatsRecordListFree)                                                                          \
    F(virDomainSuspend)                                                                                      \
    F(virEventRegisterDefaultImpl)                                                                           \
    F(virGetLastError)                                                                                       \
    F(virGetLastErrorCode)                                                                                   \
    F(virInitialize)                                                                                         \
    F(virNodeGetInfo)                                                                                        \
    F(virResetLastError)                                                                                     \
    F(virSetErrorFunc)                                                                                       \
    F(virTypedParamsClear)                                                                                   \
    F(virTypedParamsFree)                                                                                    \
    F(virTypedParamsGetString)

typedef struct LibvirtApi {
#define LIBVIRT_MEMBER(name) __typeof__(name) *name;
    LIBVIRT_FUNCTIONS(LIBVIRT_MEMBER)
#undef LIBVIRT_MEMBER
    __typeof__(virDomainQemuAgentCommand) *virDomainQemuAgentCommand; /* NULL before libvirt_load_qemu() */
} LibvirtApi;

/* TRUE: the functions below may be called from now on, from any thread. FALSE and why not (static), one line:
 * the library is not installed, or too old. Stays loaded: libvirt cannot be unloaded. From any thread. */
gboolean libvirt_load(const char **why);
/* The same with libvirt-qemu. */
gboolean libvirt_load_qemu(const char **why);
/* After libvirt_load(). */
const LibvirtApi *libvirt_api(void);

#ifndef LIBVIRT_API_NAMES_ONLY
#define virConnectClose                    (libvirt_api()->virConnectClose)
#define virConnectDomainEventDeregisterAny (libvirt_api()->virConnectDomainEventDeregisterAny)
#define virConnectDomainEventRegisterAny   (libvirt_api()->virConnectDomainEventRegisterAny)
#define virConnectGetAllDomainStats        (libvirt_api()->virConnectGetAllDomainStats)
#define virConnectGetCapabilities          (libvirt_api()->virConnectGetCapabilities)
#define virConnectGetHostname              (libvirt_api()->virConnectGetHostname)
#define virConnectGetType                  (libvirt_api()->virConnectGetType)
#define virConnectGetURI                   (libvirt_api()->virConnectGetURI)
#define virConnectGetVersion               (libvirt_api()->virConnectGetVersion)
#define virConnectIsAlive                  (libvirt_api()->virConnectIsAlive)
#define virConnectListAllDomains           (libvirt_api()->virConnectListAllDomains)
#define virConnectOpen                     (libvirt_api()->virConnectOpen)
#define virConnectOpenAuth                 (libvirt_api()->virConnectOpenAuth)
#define virConnectOpenReadOnly             (libvirt_api()->virConnectOpenReadOnly)
#define virConnectRegisterCloseCallback    (libvirt_api()->virConnectRegisterCloseCallback)
#define virConnectSetKeepAlive             (libvirt_api()->virConnectSetKeepAlive)
#define virConnectUnregisterCloseCallback  (libvirt_api()->virConnectUnregisterCloseCallback)
#define virDomainAgentSetResponseTimeout   (libvirt_api()->virDomainAgentSetResponseTimeout)
#define virDomainBlockStats                (libvirt_api()->virDomainBlockStats)
#define virDomainFree                      (libvirt_api()->virDomainFree)
#define virDomainGetBlockIoTune            (libvirt_api()->virDomainGetBlockIoTune)
#define virDomainGetGuestInfo              (libvirt_api()->virDomainGetGuestInfo)
#define virDomainGetID                     (libvirt_api()->virDomainGetID)
#define virDomainGetInfo                   (libvirt_api()->virDomainGetInfo)
#define virDomainGetName                   (libvirt_api()->virDomainGetName)
#define virDomainGetState                  (libvirt_api()->virDomainGetState)
#define virDomainGetUUID                   (libvirt_api()->virDomainGetUUID)
#define virDomainGetUUIDString             (libvirt_api()->virDomainGetUUIDString)
#define virDomainGetVcpus                  (libvirt_api()->virDomainGetVcpus)
#define virDomainGetXMLDesc                (libvirt_api()->virDomainGetXMLDesc)
#define virDomainInterfaceStats            (libvirt_api()->virDomainInterfaceStats)
#define virDomainIsActive                  (libvirt_api()->virDomainIsActive)
#define virDomainListGetStats              (libvirt_api()->virDomainListGetStats)
#define virDomainLookupByID                (libvirt_api()->virDomainLookupByID)
#define virDomainLookupByName              (libvirt_api()->virDomainLookupByName)
#define virDomainLookupByUUIDString        (libvirt_api()->virDomainLookupByUUIDString)
#define virDomainResume                    (libvirt_api()->virDomainResume)
#define virDomainSetMemoryFlags            (libvirt_api()->virDomainSetMemoryFlags)
#define virDomainSetMemoryStatsPeriod      (libvirt_api()->virDomainSetMemoryStatsPeriod)
#define virDomainSetVcpusFlags             (libvirt_api()->virDomainSetVcpusFlags)
#define virDomainShutdown                  (libvirt_api()->virDomainShutdown)
#define virDomainStatsRecordListFree       (libvirt_api()->virDomainStatsRecordListFree)
#define virDomainSuspend                   (libvirt_api()->virDomainSuspend)
#define virEventRegisterDefaultImpl        (libvirt_api()->virEventRegisterDefaultImpl)
#define virGetLastError                    (libvirt_api()->virGetLastError)
#define virGetLastErrorCode                (libvirt_api()->virGetLastErrorCode)
#define virInitialize                      (libvirt_api()->virInitialize)
#define virNodeGetInfo                     (libvirt_api()->virNodeGetInfo)
#define virResetLastError                  (libvirt_api()->virResetLastError)
#define virSetErrorFunc                    (libvirt_api()->virSetErrorFunc)
#define virTypedParamsClear                (libvirt_api()->virTypedParamsClear)
#define virTypedParamsFree                 (libvirt_api()->virTypedParamsFree)
#define virTypedParamsGetString            (libvirt_api()->virTypedParamsGetString)
#define virDomainQemuAgentCommand          (libvirt_api()->virDomainQemuAgentCommand)
#endif
