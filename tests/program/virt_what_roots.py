# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests of virt-what share: TAP, the shells, running the script, and making test roots out of a few words."""
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time

BUILD = os.path.abspath(os.environ.get('top_builddir', '.'))
SOURCE = os.path.abspath(os.environ.get('top_srcdir', '.'))
SCRIPT = os.path.join(BUILD, 'virt-what/virt-what')
HELPER = os.path.join(BUILD, 'virt-what/virt-what-cpuid-helper')
CVM = os.path.join(BUILD, 'virt-what/virt-what-cvm')
TABLE = os.path.join(SOURCE, 'virt-what/signatures')
HERE = os.path.join(SOURCE, 'tests/program')
LIMIT = 20  # seconds: nothing takes that long

# POSIX shells; those that have to work, and those that are tried if they are there.
NEEDED_SHELLS = [['dash'], ['bash'], ['busybox', 'sh']]
SHELLS = [shell for shell in NEEDED_SHELLS + [['ksh'], ['mksh']] if shutil.which(shell[0])]


class Tap:
    """Prints results as TAP; what is given after the words is shown when a case fails."""

    def __init__(self):
        self.count = self.failed = 0

    def ok(self, good, what, *why):
        self.count += 1
        self.failed += not good
        print('%s %d - %s' % ('ok' if good else 'not ok', self.count, what))
        if not good:
            for line in '\n'.join(str(reason) for reason in why).splitlines()[:30]:
                print('# ' + line[:300])
        sys.stdout.flush()
        return good

    def equal(self, got, wanted, what, *why):
        return self.ok(got == wanted, what, 'got:    %r' % (got,), 'wanted: %r' % (wanted,), *why)

    def skip(self, why):
        self.count += 1
        print('ok %d # SKIP %s' % (self.count, why))

    def done(self):
        print('1..%d' % self.count)
        sys.exit(1 if self.failed else 0)


tap = Tap()

if not os.path.exists(SCRIPT):
    print('1..0 # SKIP virt-what is not built')
    sys.exit(0)

FOLDER = tempfile.mkdtemp(prefix='virt-what-test.')


def clean_up():
    """Also takes folders away that nobody may look into."""
    for folder, folders, _ in os.walk(FOLDER):
        for name in folders:
            if not os.path.islink(os.path.join(folder, name)):
                os.chmod(os.path.join(folder, name), 0o700)
    shutil.rmtree(FOLDER, ignore_errors=True)


import atexit
atexit.register(clean_up)


class Result:
    def __init__(self, status, out, err, seconds):
        self.status, self.seconds = status, seconds
        self.out, self.err = (out or b'').decode('latin-1'), (err or b'').decode('latin-1')
        self.facts = self.out.split()

    def __str__(self):
        return 'status %s after %.2f s\nstdout: %s\nstderr: %s' % (self.status, self.seconds, self.out, self.err)


# The build folder's programs and the source's table, in place of those that are or are not installed.
ENVIRONMENT = dict(os.environ, VIRT_WHAT_LIBEXECDIR=os.path.dirname(HELPER), VIRT_WHAT_SBINDIR=os.path.dirname(CVM),
                   VIRT_WHAT_SIGNATURES=TABLE)


def run(command, cwd=None, environment=None, limit=LIMIT, **more):
    begun = time.monotonic()
    try:
        done = subprocess.run(command, cwd=cwd, env=dict(ENVIRONMENT, **(environment or {})), timeout=limit,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)
        return Result(done.returncode, done.stdout, done.stderr, time.monotonic() - begun)
    except subprocess.TimeoutExpired as hung:
        return Result('none, it was killed', hung.stdout, hung.stderr, time.monotonic() - begun)


def virt_what(*arguments, shell=('dash',), **more):
    return run([*shell, SCRIPT, *arguments], **more)


def write(root, path, content, mode=None):
    """Writes a file below a root, with the folders on the way."""
    full = os.path.join(root, path.lstrip('/'))
    os.makedirs(os.path.dirname(full), exist_ok=True)
    with open(full, 'wb') as file:
        file.write(content if isinstance(content, bytes) else content.encode())
    if mode is not None:
        os.chmod(full, mode)
    return full


def acpi_table(header):
    """A table whose header is given as "FACP OEMID TABLEID"."""
    name, oem, table = (word.encode() for word in header.split())
    return name + b'\x24\0\0\0\x01\x0a' + oem.ljust(6) + table.ljust(8) + b'\x01\0\0\0VTST\x01\0\0\0'


def fake_program(root, name, output=b''):
    """A program in sbin that prints what it is given, whatever its arguments."""
    output = output if isinstance(output, bytes) else output.encode()
    write(root, '/sbin/.%s.output' % name, output)
    write(root, '/sbin/' + name, '#!/bin/sh\ncat "${0%%/*}/.%s.output"\n' % name, 0o755)


def new_root(name='root'):
    return tempfile.mkdtemp(prefix=name + '.', dir=FOLDER)


def make_root(signature='', dmi='', arch='x86_64', files=(), folders=(), acpi=()):
    """A test root with its three programs."""
    root = new_root()
    fake_program(root, 'virt-what-cpuid-helper', signature + '\n')
    fake_program(root, 'dmidecode', dmi)
    fake_program(root, 'uname', arch + '\n')
    for path, content in dict(files).items():
        write(root, path, content)
    for folder in folders:
        os.makedirs(os.path.join(root, folder.lstrip('/')), exist_ok=True)
    for header in acpi:
        write(root, '/sys/firmware/acpi/tables/' + header.split()[0], acpi_table(header))
    return root


def fetch(what):
    """The folder of somebody else's virt-what, or None and why."""
    done = subprocess.run([os.path.join(HERE, 'virt-what-fetch'), what], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=400)
    if done.returncode:
        lines = done.stderr.decode('latin-1').strip().splitlines()
        return None, lines[-1] if lines else 'status %d' % done.returncode
    return done.stdout.decode().strip().splitlines()[-1], ''


def table_rows():
    """The rows of our table: (section, names, chain, evidence)."""
    section = 'facts'
    for line in open(TABLE):
        line = line.strip()
        if line.startswith('['):
            section = line[1:-1]
        elif line and not line.startswith('#'):
            names, chain, evidence = line.split(None, 2)
            yield section, [name for name in names.split(',') if name != '-'], chain, evidence
