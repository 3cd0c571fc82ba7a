# SPDX-License-Identifier: GPL-2.0-or-later
# Several named ports and a console on one virtio-serial device carry bytes both ways, each its own.
run=$(sockets a)
guest a \
    -chardev "socket,id=one,path=$run/one.sock,server=on,wait=off" -device virtserialport,chardev=one,name=test.one \
    -chardev "socket,id=two,path=$run/two.sock,server=on,wait=off" -device virtserialport,chardev=two,name=test.two
need "the guest comes up" agent_answers a
is "the ports have their names" "$(guest_run a 'cat /sys/class/virtio-ports/*/name | sort | tr "\n" " "')" \
    "org.qemu.guest_agent.0 test.one test.two "
# Reading a port that nobody has open on the host ends at once.
channel_open one "$run/one.sock"
channel_open two "$run/two.sock"
guest_run a 'for n in one two; do
        for d in /sys/class/virtio-ports/*; do [ "$(cat $d/name)" != test.$n ] || port=/dev/${d##*/}; done
        setsid sh -c "while read -r line; do echo \"$n heard \$line\"; done" <>$port >&0 2>/dev/null &
    done' >/dev/null
channel_send one 'first'
channel_send two 'second'
ok "the first port answers" channel_wait one 20 '^one heard first'
ok "the second port answers" channel_wait two 20 '^two heard second'
channel_send two "$(seq -s , 1 20000)"
ok "100 kB in one line arrive whole" channel_wait two 30 ',19999,20000$'
channel_open console "$run/console.sock"
channel_send console ''
channel_send console 'echo the answer is $((6 * 7))'
ok "the console's shell answers" channel_wait console 20 'the answer is 42'
is "ports of others stay quiet" "$(grep -c second "$LOGS/one.out")" 0
