# SPDX-License-Identifier: GPL-2.0-or-later
"""What the qcow2-*.test scripts share: qemu-img, and block-io, which opens images as host-vmm does."""
import json
import os
import shutil
import subprocess
import sys

from vmm_monitor import LIMIT, TOP, Result, at, folder, processes, tap, wait_for

BLOCK_IO = os.path.join(TOP, 'tests/program/block-io')


def need_qemu():
    if not os.path.exists(BLOCK_IO):
        print('1..0 # SKIP host-vmm is not built')
        sys.exit(0)
    for name in ('qemu-img', 'qemu-io'):
        if shutil.which(name) is None:
            print('1..0 # SKIP no %s (Debian: qemu-utils)' % name)
            sys.exit(0)


def call(*words, status=(0,), text=''):
    """Another program; its output."""
    done = subprocess.run([str(word) for word in words], cwd=folder, input=text.encode(), stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=LIMIT)
    if status is not None and done.returncode not in status:
        raise RuntimeError('%s: status %d\n%s%s' % (' '.join(map(str, words)), done.returncode,
                                                    done.stdout.decode(), done.stderr.decode()))
    return Result(done.returncode, done.stdout.decode(errors='replace'), done.stderr.decode(errors='replace'))


def create(name, size, options='', backing=None, backing_format='qcow2'):
    words = ['qemu-img', 'create', '-q', '-f', 'qcow2']
    if options:
        words += ['-o', options]
    if backing:
        words += ['-b', backing, '-F', backing_format]
    call(*words, name, *([size] if size else []))


def check(name):
    """Errors that qemu-img finds in an image (None: it is clean), and how many clusters are lost."""
    # After a kill the kernel may still have I/O to do, and the file's locks for it.
    result = wait_for(lambda: (lambda done: done if 'lock' not in done.err else None)(
        call('qemu-img', 'check', '-f', 'qcow2', '--output=json', name, status=None)))
    if result.status not in (0, 3):
        return str(result), 0
    return None, json.loads(result.out).get('leaks', 0)


def node(name, **options):
    """The argument of -blockdev."""
    return json.dumps({'driver': 'qcow2', 'node-name': 'disk', 'discard': 'unmap',
                       'file': {'driver': 'file', 'filename': at(name)}, **options})


def start(spec, *words):
    process = subprocess.Popen([BLOCK_IO, *words, '-blockdev', spec, 'disk'], cwd=folder, stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    processes.append(process)
    return process


def block_io(name, commands, *words, **options):
    """Runs commands; each one's answer. Of an image that cannot be opened, the error."""
    options.setdefault('cache', {'no-flush': True})  # nobody pulls the plug
    process = start(node(name, **options), *words)
    out, err = process.communicate('\n'.join(commands).encode() + b'\n', timeout=LIMIT)
    if process.returncode < 0:
        return ['ended by signal %d: %s' % (-process.returncode, err.decode(errors='replace'))]
    return out.decode(errors='replace').splitlines()


def all_ok(answers, count):
    return len(answers) == count and all(answer == 'ok' for answer in answers)


def contents(name, fmt='qcow2'):
    """As qemu-img reads it."""
    call('qemu-img', 'convert', '-f', fmt, '-O', 'raw', name, 'contents')
    with open(at('contents'), 'rb') as file:
        return file.read()


def dump(name, *words, **options):
    """As block-io reads it."""
    answers = block_io(name, ['dump dumped'], *words, **options)
    if answers != ['ok']:
        return answers
    with open(at('dumped'), 'rb') as file:
        return file.read()


def difference(got, wanted):
    """None, or where they differ."""
    if got == wanted:
        return None
    if not isinstance(got, bytes):
        return str(got)
    if len(got) != len(wanted):
        return 'length %d, not %d' % (len(got), len(wanted))
    place = next(i for i in range(len(got)) if got[i] != wanted[i])
    return '0x%02x at %d, not 0x%02x' % (got[place], place, wanted[place])


def same_contents(got, wanted, what):
    wrong = difference(got, wanted)
    return tap.ok(wrong is None, what, wrong)
