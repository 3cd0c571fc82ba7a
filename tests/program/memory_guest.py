#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A process that looks like a host-vmm guest: a QMP server in a runtime folder, with memory that KSM may merge.

    memory_guest.py FOLDER NAME MIB

Reads words from its standard input and answers each line by one: `equal MIB` (page i is the same in every such process),
`unique MIB` (no page is that of another), `volatile MIB` (unique, and written again and again), `zero MIB`. Ends with its input.
"""
import json
import mmap
import os
import socket
import struct
import sys
import threading
import time

PAGE = 4096
folder, name, most = sys.argv[1], sys.argv[2], int(sys.argv[3])
memory = mmap.mmap(-1, most << 20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
memory.madvise(mmap.MADV_MERGEABLE)
memory.madvise(mmap.MADV_NOHUGEPAGE)
tail = bytes(range(256)) * 16
filled = 0
balloon = most << 20

REPLIES = {
    'qmp_capabilities': lambda arguments: {},
    'query-commands': lambda arguments: [{'name': command} for command in sorted(REPLIES)],
    'query-name': lambda arguments: {'name': name},
    'query-status': lambda arguments: {'status': 'running', 'running': True},
    'query-memory-size-summary': lambda arguments: {'base-memory': most << 20, 'plugged-memory': 0},
    'query-cpus-fast': lambda arguments: [{'cpu-index': 0, 'thread-id': os.getpid(), 'target': 'x86_64'}],
    'query-balloon': lambda arguments: {'actual': balloon},
    'qom-list': lambda arguments: [{'name': 'balloon', 'type': 'child<virtio-balloon-pci>'}],
    'qom-get': lambda arguments: {'last-update': 0, 'stats': {}},
    'qom-set': lambda arguments: {},
    'balloon': lambda arguments: {},
}


def serve(client):
    stream = client.makefile('rw')
    stream.write(json.dumps({'QMP': {'version': {}, 'capabilities': []}}) + '\n')
    stream.flush()
    for line in stream:
        request = json.loads(line)
        reply = {'id': request['id']} if 'id' in request else {}
        handler = REPLIES.get(request['execute'])
        if handler:
            reply['return'] = handler(request.get('arguments', {}))
        else:
            reply['error'] = {'class': 'CommandNotFound', 'desc': 'no such command'}
        stream.write(json.dumps(reply) + '\n')
        stream.flush()


def guard(client):
    try:
        serve(client)
    except (OSError, ValueError):
        pass


def listen(listener):
    while True:
        client, _ = listener.accept()
        threading.Thread(target=guard, args=(client,), daemon=True).start()


def fill(mib, salt):
    global filled
    pages = mib << 8
    pack = struct.Struct('<QQ').pack
    for number in range(filled, filled + pages):
        at = number * PAGE
        memory[at:at + PAGE] = pack(number ^ 0x5bd1e995, salt) + tail[16:]
    filled += pages


def rewrite(first, pages):
    turn = 0
    while True:
        turn += 1
        for number in range(first, first + pages):
            memory[number * PAGE:number * PAGE + 8] = struct.pack('<Q', turn << 32 | number)
        time.sleep(0.5)


home = os.path.join(folder, name)
os.makedirs(folder + '.new/' + name)
server = socket.socket(socket.AF_UNIX)
server.bind(folder + '.new/' + name + '/qmp.sock')
server.listen(8)
os.rename(folder + '.new/' + name, home)  # it is found when it listens
threading.Thread(target=listen, args=(server,), daemon=True).start()
print('ready', flush=True)
for words in sys.stdin:
    kind, size = words.split()
    if kind == 'zero':
        at, end = filled * PAGE, (filled * PAGE) + (int(size) << 20)
        memory[at:end] = bytes(end - at)
        filled = end // PAGE
    else:
        begin = filled
        fill(int(size), 0 if kind == 'equal' else os.getpid())
        if kind == 'volatile':
            threading.Thread(target=rewrite, args=(begin, int(size) << 8), daemon=True).start()
    print('done', flush=True)
