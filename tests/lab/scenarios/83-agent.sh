# SPDX-License-Identifier: GPL-2.0-or-later
# What libvirt's users ask of a guest's agent, under host-vmm: file systems, clock, users, keys, sleep. (Reboot
# and shutdown: 31, 81.)
CPUS=2
truncate -s 64M "$LOGS/disk"
booted a -drive "if=none,id=disk,file=$LOGS/disk,format=raw,discard=unmap" -device virtio-blk-pci,drive=disk,serial=agentdisk
vm() { timeout 60 vmctl agent a "$@"; }
in_guest() { vm exec sh -c "$1"; }
ok "a file system" in_guest 'mke2fs -q /dev/vda >/dev/null && mkdir -p /mnt /home/tester && mount -o discard /dev/vda /mnt'

fsinfo=$(vm guest-get-fsinfo)
has "fsinfo: where" "$fsinfo" '"mountpoint": "/mnt"'
has "fsinfo: its disk" "$fsinfo" '"serial": "agentdisk"'
has "disks" "$(vm guest-get-disks)" '"name": "/dev/vda"'
is "host name" "$(vm guest-get-host-name | member host-name)" a
is "os" "$(vm guest-get-osinfo | member kernel-release)" "$(cat "$LAB/guest/release")"
is "timezone" "$(vm guest-get-timezone | member offset)" 0
has "interfaces" "$(vm guest-network-get-interfaces)" '"ip-address": "127.0.0.1"'
has "users" "$(vm guest-get-users)" '^\['

ok "set the time" vm guest-set-time time=1600000000000000000
has "…it is that" "$(vm guest-get-time)" '^16000000[0-9][0-9]'
has "…and the hardware clock's" "$(in_guest 'cat /sys/class/rtc/rtc0/since_epoch')" '^(159999999|16000000[0-9])[0-9]'
in_guest 'date -s @1500000000 >/dev/null'
ok "take the hardware clock's" vm guest-set-time
has "…it is that" "$(vm guest-get-time)" '^(159999999|16000000[0-9])[0-9]'

has "freeze" "$(vm freeze)" '1 filesystem frozen'
is "…status" "$(vm guest-fsfreeze-status)" '"frozen"'
has "…a command that has to wait is refused" "$(vm guest-get-time 2>&1)" 'has been disabled'
has "thaw" "$(vm thaw)" '1 filesystem thawed'
has "freeze one" "$(vm freeze /mnt)" '1 filesystem frozen'
has "thaw" "$(vm thaw)" '1 filesystem thawed'
has "trim" "$(vm guest-fstrim)" '"path": "/mnt"'

in_guest 'echo tester:x:1000:1000:tester:/home/tester:/bin/sh >>/etc/passwd
    echo tester:x:1000: >>/etc/group
    printf "root::1:0:99999:7:::\ntester:*:1:0:99999:7:::\n" >/etc/shadow
    chown 1000:1000 /home/tester
    mkdir -p /etc/pam.d
    echo "password required /bin/pam_unix.so sha512 shadow" >/etc/pam.d/chpasswd'
ok "a password" vm guest-set-user-password username=tester "password=$(printf 'geheim 1' | base64)" crypted=false
echo 'login tester' | timeout 60 vmctl console a --until assword: --timeout 30 >&2
echo 'geheim 1' | timeout 60 vmctl console a --until 'lab# ' --timeout 30 >&2
has "…and the login works" "$(echo 'echo I am $(id -un); exit' | timeout 60 vmctl console a --until 'I am tester' --timeout 30)" 'I am tester'
key='ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ6TEoTWx5hU4Yyz5qC0kYJWhq1V5g5r0eWfPbYbVZKp one@test'
ok "a key" vm guest-ssh-add-authorized-keys username=tester "keys=$key"
has "…is there" "$(vm guest-ssh-get-authorized-keys username=tester)" 'one@test'
ok "…is taken away" vm guest-ssh-remove-authorized-keys username=tester "keys=$key"
is "…is not there" "$(vm guest-ssh-get-authorized-keys username=tester | grep -c one@test)" 0

has "sleep that it cannot have is refused" "$(vm guest-suspend-hybrid 2>&1)" 'not supported'
