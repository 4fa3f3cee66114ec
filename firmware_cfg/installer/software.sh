# Versions of the software: each in a folder of its own, a link to the one in use.
#
#   /opt/earsight/versions/0.1.0-3f2a91c07b/   a Python environment, and the firmware_cfg it came with
#   /opt/earsight/current -> versions/...
#   /opt/earsight/installed/                   what files.sh remembers
#   /opt/earsight/bundles/                     what `earsight bundle install` puts there
# shellcheck shell=bash disable=SC2153 # WORK, CHOSEN, PREFIX and HERE are install.sh's

EXTRAS=device,mqtt,update,web # what a profile may need: to change profiles needs no network

show_software() {
    local -a packages
    [ -z "$ROOT" ] || return 0
    mapfile -t packages < <(missing_packages)
    [ ${#packages[@]} -eq 0 ] || printf '%-6s %s\n' debian "${packages[*]}"
    [ -e "$PREFIX/versions/$(version_name)/complete" ] ||
        printf '%-6s %s\n' make "$PREFIX/versions/$(version_name)"
}

# Refuses, before anything is changed, what no interpreter of models is built for.
check_system() {
    local found
    found=$(python3 -c 'import struct, sys
print("%d.%d" % sys.version_info[:2], struct.calcsize("P") * 8)') || fail "python3 is needed"
    case $found in
        3.11*32) say "32-bit userland: packages come from your own index, or from a stick made on one" ;;
        3.1[1-9]*64) ;;
        *32) fail "32-bit Python ${found% *}: there is no runtime; use a 64-bit Raspberry Pi OS" ;;
        *) fail "Python ${found% *} is too old: Raspberry Pi OS 12 or later is needed" ;;
    esac
}

# --- Debian packages ----------------------------------------------------------------------------

missing_packages() {
    local package
    for package in $(words_of "$HERE" packages); do
        [ "$package" != python3-venv ] || [ ! -d "$HERE/../wheels" ] || continue # pip is on the stick
        is_installed "$package" || echo "$package"
    done
}

is_installed() { dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q '^install ok installed'; }

install_debian_packages() {
    local file
    local -a packages files=()
    mapfile -t packages < <(missing_packages)
    [ ${#packages[@]} -gt 0 ] || return 0
    if [ ! -d "$HERE/../debs" ]; then
        say "Debian packages to install: ${packages[*]}"
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
            -o DPkg::Lock::Timeout=300 "${packages[@]}"
        return
    fi
    for file in "$HERE"/../debs/*.deb; do
        is_installed "$(dpkg-deb -f "$file" Package)" || files+=("$file")
    done
    say "Debian packages to install from the stick: ${packages[*]}"
    DEBIAN_FRONTEND=noninteractive dpkg --install "${files[@]}" >&2 ||
        fail "the stick lacks Debian packages for this system; make it for this release of Debian"
}

# --- versions -----------------------------------------------------------------------------------

# Prints the name of the version that would be installed: earsight's own, and a hash of all of it.
version_name() {
    local base=$HERE/.. version
    if [ -e "$base/complete" ]; then # this is the firmware_cfg of an installed version
        basename "$(cd "$base" && pwd)"
        return
    fi
    version=$(find "$base/wheels" -name 'earsight-*.whl' -printf '%f\n' 2>/dev/null | cut -d - -f 2)
    [ -n "$version" ] || version=$(sed -n 's/^__version__ = "\(.*\)"/\1/p' "$base/edge/__init__.py")
    printf '%s-%s\n' "$version" "$({
        python3 --version
        cd "$base" || exit
        find edge convert setup.py wheels firmware_cfg -type f ! -name '*.pyc' -print0 2>/dev/null |
            sort -z | xargs -0 sha256sum
    } | sha256sum | cut -c -10)"
}

versions() { find "$PREFIX/versions" -mindepth 1 -maxdepth 1 -printf '%T@ %f\n' 2>/dev/null | sort -n | cut -d ' ' -f 2; }
version_in_use() { basename "$(readlink "$PREFIX/current" 2>/dev/null)"; }

# Builds a version's folder; one that is complete stays as it is.
make_version() {
    local folder=$PREFIX/versions/$1
    [ ! -e "$folder/complete" ] || return 0
    say "making $folder"
    rm -rf "$folder"
    mkdir -p "$folder"
    # shellcheck disable=SC2064 # the folder of now
    trap "rm -rf '$folder' '$WORK'" EXIT
    # PyAudio is the system's: it has no wheels. /tmp is memory, of which a Pi has little
    export TMPDIR=/var/tmp
    if [ -d "$HERE/../wheels" ]; then
        python3 -m venv --system-site-packages --without-pip "$folder"
        python3 "$(find "$HERE/../wheels" -name 'pip-*.whl')/pip" --python "$folder/bin/python" \
            install --quiet --no-index --find-links "$HERE/../wheels" "earsight[$EXTRAS]"
    else
        mkdir "$WORK/source" # pip builds where the sources are: a clone keeps its owner
        (cd "$HERE/.." && cp -r edge convert setup.py pyproject.toml README.md "$WORK/source")
        python3 -m venv --system-site-packages "$folder"
        "$folder/bin/pip" install --quiet --disable-pip-version-check "$WORK/source[$EXTRAS]"
    fi
    mkdir "$folder/firmware_cfg"
    cp -a "$HERE/." "$folder/firmware_cfg"
    chown -R root:root "$folder"
    touch "$folder/complete"
    trap 'rm -rf "$WORK"' EXIT
}

# Tries a version before it is used: its models run, and it understands the configuration.
check_version() {
    local folder=$1
    [ -e "$folder/complete" ]
    "$folder/bin/earsight" config >/dev/null
    "$folder/bin/earsight" bundle verify >/dev/null
}

use_version() {
    ln -sfn "versions/$1" "$PREFIX/.current.new"
    mv -fT "$PREFIX/.current.new" "$PREFIX/current"
}

forget_versions_but() {
    local version
    for version in $(versions); do
        [ "$version" = "$1" ] || [ "$version" = "$2" ] || rm -rf "${PREFIX:?}/versions/$version"
    done
}

# Removes versions, bundles and the user. What the daemon heard stays unless --purge was given.
remove_software() {
    local kept=/var/lib/earsight
    rm -rf "${PREFIX:?}/versions" "$PREFIX/current" "$PREFIX/bundles"
    [ ! -d "$PREFIX" ] || rmdir --ignore-fail-on-non-empty "$PREFIX"
    [ "$PURGE" = no ] || rm -rf "$kept"
    [ ! -d "$kept" ] || rmdir --ignore-fail-on-non-empty "$kept"
    if [ -d "$kept" ]; then
        say "people and journal stay in $kept, and the user they belong to; --purge removes them"
        return
    fi
    remove_accounts
    say "Debian packages stay; these were needed: $(words_of "$HERE" packages base | tr '\n' ' ')"
}
