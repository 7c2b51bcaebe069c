#!/bin/sh
# Installs the Debian/Ubuntu packages that are missing for a purpose; says what and why.
# Usage: system_packages.sh run|test
#   run   Python 3.11 or newer with its venv module
#   test  also a broker, an RTSP server, a browser, ffmpeg, systemd-analyze and what makes a
#         bad network to test against
set -eu

purpose=${1:?usage: system_packages.sh run|test}
missing=""

need() { # need PACKAGE TEST-COMMAND...
    package=$1
    shift
    "$@" >/dev/null 2>&1 || missing="$missing $package"
}

need python3 python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))'
need python3-venv python3 -c 'import venv, ensurepip'

if [ "$purpose" = test ]; then
    need mosquitto test -x /usr/sbin/mosquitto
    need mosquitto-clients command -v mosquitto_sub
    need ffmpeg command -v ffprobe
    need chromium sh -c 'command -v chromium || command -v chromium-browser'
    need systemd command -v systemd-analyze
    need openssl command -v openssl
    need iproute2 command -v ip
    need nftables test -x /usr/sbin/nft
    need python3-gi /usr/bin/python3 -c 'import gi'
    need gir1.2-gst-rtsp-server-1.0 /usr/bin/python3 -c \
        'import gi; gi.require_version("GstRtspServer", "1.0")'
    for set in base good bad ugly; do
        need "gstreamer1.0-plugins-$set" dpkg -s "gstreamer1.0-plugins-$set"
    done
fi

[ -n "$missing" ] || exit 0
echo "system packages missing for 'make $purpose':$missing"
if ! command -v apt-get >/dev/null; then
    echo "this is no Debian or Ubuntu: install them (or their like) yourself" >&2
    [ "$purpose" = test ] && exit 0 # tests that lack a program skip and say so
    exit 1
fi
root=""
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "as root, run: apt-get install --no-install-recommends$missing" >&2
        exit 1
    fi
    root="sudo"
fi
echo "installing them with apt-get"
$root apt-get update -qq
# A service that a package would start (mosquitto on port 1883) is none of the tests' business.
# shellcheck disable=SC2086 # $missing is a list of words
$root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
    apt-get install -y -qq --no-install-recommends $missing >/dev/null
if [ "$purpose" = run ]; then
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
        echo "edgewatch needs Python 3.11 or newer; this system's python3 is older" >&2
        exit 1
    }
fi
