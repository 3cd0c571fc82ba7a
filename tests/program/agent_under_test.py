# SPDX-License-Identifier: GPL-2.0-or-later
"""What the agent-*.test programs share: a running guest-agent on a unix socket, a client, TAP lines."""
import atexit
import base64
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

BUILD = os.environ.get('top_builddir', '.')
SOURCE = os.environ.get('top_srcdir', '.')
PROGRAM = os.path.join(os.path.abspath(BUILD), 'guest-agent', 'guest-agent')
PATIENCE = 60  # seconds: nothing here takes that long unless it hangs

folder = tempfile.mkdtemp(prefix='agent-test-')
_here = os.getpid()
_agents = []


def _clean_up():
    if os.getpid() != _here:
        return
    for agent in _agents:
        if agent.poll() is None:
            agent.kill()
            agent.wait()
    shutil.rmtree(folder, ignore_errors=True)


atexit.register(_clean_up)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))


class Tap:
    def __init__(self):
        self.count = self.failed = 0

    def ok(self, good, what, *details):
        self.count += 1
        print(('ok' if good else 'not ok'), self.count, '-', what, flush=True)
        if not good:
            self.failed += 1
            for detail in details:
                print('#', repr(detail)[:2000], flush=True)
        return bool(good)

    def equal(self, got, expected, what):
        return self.ok(got == expected, what, 'got', got, 'expected', expected)

    def skip(self, what, why):
        self.count += 1
        print('ok', self.count, '-', what, '# SKIP', why, flush=True)

    def done(self):
        print('1..%d' % self.count, flush=True)
        sys.exit(1 if self.failed else 0)


tap = Tap()


def path(name):
    return os.path.join(folder, name)


def start(*options, **keywords):
    """Starts the agent with the options given; the process is ended at the end."""
    process = subprocess.Popen([PROGRAM, *options], stdin=subprocess.DEVNULL, **keywords)
    _agents.append(process)
    return process


def wait_until(condition, seconds=PATIENCE):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


class Client:
    """One connection. Every wait has a deadline."""

    def __init__(self, name, seconds=PATIENCE):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(seconds)
        end = time.monotonic() + seconds
        while True:
            try:
                self.socket.connect(name)
                break
            except (FileNotFoundError, ConnectionRefusedError, BlockingIOError):
                if time.monotonic() > end:
                    raise
                time.sleep(0.005)
        self.buffer = b''

    def send(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode())

    def line(self):
        while b'\n' not in self.buffer:
            data = self.socket.recv(1 << 20)
            if not data:
                raise EOFError('the agent has closed')
            self.buffer += data
        line, self.buffer = self.buffer.split(b'\n', 1)
        return line

    def reply(self, data):
        """Sends a text and gives the reply's value."""
        self.send(data)
        return json.loads(self.line())

    def call(self, command, /, **arguments):
        """Gives the whole reply; `_` in names of arguments stands for `-`."""
        request = {'execute': command}
        if arguments:
            request['arguments'] = {name.replace('_', '-'): value for name, value in arguments.items()}
        return self.reply(json.dumps(request) + '\n')

    def get(self, command, /, **arguments):
        """Gives what is returned; an error is the end of the test."""
        reply = self.call(command, **arguments)
        if 'return' not in reply:
            raise RuntimeError('%s: %r' % (command, reply))
        return reply['return']

    def error(self, command, /, **arguments):
        """Gives the error's text."""
        reply = self.call(command, **arguments)
        if 'error' not in reply:
            return 'no error but %r' % reply
        if reply['error']['class'] != 'GenericError':
            return '%(class)s: %(desc)s' % reply['error']
        return reply['error']['desc']

    def sync(self):
        """Reads until what was sent before has been answered."""
        self.send(b'\xff{"execute": "guest-sync-delimited", "arguments": {"id": 4711}}\n')
        lines = []
        while True:
            line = self.line()
            if line == b'\xff{"return": 4711}':
                return lines
            lines.append(line)

    def run(self, program, *args, **keywords):
        """Runs a program to its end and gives its last status with data decoded."""
        pid = self.get('guest-exec', path=program, arg=list(args), **keywords)['pid']
        end = time.monotonic() + PATIENCE
        while True:
            status = self.get('guest-exec-status', pid=pid)
            if status['exited'] or time.monotonic() > end:
                break
        for name in ('out-data', 'err-data'):
            if name in status:
                status[name] = base64.b64decode(status[name])
        return status

    def close(self):
        self.socket.close()


class Agent:
    """An agent on a unix socket."""

    def __init__(self, *options, **keywords):
        self.name = path('agent-%d.sock' % len(_agents))
        os.makedirs(path('state'), exist_ok=True)
        self.process = start('-m', 'unix-listen', '-p', self.name, '-t', path('state'), *options, **keywords)
        self.pid = self.process.pid

    def client(self, seconds=PATIENCE):
        return Client(self.name, seconds)

    def rss(self):
        """KiB of memory now."""
        with open('/proc/%d/status' % self.pid) as status:
            return int([line.split()[1] for line in status if line.startswith('VmRSS')][0])

    def cpu(self):
        """Seconds of processor time so far."""
        with open('/proc/%d/stat' % self.pid) as stat:
            fields = stat.read().rsplit(')', 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')

    def wakeups(self):
        """How often its threads went to sleep so far."""
        total = 0
        for task in os.listdir('/proc/%d/task' % self.pid):
            with open('/proc/%d/task/%s/status' % (self.pid, task)) as status:
                total += int([line.split()[1] for line in status if line.startswith('voluntary')][0])
        return total

    def descriptors(self):
        return len(os.listdir('/proc/%d/fd' % self.pid))

    def stop(self, seconds=5):
        """SIGTERM; gives the exit status, or None if it does not end."""
        self.process.terminate()
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None


def enter_namespaces(*kinds):
    """Runs the calling test anew in private namespaces ("mount", "net"), if root may have them; to be called first. Gives whether
    it is in them."""
    if 'AGENT_TEST_INSIDE' not in os.environ:
        options = ['--' + kind for kind in kinds] + ['--propagation', 'private']
        able = os.geteuid() == 0 and shutil.which('unshare') and \
            subprocess.run(['unshare', *options, 'true'], capture_output=True).returncode == 0
        os.environ['AGENT_TEST_INSIDE'] = 'yes' if able else 'no'
        if able:
            shutil.rmtree(folder, ignore_errors=True)
            os.execvp('unshare', ['unshare', *options, sys.executable, os.path.abspath(sys.argv[0])])
    return os.environ['AGENT_TEST_INSIDE'] == 'yes'


def sanitized():
    """Whether the program is built with AddressSanitizer: its memory figures mean nothing then."""
    with open(PROGRAM, 'rb') as program:
        return b'__asan_init' in program.read()


if sanitized():  # else leaks of what GLib takes in slices are not seen
    os.environ['G_SLICE'] = 'always-malloc'
