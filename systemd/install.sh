#!/bin/sh
# Install edgewatch as a systemd service: program, user, unit, first settings. Runs again safely:
# what is there is brought up to date, and settings are never touched.
#
#   systemd/install.sh                 as root; the program into /opt/edgewatch
#   systemd/install.sh --files-only    unit, user, folders and settings, without the program
#   DESTDIR=/some/root systemd/install.sh --files-only    into a package; changes nothing here
#
# PYTHON names the interpreter (3.11 or newer), PACKAGE what pip installs (default: this checkout).
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)
destdir=${DESTDIR:-}
python=${PYTHON:-python3}
package=${PACKAGE:-$here}
files_only=no

fail() {
    echo "install.sh: $1" >&2
    exit 1
}

put() { # put SOURCE TARGET: with the rights of a public file
    install -D -m 0644 "$1" "$destdir$2"
    echo "  $2"
}

install_program() {
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "$python is older than 3.11. Set PYTHON=/path/to/python3.11"
    if [ ! -x /opt/edgewatch/bin/python ]; then
        "$python" -m venv /opt/edgewatch ||
            fail "cannot make a virtual environment. On Debian and Ubuntu: apt install python3-venv"
    fi
    set -- --upgrade "$package"
    if [ -f "$here/constraints.txt" ]; then
        set -- --constraint "$here/constraints.txt" "$@"
    fi
    # What an earlier build left in a checkout would be packed along, removed modules included.
    rm -rf "$here/build"
    /opt/edgewatch/bin/python -m pip install --quiet "$@"
    rm -rf "$here/build"
    install -d /usr/local/bin
    ln -sf /opt/edgewatch/bin/edgewatch /usr/local/bin/edgewatch
    echo "  /opt/edgewatch, /usr/local/bin/edgewatch"
}

install_files() {
    put "$here/systemd/edgewatch.service" /etc/systemd/system/edgewatch.service
    put "$here/systemd/edgewatch.sysusers.conf" /etc/sysusers.d/edgewatch.conf
    put "$here/systemd/edgewatch.tmpfiles.conf" /etc/tmpfiles.d/edgewatch.conf
    if [ -e "$destdir/etc/edgewatch/edgewatch.toml" ]; then
        echo "  /etc/edgewatch/edgewatch.toml (yours, left as it is)"
    else
        put "$here/config/edgewatch.toml" /etc/edgewatch/edgewatch.toml
    fi
}

case "${1:-}" in
"") ;;
--files-only) files_only=yes ;;
*) fail "unknown argument $1. See the head of $0" ;;
esac
[ -z "$destdir" ] || [ "$files_only" = yes ] ||
    fail "DESTDIR takes --files-only: a virtual environment cannot be moved"
[ -n "$destdir" ] || [ "$(id -u)" -eq 0 ] ||
    fail "needs root: sudo $0"

echo "Installing:"
[ "$files_only" = yes ] || install_program
install_files
[ -z "$destdir" ] || exit 0

systemd-sysusers edgewatch.conf
systemd-tmpfiles --create edgewatch.conf
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
fi
cat <<'NEXT'

Next:
  1. sudoedit /etc/edgewatch/edgewatch.toml      add a [[cameras]] table
  2. sudo -u edgewatch edgewatch check           says what is wrong, and the cure
  3. sudo systemctl enable --now edgewatch       starts it, now and with the machine
  4. journalctl -fu edgewatch                    shows what it does
NEXT
