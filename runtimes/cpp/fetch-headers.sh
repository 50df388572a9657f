#!/usr/bin/env bash
# Unpack the headers of ONNX Runtime that Debian packages into a private folder.
#
# Debian 12 has no such package, Debian 13 has: apt is run with a configuration of its own, made from this machine's
# sources with the suite changed. Nothing is installed, and the machine's own lists stay as they are.
set -euo pipefail

suite=trixie
into=${1:?a folder to unpack into}
mkdir -p "$into"
into=$(cd "$into" && pwd)
if [[ -f $into/include/onnxruntime_c_api.h ]]; then
    echo "headers of ONNX Runtime: $into/include"
    exit 0
fi

apt=$into/apt
mkdir -p "$apt"/{lists/partial,cache/archives/partial,packages}
# Only Debian's own archive: its security archive and foreign ones name their suites otherwise.
awk -v suite="$suite" '
    BEGIN { RS = "" }
    /(^|\n)Types:/ && /(^|\n)URIs:[^\n]*\/debian\/?(\n|$)/ {
        sub(/Suites:[^\n]*/, "Suites: " suite)
        print $0 "\n"
    }' /etc/apt/sources.list.d/*.sources > "$apt/debian.sources" 2> /dev/null || true
if [[ ! -s $apt/debian.sources ]]; then
    rm -f "$apt/debian.sources"
    sed -nE "s#^(deb +(\[[^]]*\] +)?[^ ]+/debian/?) +[^ ]+ .*#\1 $suite main#p" /etc/apt/sources.list \
        | head -1 > "$apt/debian.list"
fi
options=(
    -o "Dir::Etc::sourceparts=/nonexistent"
    -o "Dir::Etc::sourcelist=$(ls "$apt"/debian.*)"
    -o "Dir::State::lists=$apt/lists"
    -o "Dir::Cache=$apt/cache"
    # Old snapshots are past the date until which their index is valid.
    -o "Acquire::Check-Valid-Until=false"
    # The user that apt would become may not write here.
    -o "APT::Sandbox::User=root"
)
apt-get "${options[@]}" -qq update
(cd "$apt/packages" && apt-get "${options[@]}" -qq download libonnxruntime-dev)
dpkg-deb -x "$apt"/packages/libonnxruntime-dev_*.deb "$apt/unpacked"
header=$(find "$apt/unpacked" -name onnxruntime_c_api.h | head -1)
mkdir -p "$into/include"
cp "$(dirname "$header")"/*.h "$into/include/"
rm -rf "$apt"
echo "headers of ONNX Runtime: $into/include"
