# SPDX-License-Identifier: GPL-2.0-or-later
"""The agent's commands as their callers know them: what the tests walk."""

# name: (arguments that it needs, arguments that it may have), each with the word for its type
COMMANDS = {
    'guest-sync': ({'id': 'integer'}, {}),
    'guest-sync-delimited': ({'id': 'integer'}, {}),
    'guest-ping': ({}, {}),
    'guest-info': ({}, {}),
    'guest-get-osinfo': ({}, {}),
    'guest-get-host-name': ({}, {}),
    'guest-get-time': ({}, {}),
    'guest-get-vcpus': ({}, {}),
    'guest-set-vcpus': ({'vcpus': 'array'}, {}),
    'guest-exec': ({'path': 'string'},
                   {'arg': 'array', 'env': 'array', 'input-data': 'string', 'capture-output': 'GuestExecCaptureOutput'}),
    'guest-exec-status': ({'pid': 'integer'}, {}),
    'guest-exec-stream': ({'path': 'string'}, {'arg': 'array', 'env': 'array', 'input': 'boolean', 'output': 'string'}),
    'guest-exec-stream-io': ({'pid': 'integer'}, {'input-data': 'string', 'input-end': 'boolean', 'signal': 'integer',
                                                  'count': 'integer', 'wait': 'integer'}),
    'guest-file-open': ({'path': 'string'}, {'mode': 'string'}),
    'guest-file-close': ({'handle': 'integer'}, {}),
    'guest-file-read': ({'handle': 'integer'}, {'count': 'integer'}),
    'guest-file-write': ({'handle': 'integer', 'buf-b64': 'string'}, {'count': 'integer'}),
    'guest-file-seek': ({'handle': 'integer', 'offset': 'integer', 'whence': 'GuestFileWhence'}, {}),
    'guest-file-flush': ({'handle': 'integer'}, {}),
    'guest-shutdown': ({}, {'mode': 'string'}),
    'guest-network-get-interfaces': ({}, {}),
    'guest-network-get-route': ({}, {}),
    'guest-get-load': ({}, {}),
    'guest-get-cpustats': ({}, {}),
    'guest-get-diskstats': ({}, {}),
    'guest-get-memory-blocks': ({}, {}),
    'guest-set-memory-blocks': ({'mem-blks': 'array'}, {}),
    'guest-get-memory-block-info': ({}, {}),
    'guest-get-disks': ({}, {}),
    'guest-get-fsinfo': ({}, {}),
    'guest-get-timezone': ({}, {}),
    'guest-set-time': ({}, {'time': 'integer'}),
    'guest-get-users': ({}, {}),
    'guest-set-user-password': ({'username': 'string', 'password': 'string', 'crypted': 'boolean'}, {}),
    'guest-ssh-get-authorized-keys': ({'username': 'string'}, {}),
    'guest-ssh-add-authorized-keys': ({'username': 'string', 'keys': 'array'}, {'reset': 'boolean'}),
    'guest-ssh-remove-authorized-keys': ({'username': 'string', 'keys': 'array'}, {}),
    'guest-fsfreeze-status': ({}, {}),
    'guest-fsfreeze-freeze': ({}, {}),
    'guest-fsfreeze-freeze-list': ({}, {'mountpoints': 'array'}),
    'guest-fsfreeze-thaw': ({}, {}),
    'guest-fstrim': ({}, {'minimum': 'integer'}),
    'guest-suspend-disk': ({}, {}),
    'guest-suspend-ram': ({}, {}),
    'guest-suspend-hybrid': ({}, {}),
}
# These say nothing when they work, and must not be asked without arguments that are wrong.
QUIET = ['guest-shutdown', 'guest-suspend-disk', 'guest-suspend-hybrid', 'guest-suspend-ram']
GOOD = {'integer': 987654321, 'string': '/nonexistent/file', 'array': [], 'boolean': False, 'GuestExecCaptureOutput': True, 'GuestFileWhence': 0}
VALUES = {'integer': 1, 'float': 1.5, 'huge': 1 << 64, 'string': 'x', 'bool': True, 'null': None, 'array': [1], 'object': {}}
TAKEN = {'integer': {'integer'}, 'string': {'string'}, 'array': {'array'}, 'boolean': {'bool'},
         'GuestExecCaptureOutput': {'bool', 'string'}, 'GuestFileWhence': {'integer', 'string'}}
