# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh disable=SC2034,SC2154
# For benchmarks that have one guest under host-vmm and one under QEMU, in one nested (or direct) machine, take turns.
#   . paired.sh
#   paired NAME SCRIPT SETTINGS      NAME: the bench's; SCRIPT: what runs in the machine, by scenario.sh; SETTINGS: its variables
# The script starts the guests by guest, with MONITOR=host-vmm and MONITOR=$QEMU, and says "# figure WHAT MONITOR NUMBER" by note.
# Prints for each WHAT both medians and their ratio. Takes the programs from $top_builddir (default: the current folder);
# logs go to $BENCH_LOGS if it is set.
lab=$here/../lab
build=$(cd "${top_builddir:-.}" && pwd)

fail() {
    echo "tests/bench/$bench: $*" >&2
    exit 1
}

paired() {
    bench=$1 script=$2 settings=$3
    folder=$(mktemp -d "${TMPDIR:-/tmp}/virt-suite-bench.XXXXXX")
    trap 'rm -rf "$folder"' EXIT
    trap 'exit 1' HUP INT TERM
    programs="$build/host-vmm/host-vmm $build/host-vmm/vmctl/vmctl $build/tests/lab/tcp-flow"
    for program in $programs $build/guest-agent/guest-agent; do
        [ -x "$program" ] || fail "$program is not built (top_builddir says where to look)"
    done
    for name in qemu-system-x86_64 socat; do
        program=$(command -v $name) || fail "$name is needed"
        programs="$programs $program"
    done
    cache=$("$lab/fetch")
    mkdir -p "$folder/bin" "$folder/guest" "$folder/logs"
    # shellcheck disable=SC2086 # a list
    cp $programs "$folder/bin/"
    cp "$cache/vmlinuz" "$cache/release" "$folder/guest/"
    cp "$lab/scenario.sh" "$here/$script" "$folder/"
    "$lab/qemu-firmware" "$folder/qemu"
    "$lab/image" "$cache" guest "$folder/guest/initrd" "$build/guest-agent/guest-agent" "$build/tests/lab/tcp-flow"
    # QEMU gives as many features as it has, on the same options.
    cat >"$folder/work" <<END
export LAB="\$PWD" PATH="\$PWD/bin:\$PATH" SCENARIO=$bench LOGS="\$PWD/logs" VIRT_SUITE_RUNTIME_DIR=/tmp/bench.run
export QEMU='qemu-system-x86_64 -L ./qemu -no-user-config -display none -machine pc -accel kvm -cpu host' $settings
mkdir -p -m 700 \$VIRT_SUITE_RUNTIME_DIR
exec sh ./scenario.sh ./$script
END
    how=$("$lab/machine" which "$build")
    case $how in
        direct) echo "# on this machine's KVM" ;;
        *)
            echo "# in a nested machine: only the ratios mean something"
            how=nested
            ;;
    esac
    # shellcheck disable=SC2086 # a list
    "$lab/machine" run $how "$folder" -m 3072 -l 180 $programs >"$folder/results" ||
        fail "the machine did not come to its end: $(tail -n 5 "$folder/results")"
    grep '^not ok' "$folder/results" && fail "the guests do not run"
    if [ -n "${BENCH_LOGS:-}" ]; then
        mkdir -p "$BENCH_LOGS"
        cp -R "$folder/logs" "$folder/results" "$BENCH_LOGS/"
    fi
    awk '
    function median(name,    i, k, n, t, v) {
        n = split(values[name], v, " ")
        for (i = 2; i <= n; i++)
            for (k = i; k > 1 && v[k] + 0 < v[k - 1] + 0; k--) { t = v[k]; v[k] = v[k - 1]; v[k - 1] = t }
        return n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
    }
    $1 == "#" && $2 == "figure" { values[$3 " " $4] = values[$3 " " $4] " " $5; if (!seen[$3]++) order[++count] = $3 }
    END {
        printf "%-24s %10s %10s %7s\n", "median", "host-vmm", "qemu", "ratio"
        for (i = 1; i <= count; i++) {
            h = median(order[i] " host-vmm"); q = median(order[i] " qemu")
            printf "%-24s %10.2f %10.2f %7.2f\n", order[i], h, q, q ? h / q : 0
        }
    }' "$folder/results"
}
