# SPDX-License-Identifier: GPL-2.0-or-later
# The monitor's QMP: states, stop and cont, events, questions.
uuid=6e1b4d5c-4f1e-4c55-9d2c-0d3c0f1e7a11
guest a -S -uuid $uuid
qmp_channel events a
is "-S: the state is prelaunch" "$(run_state a)" prelaunch
ok "…and no guest runs" [ ! -s "$LOGS/a.serial" ]
qmp a cont
need "cont lets it boot" wait_for "$BOOT_LIMIT" user_space_up a
need "the agent answers" agent_answers a
is "the state is running" "$(run_state a)" running
ok "RESUME was told" channel_has events '"event": "RESUME"'
qmp a stop
is "stop: the state is paused" "$(run_state a)" paused
ok "STOP was told" channel_has events '"event": "STOP"'
AGENT_LIMIT=3
ok "a paused guest's agent is silent" sh -c '! timeout 3 vmctl agent a guest-ping'
AGENT_LIMIT=20
qmp a cont
ok "after cont it answers" agent_answers a
is "query-name" "$(qmp a query-name | member name)" a
is "query-uuid" "$(qmp a query-uuid | member UUID)" $uuid
is "query-kvm" "$(qmp a query-kvm | member enabled)" true
has "query-version has a version" "$(qmp a query-version)" '"major"'
has "query-chardev has the agent's" "$(qmp a query-chardev | tr '{' '\n')" '"label" *: *"agent"'
has "query-commands lists itself" "$(qmp a query-commands)" query-commands
channel_send events '{"execute": "no-such-command", "id": 7}'
ok "an unknown command is an error with its id" channel_wait events 10 '("id": 7.*"CommandNotFound")|("CommandNotFound".*"id": 7)'
channel_send events '{"execute": '
channel_send events '}{"execute": "query-status", "id": "after"}'
ok "after garbage the next request is answered" channel_wait events 10 '"id": "after"'
qmp a quit
ok "quit ends the monitor" wait_for 10 exited a
is "…with status 0" "$(status_of a)" 0
