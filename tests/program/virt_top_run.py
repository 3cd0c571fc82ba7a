# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests of virt-top are written with."""
import fcntl, json, os, pty, re, select, shutil, signal, socket, struct, subprocess, sys, tempfile, termios, threading, time

top = os.environ.get("top_builddir", ".")
source = os.environ.get("top_srcdir", ".")
virt_top = os.path.abspath(os.path.join(top, "virt-top/virt-top"))
count = failures = 0


def ok(good, what, why=""):
    global count, failures
    count += 1
    failures += not good
    print(f"{'ok' if good else 'not ok'} {count} - {what}", flush=True)
    if not good:
        for line in str(why).splitlines()[:60]:
            print("# " + line, flush=True)


def skip(what, why):
    global count
    count += 1
    print(f"ok {count} # SKIP {what}: {why}", flush=True)


if not os.path.exists(virt_top):
    print("1..0 # SKIP virt-top is not built")
    sys.exit(0)
folder = tempfile.mkdtemp(prefix="virt-top.")
os.chmod(folder, 0o755)
env = dict(os.environ, LC_ALL="C.UTF-8", TERM="screen", HOME=folder, VIRT_SUITE_RUNTIME_DIR=folder + "/guests")
env.pop("NO_COLOR", None)
with open(folder + "/suppressions", "w") as out:  # with sanitizers: what libvirt's libraries keep for a thread is not ours to free
    out.write("leak:libcrypto\nleak:libgnutls\n")
os.chmod(folder + "/suppressions", 0o644)
env["LSAN_OPTIONS"] = f"suppressions={folder}/suppressions:print_suppressions=0"
os.mkdir(folder + "/guests", 0o700)
WIDE = "日本e\u0301" + "x" * 900


def node(domains, names={}):
    path = f"{folder}/node{domains}.xml"
    with open(path, "w", encoding="utf-8") as out:
        out.write("<node><cpu><mhz>2000</mhz><model>x86_64</model><active>4</active><nodes>1</nodes><sockets>1</sockets>"
                  "<cores>4</cores><threads>1</threads></cpu><memory>16777216</memory>")
        for i in range(domains):
            state = (1, 1, 1, 3, 5)[i % 5]
            out.write(f"<domain type='test' xmlns:test='http://libvirt.org/schemas/domain/test/1.0'><name>{names.get(i, f'vm{i:05d}')}</name>"
                      "<memory>1048576</memory><vcpu>2</vcpu><os><type arch='x86_64'>hvm</type></os>"
                      f"<test:runstate>{state}</test:runstate><devices><disk type='file'><source file='/a{i}'/><target dev='vda'/></disk>"
                      "<interface type='network'><source network='default'/></interface></devices></domain>")
        out.write("<network><name>default</name><bridge name='b'/></network></node>")
    return "test://" + path


def run(*words, seconds=100, **more):
    return subprocess.run([virt_top, "--no-init-file", *words], env=env, capture_output=True, text=True, timeout=seconds, stdin=subprocess.DEVNULL, **more)


def has_libvirt():
    return "without libvirt" not in run("-c", "test:///default", "--script", "-n", "1").stderr


def finish():
    """Cleans up, prints the plan, ends."""
    shutil.rmtree(folder, ignore_errors=True)
    if sys.exc_info()[0] is None:
        print(f"1..{count}")
        sys.exit(1 if failures else 0)


class Watcher:
    """virt-top --json, read while it runs."""
    def __init__(self, *words, prefix=(), env=env):
        self.last = None
        self.child = subprocess.Popen([*prefix, virt_top, "--no-init-file", "--json", *words], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def until(self, good):
        """The first round that is good; None: not within a minute."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            line = self.child.stdout.readline()
            if not line:
                return None
            self.last = json.loads(line)
            if good(self.last):
                return self.last
        return None

    def end(self):
        self.child.terminate()
        self.child.wait(60)
        self.child.stdout.close()


def play(path, mode):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(4)

    def serve(peer):
        answers = {"query-status": {"status": "running"}, "query-cpus-fast": [{"cpu-index": 0, "thread-id": os.getpid()}],
                   "query-name": {"name": "played\u001b[2J"}, "query-commands": [{"name": "query-status"}, {"name": "query-cpus-fast"}]}
        try:
            peer.sendall(b'{"QMP": {"version": {"qemu": {}}, "capabilities": []}}\n')
            buffer, number = b"", 0
            while data := peer.recv(65536):
                buffer += data
                while b"\n" in buffer:
                    line, buffer = buffer.split(b"\n", 1)
                    request = json.loads(line)
                    number += 1
                    if mode == "dies" and number > 8:
                        peer.sendall(b'{"return": {"half')
                        peer.close()
                        return
                    peer.sendall(json.dumps({"return": answers.get(request["execute"], {}), "id": request["id"]}).encode() + b"\n")
        except (OSError, ValueError):
            pass

    def accept():
        while True:
            peer, _ = listener.accept()
            if mode != "deaf":
                threading.Thread(target=serve, args=(peer,), daemon=True).start()
    threading.Thread(target=accept, daemon=True).start()


class Terminal:
    """virt-top on a terminal of its own, whose bytes we get."""
    def __init__(self, *words, **more):
        self.text = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(virt_top, [virt_top, "--no-init-file", "-c", "test:///default", "-d", "0.2", *words], dict(env, **more))

    def read(self, good=lambda: False):
        """Reads until it is good, or to the end. False: neither within a minute."""
        deadline = time.monotonic() + 60
        while not good() and time.monotonic() < deadline:
            try:
                if select.select([self.fd], [], [], 0.1)[0]:
                    self.text += os.read(self.fd, 65536)
            except OSError:
                return True
        return time.monotonic() < deadline

    def status(self):
        """How it ended; None: it runs on."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.02)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        return None


class Tmux:
    """virt-top in a terminal that tmux plays."""
    def __init__(self, words, size, prefix="", env=env):
        self.base = ["tmux", "-S", tempfile.mktemp(dir=folder), "-f", "/dev/null"]  # a server just killed may still hold its own
        subprocess.run(self.base + ["new-session", "-d", "-s", "t", "-x", str(size[0]), "-y", str(size[1]), f"exec {prefix} {virt_top} --no-init-file {words}"], env=env, check=True, timeout=60)

    def keys(self, *keys):
        subprocess.run(self.base + ["send-keys", "-t", "t", *keys], check=True, timeout=60)

    def size(self, width, height):
        subprocess.run(self.base + ["resize-window", "-t", "t", "-x", str(width), "-y", str(height)], check=True, timeout=60)

    def screen(self):
        return subprocess.run(self.base + ["capture-pane", "-t", "t", "-p"], capture_output=True, text=True, timeout=60).stdout

    def until(self, good, seconds=60):
        """The first screen that is good; the last one if none is."""
        deadline = time.monotonic() + seconds
        while True:
            text = self.screen()
            if good(text) or time.monotonic() > deadline:
                return text
            time.sleep(0.03)

    def wait(self, pattern):
        return self.until(lambda text: re.search(pattern, text, re.M))

    def end(self):
        subprocess.run(self.base + ["kill-server"], capture_output=True, timeout=60)
