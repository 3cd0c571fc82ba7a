# SPDX-License-Identifier: GPL-2.0-or-later
"""A libvirtd of one's own for tests, with a QEMU guest (TCG) of the lab's kernel that is talked to on its serial port."""
import os
import shutil
import socket
import subprocess
import time

PATIENCE = 120  # s: nothing takes that long unless it hangs


def until(condition, seconds=PATIENCE):
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value or time.monotonic() > end:
            return value
        time.sleep(0.05)


class Libvirtd:
    """In a folder that everybody may pass; as another user if we are root, for QEMU is to have no rights."""

    def __init__(self, folder):
        self.home = folder + '/home'
        self.prefix = []
        os.chmod(folder, 0o755)
        os.mkdir(self.home, 0o700)
        if os.geteuid() == 0:
            os.chown(self.home, 65534, 65534)
            self.prefix = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups']
        self.environment = {'PATH': os.environ['PATH'] + ':/usr/sbin:/sbin', 'HOME': self.home, 'XDG_RUNTIME_DIR': self.home,
                            'XDG_CONFIG_HOME': self.home + '/c', 'XDG_CACHE_HOME': self.home + '/k', 'LC_ALL': 'C.UTF-8',
                            'VIRT_SUITE_RUNTIME_DIR': self.home + '/guests'}
        self.socket = self.home + '/libvirt/libvirt-sock'
        self.uri = 'qemu:///session?socket=' + self.socket
        self.process = None

    def start(self):
        self.process = subprocess.Popen(self.prefix + ['libvirtd', '--timeout', '300'], env=self.environment,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(lambda: os.path.exists(self.socket) or self.process.poll() is not None)

    def kill(self):
        """Its guests go on."""
        self.process.kill()
        self.process.wait()
        if os.path.exists(self.socket):
            os.remove(self.socket)

    def run(self, *words, **keywords):
        return subprocess.run(self.prefix + list(words), env=self.environment, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=PATIENCE, **keywords)

    def virsh(self, *words):
        return self.run('virsh', '-q', '-c', self.uri, *words)

    def end(self, *guests):
        if self.process is None or self.process.poll() is not None:
            return
        for guest in guests:
            self.virsh('destroy', guest)
        self.process.terminate()
        self.process.wait(PATIENCE)


class Console:
    """A shell on a guest's serial port."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.text = ''

    def wait(self, text, seconds=PATIENCE):
        self.socket.settimeout(0.2)

        def come():
            try:
                self.text += self.socket.recv(65536).decode(errors='replace')
            except socket.timeout:
                pass
            return text in self.text
        return text in self.text or until(come, seconds)

    def send(self, line):
        self.text = ''
        self.socket.sendall(line.encode() + b'\n')

    def say(self, line):
        """What the line prints, or None if it does not end."""
        self.send(line + '; echo "<$((6 * 7))>"')
        if not self.wait('<42>'):
            return None
        return self.text.split('<42>')[0].replace('\r', '').strip()


def guest_xml(name, folder, home, memory, init, vcpus='<vcpu>1</vcpu>', devices=''):
    """A guest of the kernel and initrd in folder, and with HOME/NAME.disk."""
    return '''<domain type='qemu'><name>%(name)s</name><memory unit='MiB'>%(memory)d</memory>%(vcpus)s
<os><type arch='x86_64' machine='pc'>hvm</type><kernel>%(folder)s/vmlinuz</kernel><initrd>%(folder)s/initrd</initrd>
<cmdline>console=ttyS0 quiet rdinit=%(init)s</cmdline></os><features><acpi/></features>
<devices><emulator>%(qemu)s</emulator>
<disk type='file' device='disk'><driver name='qemu' type='raw' cache='unsafe'/><source file='%(home)s/%(name)s.disk'/><target dev='vda' bus='virtio'/></disk>
<serial type='unix'><source mode='bind' path='%(home)s/%(name)s.serial'/></serial><memballoon model='virtio'/>%(devices)s</devices></domain>
''' % {'name': name, 'folder': folder, 'home': home, 'memory': memory, 'init': init, 'vcpus': vcpus, 'devices': devices,
       'qemu': shutil.which('qemu-system-x86_64')}
