#!/usr/bin/env bash
# Fills a folder, usually on a USB stick, from which install.sh installs without a network.
#
#   firmware_cfg/stick.sh --key KEY.pem --out DIR [--for aarch64 --python 3.13] [--bundle NAME.bundle]...
#
# For a device unlike this machine name its processor and its Python: 3.11 is Raspberry Pi OS 12,
# 3.13 is 13. A 32-bit Pi's stick is made on one, since most of its wheels are built there. Bundles
# are signed, too; install one on the device with `earsight bundle install DIR/NAME.bundle`.
#
#   openssl genpkey -algorithm ed25519 -out KEY.pem     makes a key; keep it secret, and a copy safe
#
# Needs openssl, a Python with pip (PYTHON=..., else python3), and a Debian with the network.

set -euo pipefail
PYTHON=${PYTHON:-python3}
HERE=$(cd -P "$(dirname "${BASH_SOURCE[0]}")" && pwd)
KEY=
OUT=
MACHINE=
VERSION=
BUNDLES=()
EXTRAS=device,mqtt,update,web
GLIBC=(34 31 28 27 26 17) # of the wheels that Debian 12 and 13 can load
# PyAudio and all it needs beyond what every Raspberry Pi OS has
DEBS=(libportaudio2 libjack-jackd2-0 libsamplerate0 libopus0 libdb5.3 libasound2-data python3-pyaudio)

say() { printf 'stick: %s\n' "$*"; }
fail() {
    printf 'stick: error: %s\n' "$*" >&2
    exit 1
}

main() {
    while [ $# -gt 0 ]; do
        [ $# -gt 1 ] || fail "$1: needs a value, or is unknown; see the top of this file"
        case $1 in
            --key) KEY=$2 ;;
            --out) OUT=$2 ;;
            --for) MACHINE=$2 ;;
            --python) VERSION=$2 ;;
            --bundle) BUNDLES+=("$2") ;;
            *) fail "unknown argument $1; see the top of this file" ;;
        esac
        shift 2
    done
    [ -n "$OUT" ] || fail "give the folder to fill with --out"
    [ -f "$KEY" ] || fail "give the private key to sign with by --key; the top of this file makes one"
    case $MACHINE:$VERSION in
        : | aarch64:3.11 | aarch64:3.13 | x86_64:3.11 | x86_64:3.13) ;;
        *) fail "--for takes aarch64 or x86_64, with --python 3.11 or 3.13" ;;
    esac
    WORK=$(mktemp -d -p /var/tmp)
    trap 'rm -rf "$WORK"' EXIT
    mkdir -p "$OUT" "$WORK/tree"
    collect_wheels "$WORK/tree/wheels"
    collect_debs "$WORK/tree/debs"
    cp -a "$HERE" "$WORK/tree/firmware_cfg"
    pack
    for bundle in "${BUNDLES[@]}"; do
        sign_bundle "$bundle"
    done
    say "done: on the device run: sudo bash $OUT/install.sh"
}

collect_wheels() {
    local folder=$1 glibc
    mkdir "$folder" "$WORK/source"
    (cd "$HERE/.." && cp -r edge convert setup.py pyproject.toml README.md "$WORK/source")
    "$PYTHON" -m pip wheel --quiet --no-deps --wheel-dir "$folder" "$WORK/source"
    if [ -z "$MACHINE" ]; then
        "$PYTHON" -m pip wheel --quiet --wheel-dir "$folder" pip "$(echo "$folder"/earsight-*.whl)[$EXTRAS]"
        return
    fi
    local -a target=(--only-binary :all: --implementation cp --python-version "$VERSION")
    target+=(--abi "cp${VERSION/./}" --abi abi3 --abi none --platform "manylinux2014_$MACHINE")
    for glibc in "${GLIBC[@]}"; do
        target+=(--platform "manylinux_2_${glibc}_$MACHINE")
    done
    "$PYTHON" -m pip download --quiet --dest "$folder" "${target[@]}" \
        pip "$(echo "$folder"/earsight-*.whl)[$EXTRAS]"
}

# Downloads Debian packages without touching this machine's own lists.
collect_debs() {
    local folder=$1 apt=$WORK/apt suite site architecture package
    command -v apt-get >/dev/null || fail "Debian packages are collected on a Debian"
    architecture=$(dpkg --print-architecture)
    suite=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
    case $MACHINE in
        aarch64) architecture=arm64 ;;
        x86_64) architecture=amd64 ;;
    esac
    case $VERSION in
        3.11) suite=bookworm ;;
        3.13) suite=trixie ;;
    esac
    # shellcheck disable=SC2016 # apt's own variables
    site=$(apt-get indextargets --format '$(SITE) $(SUITE)' 'Created-By: Packages' 'Origin: Debian' |
        awk '$2 !~ /security/ { print $1; exit }')
    [ -n "$site" ] || fail "this machine has no Debian mirror in its apt sources"
    mkdir -p "$folder" "$apt/lists/partial" "$apt/cache/archives/partial"
    echo "deb $site $suite main" >"$apt/sources.list"
    touch "$apt/status"
    local -a options=(-qq -o "Dir::Etc::SourceList=$apt/sources.list" -o Dir::Etc::SourceParts=-
        -o "Dir::State::Lists=$apt/lists" -o "Dir::State::Status=$apt/status"
        -o "Dir::Cache=$apt/cache" -o "APT::Architecture=$architecture"
        -o "APT::Architectures::=$architecture" -o APT::Sandbox::User=root)
    apt-get "${options[@]}" update
    cd "$folder"
    for package in "${DEBS[@]}"; do # Debian 13 has renamed some: their times have 64 bits
        apt-get "${options[@]}" download "$package" 2>/dev/null ||
            apt-get "${options[@]}" download "${package}t64"
    done
    cd "$OLDPWD"
}

pack() {
    local version name
    version=$(find "$WORK/tree/wheels" -name 'earsight-*.whl' -printf '%f\n' | cut -d - -f 2)
    name=earsight-$version-${MACHINE:-$(uname -m)}-py${VERSION:-$($PYTHON -c \
        'import sys; print("%d.%d" % sys.version_info[:2])')}.tar
    rm -f "$OUT"/earsight-*.tar
    tar -cf "$OUT/$name" --sort=name --owner=0 --group=0 -C "$WORK/tree" firmware_cfg wheels debs
    (cd "$OUT" && sha256sum "$name" >SHA256SUMS)
    sign "$OUT/SHA256SUMS"
    openssl pkey -in "$KEY" -pubout -out "$OUT/earsight.pem"
    cp "$HERE/installer/release.sh" "$OUT/install.sh"
    say "$name: $(du -h "$OUT/$name" | cut -f 1)"
}

sign_bundle() {
    local copy
    copy=$OUT/$(basename "$1")
    [ -f "$1/manifest.json" ] || fail "$1: is no bundle: there is no manifest.json in it"
    rm -rf "$copy"
    cp -r "$1" "$copy"
    sign "$copy/manifest.json"
    say "$(basename "$copy") is signed"
}

sign() { openssl pkeyutl -sign -rawin -inkey "$KEY" -in "$1" -out "$1.sig"; }

main "$@"
