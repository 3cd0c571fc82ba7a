# SPDX-License-Identifier: GPL-2.0-or-later
"""virt-who in a folder of its own that plays the machine's root, and what tests say about it."""
import json, os, shutil, signal, subprocess, sys, tempfile, threading, time

top = os.path.abspath(os.environ.get("top_builddir", "."))
virt_who = top + "/virt-who/virt-who"
virt_who_password = top + "/virt-who/virt-who-password"
count = failures = 0
suppressions = None


def ok(good, what, why=""):
    global count, failures
    count += 1
    failures += not good
    print(f"{'ok' if good else 'not ok'} {count} - {what}", flush=True)
    if not good:
        for line in str(why).splitlines()[:60]:
            print("# " + line[:2000], flush=True)
    return good


def skip(what, why):
    global count
    count += 1
    print(f"ok {count} # SKIP {what}: {why}", flush=True)


def need(*programs):
    if not os.path.exists(virt_who):
        print("1..0 # SKIP virt-who is not built")
        sys.exit(0)
    for program in programs:
        if not shutil.which(program):
            print(f"1..0 # SKIP {program} is not installed")
            sys.exit(0)


def main(work):
    """Runs work(folder) in a folder that goes away, and prints the plan."""
    global suppressions
    folder = tempfile.mkdtemp(prefix="virt-who.")
    os.chmod(folder, 0o755)
    suppressions = folder + "/suppressions"
    with open(suppressions, "w") as out:  # with sanitizers: what libvirt's libraries keep for a thread is not ours to free
        out.write("leak:libcrypto\nleak:libgnutls\n")
    os.chmod(suppressions, 0o644)
    try:
        work(folder)
    except Exception:
        import traceback
        ok(False, "the test runs to its end", traceback.format_exc())
    finally:
        Daemon.stop_all()
        shutil.rmtree(folder, ignore_errors=True)
    print(f"1..{count}", flush=True)
    sys.exit(failures > 0)


def wait_for(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value or time.monotonic() > deadline:
            return value
        time.sleep(0.02)


def guests(*ids, state=1):
    return [{"guestId": name, "state": state, "attributes": {"virtWhoType": "libvirt", "active": int(state in (1, 3))}} for name in ids]


def host(id_, *ids, **more):
    return {"hypervisorId": {"hypervisorId": id_}, "guestIds": guests(*ids), **more}


class Root:
    """A machine's root: pki: a folder of entitlement_server.make_pki(), server: its Server."""

    def __init__(self, folder, name, pki=None, server=None, ca="ca", consumer="consumer"):
        self.path = f"{folder}/{name}"
        for part in ("etc/virt-who.d", "etc/rhsm/ca", "etc/pki/consumer", "var/lib/virt-who", "run", "var/log/rhsm"):
            os.makedirs(f"{self.path}/{part}")
        self.write("etc/machine-id", "0123456789abcdef0123456789abcdef\n")
        if pki:
            shutil.copy(f"{pki}/{ca}.pem", self.path + "/etc/rhsm/ca/own.pem")
            if consumer:
                shutil.copy(f"{pki}/{consumer}.pem", self.path + "/etc/pki/consumer/cert.pem")
                shutil.copy(f"{pki}/{consumer}.key", self.path + "/etc/pki/consumer/key.pem")
        if server:
            self.rhsm(server)

    def rhsm(self, server, more="", hostname="localhost", timeout=30):
        self.write("etc/rhsm/rhsm.conf", f"[server]\nhostname = {hostname}\nprefix = {server.prefix}\nport = {server.port}\ninsecure = 0\n"
                   f"server_timeout = {timeout}\n{more}\n"
                   "[rhsm]\nbase = /etc/rhsm\nca_cert_dir = %(base)s/ca/\nconsumerCertDir = /etc/pki/consumer\n")

    def write(self, name, text, mode=None):
        path = f"{self.path}/{name}"
        data = text if isinstance(text, bytes) else text.encode()
        with open(path + ".new", "wb") as out:
            out.write(data)
        os.chmod(path + ".new", mode or 0o600)
        os.rename(path + ".new", path)
        return path

    def conf(self, text, name="test.conf", mode=None):
        return self.write("etc/virt-who.d/" + name, text, mode)

    def fake(self, *hosts, name="fake.json"):
        return self.write(name, json.dumps({"hypervisors": list(hosts)}))

    def read(self, name):
        with open(f"{self.path}/{name}") as file:
            return file.read()

    def command(self, *words):
        return [virt_who, "--root", self.path, *words]

    def run(self, *words, seconds=60, env=None):
        return subprocess.run(self.command(*words), env=environment(env), capture_output=True, text=True, timeout=seconds, stdin=subprocess.DEVNULL)


def environment(more=None):
    names = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "no_proxy", "NO_PROXY", "NOTIFY_SOCKET", "WATCHDOG_USEC", "JOURNAL_STREAM")
    env = {key: value for key, value in os.environ.items() if key not in names}
    env.update({"LC_ALL": "C.UTF-8", "GIO_USE_VFS": "local"})
    if suppressions:
        env["LSAN_OPTIONS"] = f"suppressions={suppressions}:print_suppressions=0"
    env.update(more or {})
    return env


class Daemon:
    alive = []

    def __init__(self, root, *words, env=None):
        self.root = root
        self.log = open(f"{root.path}/stderr.log", "ab")
        self.process = subprocess.Popen(root.command(*words), env=environment(env), stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        Daemon.alive.append(self)

    def text(self):
        return open(f"{self.root.path}/stderr.log", errors="replace").read()

    def says(self, text, seconds=30):
        return wait_for(lambda: text in self.text(), seconds)

    def end(self, number=signal.SIGTERM, seconds=30):
        if self in Daemon.alive:
            Daemon.alive.remove(self)
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return "did not end"
        finally:
            self.log.close()

    @staticmethod
    def stop_all():
        for daemon in list(Daemon.alive):
            daemon.end(signal.SIGKILL)
