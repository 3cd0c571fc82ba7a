# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests of balloond share: TAP, a private folder, a daemon on guests that the simulator plays, its socket."""
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

top = os.environ.get('top_builddir', '.')
daemon = os.path.join(top, 'balloon/daemon/balloond')
ctl = os.path.join(top, 'balloon/daemon/balloonctl')
sim = os.path.join(top, 'balloon/sim/balloon-sim')
folder = tempfile.mkdtemp(prefix='balloond-test-')
count = failed = 0
running = []


def ok(good, what, told=''):
    global count, failed
    count += 1
    print('%s %d - %s' % ('ok' if good else 'not ok', count, what), flush=True)
    if not good:
        failed += 1
        print(''.join('# %s\n' % line for line in str(told).splitlines()), end='')


def skip(what, why):
    global count
    count += 1
    print('ok %d - %s # SKIP %s' % (count, what, why), flush=True)


def at(name):
    return os.path.join(folder, name)


def write(name, text):
    with open(at(name), 'w') as file:
        file.write(text)
    return at(name)


def config(tick='1s', more='', trace='d', memory='24G', interval='100ms'):
    return write('conf', '''[host]
tick = %s
[audit]
file = %s
[status]
json = %s
metrics = %s
interval = %s
[control]
socket = %s
[connect fake]
type = fake
guests = %s
demand = %s
memory = %s
%s''' % (tick, at('log'), at('status'), at('metrics'), interval, at('socket'), at('g'), at(trace), memory, more))


def start(*words):
    process = subprocess.Popen([daemon, '-c', at('conf'), *words], stderr=open(at('stderr'), 'w'))
    running.append(process)
    return process


def stderr():
    with open(at('stderr')) as file:
        return file.read()


def call(*words):
    return subprocess.run([ctl, '-s', at('socket'), *words], capture_output=True, text=True, timeout=60)


def ask(command, **arguments):
    """What balloonctl would, without a process."""
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(60)
        peer.connect(at('socket'))
        peer.sendall(('{"execute": "qmp_capabilities"}\n%s\n' % json.dumps({'execute': command, 'arguments': arguments})).encode())
        text = b''
        while text.count(b'\n') < 3:
            more = peer.recv(1 << 20)
            if not more:
                raise ConnectionError('closed')
            text += more
        return json.loads(text.splitlines()[2])['return']


def status():
    try:
        return ask('query-status')
    except OSError:
        return {'guests': [], 'ticks': 0}


def explain(guest):
    return ask('explain', guest=guest)


def wait(condition, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


def stop(process, how=signal.SIGTERM):
    process.send_signal(how)
    return process.wait(60)


def replay(name='log'):
    return subprocess.run([ctl, 'replay', at(name)], capture_output=True, text=True, timeout=60)


def stop_all():
    for process in running:
        if process.poll() is None:
            process.kill()
            process.wait()


def sanitized(process):
    with open('/proc/%d/maps' % process.pid) as file:
        return 'libasan' in file.read()


def status_of(process, field):
    """A number of /proc/PID/status."""
    with open('/proc/%d/status' % process.pid) as file:
        return next(int(line.split()[1]) for line in file if line.startswith(field + ':'))


def generate(guests, seconds, sum_gib, seed=5):
    """The simulator's trace as files g and d."""
    result = subprocess.run([sim, '--generate', '--seed', str(seed), '--count', str(guests), '--seconds', str(seconds),
                             '--sum-gib', str(sum_gib), '-g', at('g'), '-d', at('d')], capture_output=True, text=True, timeout=60)
    if result.returncode != 0:
        raise SystemExit('Bail out! no trace: ' + result.stderr)


def end():
    """The plan, and the folder's end. For finally."""
    stop_all()
    shutil.rmtree(folder, ignore_errors=True)
    print('1..%d' % count)
    return failed > 0
