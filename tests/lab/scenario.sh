#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# What a scenario is written with. Run by work as: sh scenario.sh scenarios/NN-NAME.sh
# A scenario is a sh file; "# limit: SECONDS" in it sets its deadline (240 otherwise). What it says on stderr goes to its log.

# ---- results ----

# Results go to descriptor 3; what commands print is for the log.
report() { echo "$1 $SCENARIO: $2" >&3; }
# note TEXT: for the person who reads the results.
note() { echo "$1" | cut -c 1-400 | sed 's/^/# /' >&3; }
# not_ok WHAT NOTE…: it failed; the notes say how. Returns 1.
not_ok() {
    sick_machine
    report "not ok" "$1"
    shift
    for line in "$@"; do
        note "$line"
    done
    tell
    return 1
}
# ok WHAT COMMAND…: the command succeeds.
ok() {
    what=$1
    shift
    if "$@" >&2; then
        report ok "$what"
    else
        not_ok "$what" "failed: $*"
    fi
}
# is WHAT GOT WANTED
is() {
    if [ "$2" = "$3" ]; then
        report ok "$1"
    else
        not_ok "$1" "got:    $2" "wanted: $3"
    fi
}
# has WHAT TEXT PATTERN: the text has a line that matches the extended regular expression.
has() {
    if echo "$2" | grep -qE -e "$3"; then
        report ok "$1"
    else
        not_ok "$1" "got:    $2" "wanted: a match of $3"
    fi
}
# skip WHY: ends the scenario.
skip() {
    report skip "$*"
    exit 0
}
# need … : as ok, but the scenario ends if it fails.
need() { ok "$@" || exit 0; }
# What the monitors and guests said last, and what they and the machine are at, once a scenario.
tell() {
    [ -z "$told" ] || return 0
    told=yes
    for file in "$LOGS"/*.pid; do
        [ ! -e "$file" ] || tell_monitor "$(basename "$file" .pid)" "$(cat "$file")"
    done
    tell_kvm
    note "machine: load $(cut -d ' ' -f 1-3 /proc/loadavg), $(sed -n 's/^MemAvailable: *//p' /proc/meminfo) available, $(dmesg | tail -n 1)"
    for log in "$LOGS"/*.stderr "$LOGS"/*.serial; do
        [ ! -s "$log" ] || note "$(tail -n 8 "$log" | sed "s,^,$(basename "$log"): ,")"
    done
}
# tell_monitor NAME PROCESS: its status, or what each thread is in.
tell_monitor() {
    threads=''
    for thread in "/proc/$2/task"/*; do
        [ ! -r "$thread/comm" ] || threads="$threads$(cat "$thread/comm")($(sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' "$thread/status") $(cat "$thread/wchan")) "
    done
    note "$1: ${threads:-ended with $(status_of "$1")}"
}

tracing=/sys/kernel/tracing
# trace_kvm SECONDS EVENTS: KVM's tracepoints (of one name, or all) into $tracing/trace.
trace_kvm() {
    [ -d $tracing/events/kvm ] || mount -t tracefs tracefs $tracing || return 1
    echo >$tracing/trace
    echo 1 >"$tracing/events/kvm/$2/enable"
    sleep "$1"
    echo 0 >"$tracing/events/kvm/$2/enable"
}
# What KVM does for each thread in 2 s, and when the local APIC timers are due: of a guest that hangs there is nothing, or one is late.
tell_kvm() {
    # Not on somebody's own machine, whose trace may be in use.
    [ -n "${LAB_PROCESSORS:-}" ] || return 0
    trace_kvm 2 . || return 0
    cp $tracing/trace "$LOGS/trace"
    sed -n 's/^ *\([^#].*-[0-9]*\) *\[.* \(kvm_[a-z_]*\):.*/\1 \2/p' $tracing/trace | sort | uniq -c | sort -rn | head -n 20 | while read -r line; do
        note "KVM in 2 s: $line"
    done
    awk '/apic_timer_fn/ { getline; print }' /proc/timer_list | while read -r line; do
        note "a local APIC timer: $line"
    done
}

# ---- the nested machine's health ----

# QEMU's emulation of SVM (7.2) stores, once in some hundred starts of guests, the state of the machine's own kernel as that of a
# guest: its processor is then at the machine's code behind VMRUN, with the machine's page tables, and faults for ever.
# No guest gets there by itself: addresses in KVM's module mean nothing in it. Prints where it is.
overwritten_guest() {
    vmrun=$(sed -n 's/^ffffffff\([0-9a-f]*\) . __svm_vcpu_run[[:space:]].*/\1/p' /proc/kallsyms)
    [ -n "$vmrun" ] || return 1
    trace_kvm 0.5 kvm_exit || return 1
    sed -n 's/.* rip 0xffffffff\([0-9a-f]*\) .*/\1/p' $tracing/trace | sort -u | while read -r place; do
        distance=$((0x$place - 0x$vmrun))
        [ $distance -lt 0 ] || [ $distance -ge 512 ] || echo "ffffffff$place"
    done | grep .
}
# A result from such a machine says nothing: work is told, and the scenario waits for the machine's end. It gets another one.
sick_machine() {
    [ -n "${LAB_PROCESSORS:-}" ] || return 0
    where=$(overwritten_guest) || return 0
    echo "a guest's processor is at $where, the machine's own code: QEMU's SVM emulation has overwritten its state" >"$LAB/sick"
    sleep 1000
}

# ---- waiting ----

now() { read -r n _ </proc/uptime && echo "${n%.*}"; }
# For times that are told: ticks is now in seconds with hundredths, since BEGIN [END] what has passed from BEGIN on.
ticks() { cut -d ' ' -f 1 /proc/uptime; }
since() { awk -v a="$1" -v b="${2:-$(ticks)}" 'BEGIN { printf "%.1f", b - a }'; }
# wait_for SECONDS COMMAND…: until the command succeeds.
wait_for() {
    limit=$1
    shift
    deadline=$(($(now) + limit))
    until "$@" >/dev/null 2>&1; do
        [ "$(now)" -lt $deadline ] || return 1
        sleep 0.1
    done
}

# ---- guests ----
# A guest NAME has its sockets in $VIRT_SUITE_RUNTIME_DIR/NAME (where vmctl finds them): qmp.sock, agent.sock, console.sock;
# its serial port's output is in $LOGS/NAME.serial.

BOOT_LIMIT=120

sockets() { echo "$VIRT_SUITE_RUNTIME_DIR/$1"; }

# monitor NAME ARGUMENT…: starts a monitor with just these.
monitor() {
    name=$1
    shift
    mkdir -p "$(sockets "$name")"
    rm -f "$LOGS/$name.status" "$LOGS/$name.pid"
    # The name of the pid file is the monitor's own.
    # shellcheck disable=SC2086 # a list
    (
        sh -c 'echo $$ >"$1"; shift; exec "$@"' sh "$LOGS/$name.pid" $MONITOR "$@" </dev/null >>"$LOGS/$name.stdout" 2>>"$LOGS/$name.stderr"
        echo $? >"$LOGS/$name.status"
    ) &
    wait_for 10 [ -s "$LOGS/$name.pid" ]
    cat "$LOGS/$name.pid" >>"$LOGS/pids"
}

# guest NAME [ARGUMENT…]: starts the lab's guest. Set before: MEMORY (MiB), CPUS, KERNEL, INITRD, APPEND.
guest() {
    name=$1
    shift
    run=$(sockets "$name")
    mkdir -p "$run"
    # shellcheck disable=SC2119 # no arguments are meant
    monitor "$name" -name "$name" -pidfile "$run/pid" -nodefaults -m "${MEMORY:-256}" -smp "${CPUS:-1}" \
        -kernel "$LAB/guest/${KERNEL:-vmlinuz}" -initrd "${INITRD:-$LAB/guest/initrd}" -append "console=ttyS0 quiet hostname=$name $APPEND" \
        -chardev "socket,id=qmp,path=$run/qmp.sock,server=on,wait=off" -mon chardev=qmp,mode=control \
        -chardev "socket,id=events,path=$run/events.sock,server=on,wait=off" -mon chardev=events,mode=control \
        -chardev "file,id=serial,path=$LOGS/$name.serial" -serial chardev:serial \
        -device virtio-serial-pci,id=serial0 \
        -chardev "socket,id=agent,path=$run/agent.sock,server=on,wait=off" \
        -device virtserialport,chardev=agent,name=org.qemu.guest_agent.0 \
        -chardev "socket,id=console,path=$run/console.sock,server=on,wait=off" -device virtconsole,chardev=console \
        "$@"
}
pid_of() { cat "$LOGS/$1.pid"; }
alive() { [ ! -e "$LOGS/$1.status" ] && kill -0 "$(pid_of "$1")"; }
# exited NAME: the monitor's exit status is known; printed by status_of.
exited() { [ -s "$LOGS/$1.status" ]; }
status_of() { cat "$LOGS/$1.status" 2>/dev/null || echo running; }

# user_space_up NAME [TIMES]: the guest's init has said so on the serial port (that many times since the start).
user_space_up() { [ "$(grep -c L2-UP "$LOGS/$1.serial")" -ge "${2:-1}" ]; }

# booted NAME [ARGUMENT…]: starts it and waits until the agent answers; the scenario ends if it does not.
booted() {
    guest "$@"
    need "$1 reaches user space" up_or_ended "$1"
    need "$1's agent answers" agent_answers "$1"
}
up_or_ended() {
    wait_for "$BOOT_LIMIT" up_or_exited "$1" && user_space_up "$1"
}
up_or_exited() { user_space_up "$1" || exited "$1"; }
agent_answers() { wait_for 90 agent "$1" guest-ping; }
agent() { timeout "${AGENT_LIMIT:-20}" vmctl agent "$@"; }
qmp() { timeout "${QMP_LIMIT:-20}" vmctl qmp "$@"; }
# run_state NAME: what query-status says.
run_state() { qmp "$1" query-status | member status; }
in_state() { [ "$(run_state "$1")" = "$2" ]; }
# member NAME: the value of the first such member in JSON text on stdin: a string without its quotes, or a number or word.
member() { tr -d '\n' | grep -oE "\"$1\" *: *(\"([^\"\\\\]|\\\\.)*\"|[-+.0-9a-z]+)" | head -n 1 | sed -E 's/^[^:]*: *//; s/^"(.*)"$/\1/'; }
# guest_run NAME COMMAND: runs a shell line in the guest by guest-exec, prints its output.
guest_run() {
    started=$(agent "$1" guest-exec path=/bin/sh "arg:=[\"-c\", $(json_string "$2")]" capture-output=true | member pid)
    [ -n "$started" ] || return 1
    wait_for "${EXEC_LIMIT:-30}" guest_run_ended "$1" "$started" || return 1
    member out-data <"$LOGS/exec.json" | base64 -d
    [ "$(member exitcode <"$LOGS/exec.json")" = 0 ]
}
guest_run_ended() {
    agent "$1" guest-exec-status "pid=$2" >"$LOGS/exec.json" || return 1
    [ "$(member exited <"$LOGS/exec.json")" = true ]
}
json_string() { printf '"%s"' "$(printf %s "$1" | sed 's/\\/\\\\/g; s/"/\\"/g' | awk 'NR > 1 { printf "\\n" } { printf "%s", $0 }')"; }

# ---- channels: raw talk on a unix socket ----

# channel_open CHANNEL SOCKET
channel_open() {
    rm -f "$LOGS/$1.in"
    mkfifo "$LOGS/$1.in"
    : >"$LOGS/$1.out"
    wait_for 20 [ -S "$2" ]
    # Opened for both, the fifo has no end until the channel is closed.
    socat "UNIX-CONNECT:$2" - <>"$LOGS/$1.in" >"$LOGS/$1.out" &
    echo $! >"$LOGS/$1.channel"
}
channel_send() { printf '%s\n' "$2" >"$LOGS/$1.in"; }
# channel_mark CHANNEL: what comes from now on is what channel_wait sees.
channel_mark() { wc -c <"$LOGS/$1.out" >"$LOGS/$1.mark"; }
channel_text() { tail -c +$(($(cat "$LOGS/$1.mark" 2>/dev/null || echo 0) + 1)) "$LOGS/$1.out"; }
# channel_wait CHANNEL SECONDS PATTERN: until a line matches.
channel_wait() { wait_for "$2" channel_has "$1" "$3"; }
channel_has() { channel_text "$1" | grep -qE -e "$2"; }
channel_close() {
    kill -KILL "$(cat "$LOGS/$1.channel")"
    rm -f "$LOGS/$1.in"
}
# qmp_channel CHANNEL NAME: a QMP connection that has negotiated; beside the one that qmp uses, for QEMU serves one at a time.
qmp_channel() {
    channel_open "$1" "$(sockets "$2")/events.sock"
    channel_send "$1" '{"execute": "qmp_capabilities"}'
    channel_wait "$1" 10 '"return"'
}

told=''
exec 3>&1 >&2
# shellcheck source=/dev/null # $1 is the scenario
. "$1"
:
