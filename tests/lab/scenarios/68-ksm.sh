# SPDX-License-Identifier: GPL-2.0-or-later
# KSM merges the equal memory of two guests; of one that asks not to, nothing. Then the same by balloond, which puts back what it
# has set when it is killed, too.
ksm=/sys/kernel/mm/ksm
[ -w $ksm/run ] || skip "this kernel has no KSM"
has_merged() { [ "$(cat "/proc/$(pid_of "$1")/ksm_merging_pages")" -ge "$2" ]; }
fill='mount -t tmpfs tmpfs /tmp && i=0 && while [ $i -lt 512 ]; do i=$((i + 1)); printf "%-4096s" "page $i of many"; done >/tmp/x'
ram() { echo "-object memory-backend-ram,id=ram,size=256M,merge=$1 -machine memory-backend=ram"; }
# shellcheck disable=SC2046 # lists
booted a $(ram on)
# shellcheck disable=SC2046
booted b $(ram on)
# shellcheck disable=SC2046
booted c $(ram off)
for name in a b c; do
    guest_run $name "$fill"
done
echo 20000 >$ksm/pages_to_scan
echo 10 >$ksm/sleep_millisecs
echo 1 >$ksm/run
ok "512 pages and more of the first are merged" wait_for 60 has_merged a 512
ok "…and of the second" wait_for 60 has_merged b 512
is "none of the one that is not to be" "$(cat "/proc/$(pid_of c)/ksm_merging_pages")" 0
echo 2 >$ksm/run
echo 0 >$ksm/run

command -v balloond >/dev/null || exit 0
settings() { for name in run pages_to_scan sleep_millisecs; do echo "$name $(cat $ksm/$name)"; done; }
# An emulated processor scans at a tenth of the speed: no budget.
start() {
    printf '[ksm]\nmode = %s\ncpu-budget = 100%%\nburst = 120s\n[numa]\nmode = off\n[connect a]\ntype = host-vmm\nfolder = %s\n[control]\nsocket = %s\n' \
        "$1" "$VIRT_SUITE_RUNTIME_DIR" "$LOGS/balloond.sock" >"$LOGS/balloond.conf"
    balloond -v -c "$LOGS/balloond.conf" 2>>"$LOGS/balloond.log" &
    daemon=$!
    echo $daemon >>"$LOGS/pids"
}
answers() { balloonctl -s "$LOGS/balloond.sock" status; }
echo 100 >$ksm/pages_to_scan
echo 20 >$ksm/sleep_millisecs
before=$(settings)
start on
ok "balloond has them merged" wait_for 60 has_merged a 512
ok "…of both" wait_for 60 has_merged b 512
is "none of the one that is not to be" "$(cat "/proc/$(pid_of c)/ksm_merging_pages")" 0
kill -9 $daemon
ok "killed, it has left settings" test -s /run/balloond.state
start off
ok "its next start answers" wait_for 30 answers
is "and has put them back" "$(settings)" "$before"
ok "what is merged stays so" has_merged a 512
kill $daemon
echo 2 >$ksm/run
echo 0 >$ksm/run
