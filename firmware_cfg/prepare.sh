#!/usr/bin/env bash
# Prepares a clone for one role: the Debian packages and the Python packages in .venv that it needs.
#
#   firmware_cfg/prepare.sh demo|test|machines|voices [--dry-run]
#
# Says what it will install before it does. Debian packages are installed only when one is missing,
# and only by root or where sudo asks for no password; else it prints the line to run. Run again, it
# does nothing until setup.py, the Python or the place of the clone changes.
#
#   PYTHON=...        the interpreter to use, instead of the first one that fits
#   EARSIGHT_APT=no   never run apt-get, print the line instead

set -euo pipefail
cd -P "$(dirname "${BASH_SOURCE[0]}")/.."

SOUNDS=/usr/share/sounds/alsa
VENV=.venv
DRY_RUN=no
ROOT=()

say() { printf 'prepare: %s\n' "$*"; }
fail() {
    printf 'prepare: %s\n' "$*" >&2
    exit 1
}

main() {
    local role=${1:-}
    [ "${2:-}" = --dry-run ] && DRY_RUN=yes
    case $role in
        demo) EXTRAS=device ;;
        test) EXTRAS=device,mic,mqtt,web,update,encryption,qdrant,convert,cluster,dev ;;
        machines | voices) # no Python packages: those of test do
            install_debian_packages "$role"
            return
            ;;
        *) fail "usage: firmware_cfg/prepare.sh demo|test|machines|voices [--dry-run]" ;;
    esac
    choose_python "$role"
    install_debian_packages "$role"
    # the role, and everything that makes an earlier installation stale
    STAMP="$role $(sha256sum <setup.py | cut -c1-16) $(full_version "$INTERPRETER") $PWD"
    if ! is_prepared "$role"; then
        make_venv
        install_python_packages "$role"
    fi
}

# --- Python -------------------------------------------------------------------------------------

version() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null; }
full_version() { "$1" -c 'import platform; print(platform.python_version())' 2>/dev/null; }
is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

# Sets INTERPRETER. A name on the PATH counts only if it runs: version managers leave empty shims.
choose_python() {
    local role=$1 candidate
    local candidates=(python3.13 python3.12 python3.11 python3)
    INTERPRETER=
    if [ -n "${PYTHON:-}" ]; then
        is_new_enough "$PYTHON" || fail "PYTHON=$PYTHON is not Python 3.11 or later; name another one."
        INTERPRETER=$PYTHON
        return
    fi
    if [ "$role" = test ]; then # TensorFlow 2.15.1, the converter, has no wheel past Python 3.11
        candidates=(python3.11 python3.13 python3.12 python3)
    elif [ -e $VENV ] && [ -z "$(venv_fault)" ]; then # the demo runs in what the tests run in
        candidates=("$VENV/bin/python" "${candidates[@]}")
    fi
    for candidate in "${candidates[@]}"; do
        if is_new_enough "$candidate"; then
            INTERPRETER=$candidate
            return
        fi
    done
    fail "Python 3.11 or later is needed; on Debian 12 or later run: sudo apt-get install -y python3 python3-venv"
}

# The Debian package with a part of the chosen Python: python3-venv, python3.13-venv, ...
python_package() {
    if [ "$(version "$INTERPRETER")" = "$(version /usr/bin/python3)" ]; then
        echo "python3-$1"
    else
        echo "python$(version "$INTERPRETER")-$1"
    fi
}

# --- Debian packages ----------------------------------------------------------------------------

# Prints what the role lacks, one package a line.
missing_packages() {
    local role=$1 package
    if [ "$role" = machines ]; then # roots of other processors, and a system that boots
        for package in mmdebstrap qemu-user-static binfmt-support systemd-container openssl \
            g++-arm-linux-gnueabihf; do
            is_installed $package || echo $package
        done
        return
    fi
    if [ "$role" = voices ]; then # all that the default bundle is trained on
        for package in espeak-ng flite festival festvox-kallpc16k festvox-kdlpc16k \
            festvox-us-slt-hts festvox-italp16k festvox-itapc16k festvox-czech-dita \
            festvox-czech-machac festvox-czech-krb festvox-czech-ph festvox-suopuhe-mv \
            festvox-suopuhe-lj festvox-ru festvox-ca-ona-hts tuxpaint-stamps-default \
            ktuberling-data klettres-data fillets-ng-data-cs; do
            is_installed $package || echo $package
        done
        return
    fi
    [ -z "$(venv_fault)" ] || "$INTERPRETER" -c 'import ensurepip, venv' 2>/dev/null ||
        python_package venv
    [ -e $SOUNDS/Front_Center.wav ] || echo alsa-utils
    if [ "$(uname -m)" = armv7l ]; then # soundfile's wheel for 32-bit ARM has no library in it
        is_installed libsndfile1 || echo libsndfile1
    fi
    [ "$role" = test ] || return 0
    for package in espeak-ng flite festival pulseaudio g++ openssl shellcheck; do
        command -v $package >/dev/null || echo $package
    done
    # the voices, the sound server's parts, the broker (in sbin), what PyAudio is built against, and
    # the browser that looks at the page
    for package in festvox-kallpc16k festvox-kdlpc16k festvox-us-slt-hts pulseaudio-utils \
        libasound2-plugins mosquitto portaudio19-dev chromium; do
        is_installed $package || echo $package
    done
    has_headers || python_package dev # PyAudio and pyworld have no wheels, they are compiled
}

is_installed() { dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q '^install ok installed'; }
has_headers() {
    "$INTERPRETER" -c \
        'import os, sysconfig as s, sys; sys.exit(not os.path.exists(s.get_path("include") + "/Python.h"))'
}

install_debian_packages() {
    local -a packages
    mapfile -t packages < <(missing_packages "$1")
    [ ${#packages[@]} -gt 0 ] || return 0
    say "Debian packages to install: ${packages[*]}"
    [ $DRY_RUN = no ] || return 0
    may_use_apt || fail "Not allowed to install them here. Run this, then the same command again:
    sudo apt-get update && sudo apt-get install -y ${packages[*]}"
    "${ROOT[@]}" apt-get update -qq
    "${ROOT[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=300 "${packages[@]}"
}

# Sets ROOT to what must stand before a command that changes the system.
may_use_apt() {
    [ "${EARSIGHT_APT:-}" != no ] || return 1
    command -v apt-get >/dev/null || return 1
    [ "$(id -u)" != 0 ] || return 0
    sudo -n true 2>/dev/null || return 1
    ROOT=(sudo -n)
}

# --- Python packages ----------------------------------------------------------------------------

# What is installed for tests serves the demo too.
is_prepared() {
    local role
    for role in "$1" test; do
        [ "$(cat "$VENV/prepared-$role" 2>/dev/null)" = "$role ${STAMP#* }" ] && return 0
    done
    return 1
}

# Prints why .venv cannot stay as it is; nothing when it can.
venv_fault() {
    local have
    have=$(full_version $VENV/bin/python || true)
    if [ ! -e $VENV ]; then
        echo "is not there"
    elif [ -n "${INTERPRETER:-}" ] && [ "$have" != "$(full_version "$INTERPRETER")" ]; then
        echo "has Python ${have:-that does not run}, not $(full_version "$INTERPRETER")"
    elif ! grep -qsF "$PWD/$VENV" $VENV/bin/activate; then
        echo "was made in another folder"
    elif ! $VENV/bin/python -c 'import pip' 2>/dev/null; then
        echo "has no pip"
    fi
}

make_venv() {
    local fault
    fault=$(venv_fault)
    [ -n "$fault" ] || return 0
    say "$VENV $fault: it is made with Python $(full_version "$INTERPRETER")"
    [ $DRY_RUN = no ] || return 0
    rm -rf $VENV
    "$INTERPRETER" -m venv $VENV
}

install_python_packages() {
    say "Python packages to install into $VENV: earsight[$EXTRAS] (listed in setup.py)"
    [ $DRY_RUN = no ] || return 0
    $VENV/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[$EXTRAS]"
    # what one role needs may have changed versions under the other
    rm -f $VENV/prepared-*
    echo "$STAMP" >"$VENV/prepared-$1"
    say "done"
}

main "$@"
