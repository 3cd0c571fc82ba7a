# SPDX-License-Identifier: GPL-2.0-or-later
"""What the vmctl-*.test scripts share: TAP, running vmctl, and scripted guests (QMP, agent and console servers).

A scripted guest is a folder in a private runtime folder, served by threads of the test itself. Its pid file is locked by a
child process, as a monitor's would be, so that it can be killed. Servers can be evil: see the Server classes' `mode`.
"""
import concurrent.futures
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

TOP = os.path.abspath(os.environ.get('top_builddir', '.'))
SOURCE = os.path.abspath(os.environ.get('top_srcdir', '.'))
VMCTL = os.path.join(TOP, 'host-vmm/vmctl/vmctl')
LIMIT = 60  # s for any one vmctl: far above what is expected, so that a busy machine does not matter


class Tap:
    def __init__(self):
        self.count = 0
        self.failed = 0

    def ok(self, good, what, *details):
        self.count += 1
        print(('ok' if good else 'not ok'), self.count, '-', what, flush=True)
        if not good:
            self.failed += 1
            for detail in details:
                for line in str(detail).splitlines() or ['']:
                    print('#', line[:400], flush=True)
        return good

    def skip(self, what, why):
        self.count += 1
        print('ok', self.count, '- %s # SKIP %s' % (what, why), flush=True)

    def end(self):
        print('1..%d' % self.count)
        sys.exit(1 if self.failed else 0)


tap = Tap()
root = tempfile.mkdtemp(prefix='vmctl-test-')
runtime = os.path.join(root, 'run')
os.mkdir(runtime, 0o700)
environment = dict(os.environ, VIRT_SUITE_RUNTIME_DIR=runtime)
guests = []


class Result:
    def __init__(self, status, out, err, seconds):
        self.status, self.out, self.err, self.seconds = status, out, err, seconds

    def __str__(self):
        return 'status %s after %.2f s\nout: %s\nerr: %s' % (self.status, self.seconds, self.out[:2000], self.err[:2000])

    @property
    def json(self):
        return json.loads(self.out)


def vmctl(*words, stdin=None, env=None, limit=LIMIT):
    """Runs vmctl; a time-out of `limit` counts as status 'hang'."""
    began = time.monotonic()
    process = subprocess.Popen([VMCTL, *words], env=dict(environment, **(env or {})),
                               stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        out, err = process.communicate(stdin, timeout=limit)
        status = process.returncode
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        status = 'hang'
    return Result(status, out.decode(errors='replace'), err.decode(errors='replace'), time.monotonic() - began)


def at_once(function, arguments):
    """[function(a) for a in arguments], all at the same time: deadlines are then waited for once."""
    with concurrent.futures.ThreadPoolExecutor(max_workers=16) as pool:
        return list(pool.map(function, arguments))


def wait_until(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return bool(condition())


class Server(threading.Thread):
    """Listens on a unix socket, one thread a client. Stops with close()."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.path = path
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(path)
        self.listener.listen(8)
        self.clients = []
        self.requests = []  # what was executed, in order
        self.start()

    def run(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.clients.append(client)
            threading.Thread(target=self.guard, args=(client,), daemon=True).start()

    def guard(self, client):
        try:
            self.serve(client)
        except OSError:
            pass
        try:
            self.clients.remove(client)
        except ValueError:
            pass
        client.close()

    def close(self):
        self.hang_up()
        if os.path.exists(self.path):
            os.unlink(self.path)

    def hang_up(self):
        # shutdown() wakes the thread in accept(); close() alone would not.
        for one in [self.listener, *self.clients]:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.listener.close()


def values(client):
    """The JSON values that come, one by one; bytes 0xFF are dropped."""
    decoder = json.JSONDecoder()
    text = ''
    while True:
        try:
            value, end = decoder.raw_decode(text)
            text = text[end:].lstrip()
            yield value
            continue
        except ValueError:
            pass
        data = client.recv(65536)
        if not data:
            return
        text = (text + data.replace(b'\xff', b'').decode()).lstrip()


def send(client, value):
    client.sendall(json.dumps(value).encode() + b'\r\n')


def flood(client):
    """100 MB of one string, in a reply that never ends."""
    client.sendall(b'{"return": "')
    block = b'x' * 1000000
    for _ in range(100):
        client.sendall(block)


class Qmp(Server):
    """modes: good; mute (accepts, says nothing); garbage; half (closes in the middle of the greeting);
    deaf (greets, then answers no command); flood (its replies are too big); drop (closes on a command)."""

    def __init__(self, path, mode='good'):
        self.mode = mode
        self.state = 'running'
        self.replies = {}   # command -> reply value, or a function of arguments
        self.errors = {}    # command -> (class, desc)
        self.delay = 0
        super().__init__(path)

    def event(self, name, data=None):
        event = {'event': name, 'timestamp': {'seconds': int(time.time()), 'microseconds': 0}}
        if data is not None:
            event['data'] = data
        for client in list(self.clients):
            send(client, event)

    def serve(self, client):
        if self.mode == 'mute':
            client.recv(1 << 20)
            while client.recv(1 << 20):
                pass
            return
        if self.mode == 'garbage':
            client.sendall(b'HTTP/1.1 200 OK\r\n\x00\x01\x02 hello }}}]\n' * 100)
            while client.recv(1 << 20):
                pass
            return
        if self.mode == 'half':
            client.sendall(b'{"QMP": {"version": {"qemu": {"mic')
            return
        send(client, {'QMP': {'version': {'qemu': {'major': 7, 'minor': 2, 'micro': 0}, 'package': 'fake'},
                              'capabilities': []}})
        for request in values(client):
            command, arguments = request['execute'], request.get('arguments', {})
            self.requests.append((command, arguments))
            reply = {}
            if 'id' in request:
                reply['id'] = request['id']
            if command != 'qmp_capabilities':
                if self.mode == 'deaf':
                    continue
                if self.mode == 'flood':
                    flood(client)
                    continue
                if self.mode == 'drop':
                    client.sendall(b'{"retu')
                    return
            if self.delay:
                time.sleep(self.delay)
            if command in self.errors:
                reply['error'] = dict(zip(('class', 'desc'), self.errors[command]))
            elif command in self.replies:
                value = self.replies[command]
                reply['return'] = value(arguments) if callable(value) else value
            elif command == 'query-status':
                reply['return'] = {'status': self.state, 'running': self.state == 'running'}
            elif command in ('qmp_capabilities', 'cont', 'stop', 'quit', 'system_powerdown'):
                reply['return'] = {}
            else:
                reply['error'] = {'class': 'CommandNotFound', 'desc': 'The command %s has not been found' % command}
            send(client, reply)


class Agent(Server):
    """modes: good; mute; garbage; half (closes in the middle of a reply); flood; late (the answer to the first command
    comes when nobody waits for it any more)."""

    COMMANDS = {
        'guest-ping': lambda arguments: {},
        'guest-get-host-name': lambda arguments: {'host-name': 'fake'},
        'echo': lambda arguments: arguments,
    }

    def __init__(self, path, mode='good'):
        self.mode = mode
        self.commands = dict(self.COMMANDS)
        super().__init__(path)

    def info(self):
        names = sorted(self.commands) + ['guest-info', 'guest-shutdown', 'guest-sync', 'guest-sync-delimited']
        return {'version': '9.9', 'supported_commands': [
            {'name': name, 'enabled': name != 'guest-sync', 'success-response': name != 'guest-shutdown'} for name in names]}

    def serve(self, client):
        if self.mode == 'mute':
            while client.recv(1 << 20):
                pass
            return
        if self.mode == 'garbage':
            while True:
                if not client.recv(1 << 20):
                    return
                client.sendall(b'\x00\xfe{{{[[["\n' * 1000)
        for request in values(client):
            command, arguments = request.get('execute'), request.get('arguments', {})
            self.requests.append((command, arguments))
            reply = {'id': request['id']} if 'id' in request else {}
            if command in ('guest-sync', 'guest-sync-delimited'):
                if command == 'guest-sync-delimited':
                    client.sendall(b'\xff')
                reply['return'] = arguments['id']
                send(client, reply)
                continue
            if self.mode == 'half':
                client.sendall(b'{"return": {"pid": 12')
                return
            if self.mode == 'flood':
                flood(client)
                continue
            if command == 'guest-info':
                reply['return'] = self.info()
            elif command == 'guest-shutdown':
                if arguments.get('mode') == 'nonsense':
                    reply['error'] = {'class': 'GenericError', 'desc': 'mode is invalid'}
                else:
                    continue
            elif command in self.commands:
                reply['return'] = self.commands[command](arguments)
            else:
                reply['error'] = {'class': 'CommandNotFound', 'desc': 'The command %s has not been found' % command}
            send(client, reply)


class Console(Server):
    """Sends `banner`, then echoes what comes, upper case."""

    def __init__(self, path, banner=b'', mode='good'):
        self.banner = banner
        self.mode = mode
        self.received = b''
        super().__init__(path)

    def serve(self, client):
        client.sendall(self.banner)
        if self.mode == 'stuck':  # takes nothing
            time.sleep(3600)
        while True:
            data = client.recv(4096)
            if not data:
                return
            self.received += data
            client.sendall(data.upper())


KEEPER = '''
import fcntl, os, signal, struct, sys, time
if sys.argv[2] == 'stubborn':
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o600)
fcntl.fcntl(fd, 37, struct.pack('hhqqi4x', fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))  # F_OFD_SETLK
os.write(fd, b'%d\\n' % os.getpid())
print(flush=True)
sys.stdin.read()  # until the test is gone, too
'''


class FakeGuest:
    def __init__(self, name, qmp='good', agent=None, console=None, pid=True, stubborn=False):
        self.name = name
        self.folder = os.path.join(runtime, name)
        os.mkdir(self.folder, 0o700)
        self.keeper = None
        if pid:
            self.keeper = subprocess.Popen([sys.executable, '-c', KEEPER, self.path('pid'), 'stubborn' if stubborn else ''],
                                           stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            self.keeper.stdout.readline()
        self.qmp = Qmp(self.path('qmp.sock'), qmp) if qmp else None
        self.agent = Agent(self.path('agent.sock'), agent) if agent else None
        self.console = Console(self.path('console.sock'), **console) if console is not None else None
        if self.qmp:
            rows = []
            if self.agent:
                rows.append({'label': 'agent', 'filename': 'disconnected:unix:%s,server=on' % self.agent.path,
                             'frontend-open': True})
            if self.console:
                rows.append({'label': 'console', 'filename': 'disconnected:unix:%s,server=on' % self.console.path,
                             'frontend-open': True})
            self.qmp.replies.update({
                'query-chardev': rows,
                'query-cpus-fast': [{'cpu-index': 0, 'thread-id': 4711}, {'cpu-index': 1, 'thread-id': 4712}],
                'query-memory-size-summary': {'base-memory': 512 << 20, 'plugged-memory': 0},
            })
        if self.keeper:
            threading.Thread(target=self.watch, daemon=True).start()
        guests.append(self)

    def watch(self):
        """A monitor's sockets end with its process."""
        self.keeper.wait()
        for one in (self.qmp, self.agent, self.console):
            if one:
                one.hang_up()

    def path(self, name):
        return os.path.join(self.folder, name)

    @property
    def pid(self):
        return self.keeper.pid

    def is_alive(self):
        return self.keeper is not None and self.keeper.poll() is None

    def end(self, cleanly=True):
        """The monitor's process goes; cleanly: with its files, as host-vmm does."""
        if self.keeper and self.keeper.poll() is None:
            self.keeper.kill()
            self.keeper.wait()
        sockets = [one for one in (self.qmp, self.agent, self.console) if one]
        if cleanly:
            for name in ('pid',):
                if os.path.exists(self.path(name)):
                    os.unlink(self.path(name))
        for one in sockets:
            if cleanly:
                one.close()
            else:  # the path stays
                os.rename(one.path, one.path + '~')
                one.path += '~'
                one.close()
        if not cleanly:
            for name in ('qmp.sock', 'agent.sock', 'console.sock'):
                left = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                left.bind(self.path(name))
                left.close()

    def remove(self):
        self.end()
        shutil.rmtree(self.folder, ignore_errors=True)


def finish():
    """Ends the test: nothing may be left over."""
    for guest in guests:
        guest.end()
    shutil.rmtree(root, ignore_errors=True)
    tap.end()
