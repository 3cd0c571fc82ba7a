# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
# To be sourced by scripts that bring other people's packages into a cache, to compare ours with: apt with lists of our
# own in a folder of our own. All comes from where this machine's apt gets its packages; nothing is installed and apt's
# state stays as it is. What cannot be had is told in a line on stderr, with status 1.
APT_LIMIT=120 # seconds for one run of apt

fail() {
    echo "${0##*/}: $*" >&2
    exit 1
}

# apt_begin CACHE: makes a folder in CACHE that goes when the script ends, and works there.
apt_begin() {
    for tool in apt-get dpkg-deb timeout; do
        command -v "$tool" >/dev/null || fail "needs $tool"
    done
    mkdir -p "$1"
    work=$(mktemp -d "$1/fetch.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    trap 'exit 1' HUP INT TERM
    mkdir -p "$work/state/lists/partial" "$work/cache/archives/partial" "$work/unpacked"
    cd "$work" || exit 1
}

# apt_archives TYPE [SUITE]: the archives that this machine's apt knows, as lines "TYPE ADDRESS SUITE main"; with SUITE
# that suite of the archive proper, not of its updates.
apt_archives() {
    apt-get indextargets --format "$1 \$(REPO_URI) \$(RELEASE) main" 'Created-By: Packages' 'Component: main' |
        awk -v suite="${2-}" 'suite == "" { print } suite != "" && $3 !~ /[-\/]/ { $3 = suite; print }' | sort -u
}

# apt_private ARGUMENT...: apt-get, on the lists in sources.list. Root would drop to a user who may not write here.
apt_private() {
    timeout "$APT_LIMIT" apt-get -qq -o Dir::State="$work/state" -o Dir::State::status=/var/lib/dpkg/status \
        -o Dir::Cache="$work/cache" -o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts=/dev/null \
        -o Acquire::Languages=none -o APT::Sandbox::User=root "$@" >&2
}

# apt_update: reads the lists that sources.list names.
apt_update() {
    [ -s sources.list ] || fail "this machine's apt has no archives"
    apt_private update || fail 'the package lists cannot be fetched'
}

# apt_end TARGET: puts the folder "result" where it belongs, and prints that. Somebody else may have been faster.
apt_end() {
    : >result/complete
    mv -T result "$1" 2>/dev/null || [ -f "$1/complete" ] || fail "cannot write $1"
    echo "$1"
}
