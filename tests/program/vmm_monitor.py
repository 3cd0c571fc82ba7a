# SPDX-License-Identifier: GPL-2.0-or-later
"""What the vmm-*.test scripts share: TAP, running host-vmm, talking QMP. Everything lives in one private folder, and what
was started is killed at the end."""
import atexit
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

TOP = os.path.abspath(os.environ.get('top_builddir', '.'))
VMM = os.path.join(TOP, 'host-vmm/host-vmm')
PAYLOAD = os.path.join(TOP, 'tests/program/payload')
LIMIT = 60  # s: far above what is expected, so that a busy machine does not matter

folder = tempfile.mkdtemp(prefix='vmm-test-')
processes = []


def clean_up():
    for process in processes:
        if process.poll() is None:
            process.kill()
            process.wait()
    shutil.rmtree(folder, ignore_errors=True)


atexit.register(clean_up)
signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))


def at(name):
    return os.path.join(folder, name)


class Tap:
    def __init__(self):
        self.count = self.failed = 0

    def ok(self, good, what, *details):
        self.count += 1
        print('%s %d - %s' % ('ok' if good else 'not ok', self.count, what), flush=True)
        if not good:
            self.failed += 1
            for detail in details:
                for line in str(detail).splitlines() or ['']:
                    print('#', line[:500], flush=True)
        return good

    def same(self, got, wanted, what):
        return self.ok(got == wanted, what, 'got    %r' % (got,), 'wanted %r' % (wanted,))

    def skip(self, what, why):
        self.count += 1
        print('ok %d - %s # SKIP %s' % (self.count, what, why), flush=True)

    def end(self):
        print('1..%d' % self.count)
        sys.exit(1 if self.failed else 0)


tap = Tap()


def wait_for(condition, limit=LIMIT):
    """The condition's first true value, or its last one when the time is up."""
    end = time.monotonic() + limit
    while True:
        value = condition()
        if value or time.monotonic() > end:
            return value
        time.sleep(0.01)


class Result:
    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err

    def __str__(self):
        return 'status %s\nout: %s\nerr: %s' % (self.status, self.out, self.err)


def run(*words, before=(), **options):
    """Runs host-vmm to its end (status 'hang' if there is none)."""
    process = subprocess.Popen([*before, options.pop('program', VMM), *map(str, words)], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=folder, **options)
    processes.append(process)
    try:
        out, err = process.communicate(timeout=LIMIT)
        status = process.returncode
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        status = 'hang'
    return Result(status, out.decode(errors='replace'), err.decode(errors='replace'))


class Monitor:
    """A running host-vmm, with the payload as its guest, its QMP socket in q.sock."""

    def __init__(self, *words, qmp='q.sock', kernel=PAYLOAD, **options):
        self.path = at(qmp)
        self.stderr = open(at('stderr'), 'w+')
        arguments = [VMM, '-nodefaults', '-accel', 'kvm,probe=off', '-kernel', kernel]
        if qmp:
            arguments += ['-qmp', 'unix:%s,server=on,wait=off' % self.path]
        self.process = subprocess.Popen(arguments + list(map(str, words)), cwd=folder,
                                        stdin=options.pop('stdin', subprocess.DEVNULL),
                                        stdout=options.pop('stdout', subprocess.DEVNULL), stderr=self.stderr, **options)
        processes.append(self.process)

    def errors(self):
        self.stderr.seek(0)
        return self.stderr.read()

    def status(self, limit=LIMIT):
        try:
            return self.process.wait(limit)
        except subprocess.TimeoutExpired:
            return 'still runs'

    def runs(self):
        return self.process.poll() is None

    def kill(self, number=signal.SIGKILL):
        self.process.send_signal(number)
        return self.status()


def connect(path, limit=LIMIT):
    """A connected unix socket; waits for somebody to listen."""
    end = time.monotonic() + limit
    while True:
        stream = socket.socket(socket.AF_UNIX)
        try:
            stream.connect(path)
            stream.settimeout(limit)
            return stream
        except OSError:
            stream.close()
            if time.monotonic() > end:
                raise
            time.sleep(0.01)


class Closed(Exception):
    pass


class Qmp:
    def __init__(self, path, negotiate=True):
        self.stream = connect(path)
        self.buffer = b''
        self.events = []
        self.greeting = self.read()
        if negotiate:
            self.call('qmp_capabilities')

    def read(self, limit=LIMIT):
        """The next message."""
        end = time.monotonic() + limit
        while b'\n' not in self.buffer:
            if not select.select([self.stream], [], [], max(0, end - time.monotonic()))[0]:
                raise TimeoutError('no message within %s s' % limit)
            try:
                data = self.stream.recv(65536)
            except ConnectionError:
                data = b''
            if not data:
                raise Closed()
            self.buffer += data
        line, self.buffer = self.buffer.split(b'\n', 1)
        return json.loads(line)

    def send(self, data):
        self.stream.sendall(data if isinstance(data, bytes) else json.dumps(data).encode() + b'\n')

    def reply(self):
        while True:
            message = self.read()
            if 'event' not in message:
                return message
            self.events.append(message)

    def ask(self, command, **arguments):
        """The whole reply."""
        request = {'execute': command}
        if arguments:
            request['arguments'] = arguments
        self.send(request)
        return self.reply()

    def call(self, command, **arguments):
        reply = self.ask(command, **arguments)
        if 'return' not in reply:
            raise RuntimeError('%s: %s' % (command, reply))
        return reply['return']

    def error(self, command, **arguments):
        return self.ask(command, **arguments).get('error', {}).get('desc')

    def event(self, name, limit=LIMIT):
        """The next event of that name (or one that has come already)."""
        while True:
            for index, event in enumerate(self.events):
                if event['event'] == name:
                    del self.events[:index + 1]
                    return event
            message = self.read(limit)
            if 'event' in message:
                self.events.append(message)

    def rest(self):
        """Names of all further events until the end."""
        names = [event['event'] for event in self.events]
        try:
            while True:
                message = self.read()
                names.append(message.get('event'))
        except Closed:
            return names

    def close(self):
        self.stream.close()


def read_text(stream, wanted, limit=LIMIT):
    """Reads until `wanted` (bytes) has come; what has come."""
    data = b''
    end = time.monotonic() + limit
    while wanted not in data and select.select([stream], [], [], max(0, end - time.monotonic()))[0]:
        try:
            piece = stream.recv(4096) if hasattr(stream, 'recv') else os.read(stream, 4096)
        except OSError:
            break
        if not piece:
            break
        data += piece
    return data


def why_no_guest():
    """Why no guest can be run here, or None. A plan of one skipped test is printed then."""
    if not os.access(PAYLOAD, os.R_OK):
        return 'the payload is not built'
    if not os.access('/dev/kvm', os.R_OK | os.W_OK):
        return '/dev/kvm cannot be used'
    monitor = Monitor('-serial', 'file:%s' % at('hello'), qmp='')
    seen = wait_for(lambda: not monitor.runs() or b'payload up' in open(at('hello'), 'rb').read()
                    if os.path.exists(at('hello')) else not monitor.runs(), 20)
    up = seen and monitor.runs()
    monitor.kill()
    if not up:
        return 'the tiny guest does not run here: %s' % (monitor.errors().strip() or 'it says nothing')
    os.unlink(at('hello'))
    return None
