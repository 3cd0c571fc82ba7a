#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Makes ./configure from configure.ac. Needed after a checkout, not in a release tarball.
set -e
cd "$(dirname "$0")"
for tool in autoreconf aclocal pkg-config; do
    command -v "$tool" >/dev/null 2>&1 || {
        echo "autogen.sh: $tool is missing: install autoconf, automake and pkg-config" \
             "(Debian: apt install autoconf automake pkg-config;" \
             "Fedora: dnf install autoconf automake pkgconf-pkg-config)" >&2
        exit 1
    }
done
exec autoreconf --install --force --warnings=all,no-portability "$@"
