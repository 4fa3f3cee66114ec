#!/usr/bin/env bash
# Puts earsight on a device, and takes it off again without a trace. Run as root.
#
#   firmware_cfg/install.sh [--profile NAME]...       the base and these profiles, or those of last time
#   firmware_cfg/install.sh --from /media/usb/earsight  from a signed stick, without a network
#   firmware_cfg/install.sh --dry-run | --diff         what it would do, or write; changes nothing
#   firmware_cfg/install.sh --rollback                 the version before
#   firmware_cfg/install.sh --uninstall [--purge]      with --purge people and journal go too
#   firmware_cfg/install.sh --profiles                 the profiles there are
#
# --root DIR  works on the files below DIR only: no software, no service (for images, and to look)
#
# It only adds files, which it records with their hashes in /opt/earsight/installed; one that you
# changed since is left as it is. The two files that have no drop-ins, config.txt and cmdline.txt of
# the boot partition, get one line and some words, which --uninstall takes out again. Run again it
# does nothing. A version that does not start makes place for the one before.

set -euo pipefail
HERE=$(cd -P "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PREFIX=/opt/earsight
ACTION=install
ROOT=
FROM=
KEY=
PURGE=no
PROFILES=()

# shellcheck source=installer/release.sh
. "$HERE/installer/release.sh"
# shellcheck source=installer/plan.sh
. "$HERE/installer/plan.sh"
# shellcheck source=installer/files.sh
. "$HERE/installer/files.sh"
# shellcheck source=installer/software.sh
. "$HERE/installer/software.sh"
# shellcheck source=installer/service.sh
. "$HERE/installer/service.sh"

usage() { sed -n '2,/^$/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; }

main() {
    local -a others=() # arguments but for --from
    while [ $# -gt 0 ]; do
        case $1 in
            --from) FROM=$(value "$@") ;;
            --profile) PROFILES+=("$(value "$@")") ;;
            --key) KEY=$(value "$@") ;;
            --root) ROOT=$(value "$@") ;;
            --dry-run | --diff | --uninstall | --rollback | --profiles) ACTION=${1#--} ;;
            --purge) PURGE=yes ;;
            --help | -h) usage && exit 0 ;;
            *) fail "unknown argument $1; see --help" ;;
        esac
        case $1 in
            --from) shift 2 ;;
            --profile | --key | --root) others+=("$1" "$2") && shift 2 ;;
            *) others+=("$1") && shift ;;
        esac
    done
    if [ "$ACTION" = profiles ]; then
        list_profiles
        return
    fi
    [ -z "$ROOT" ] || ROOT=$(cd -P "$ROOT" && pwd)
    STATE=$ROOT$PREFIX/installed
    if [ -n "$FROM" ]; then
        run_from_stick "$FROM" "${others[@]}"
        return
    fi
    WORK=$(mktemp -d)
    trap 'rm -rf "$WORK"' EXIT
    case $ACTION in
        dry-run | diff)
            plan "$HERE"
            show_plan "$ACTION"
            return
            ;;
    esac
    [ -n "$ROOT" ] || [ "$(id -u)" = 0 ] || fail "this changes the system: run it with sudo"
    case $ACTION in
        install) install_version ;;
        rollback) go_back ;;
        uninstall) uninstall ;;
    esac
}

# Prints the value of an option.
value() {
    [ $# -gt 1 ] || fail "$1 needs a value"
    printf %s "$2"
}

install_version() {
    local version before
    plan "$HERE"
    if [ -n "$ROOT" ]; then
        apply_plan
        return
    fi
    check_system
    install_debian_packages
    version=$(version_name)
    make_version "$version"
    before=$(version_in_use)
    attempt activate "$version"
    if [ "$STATUS" = 0 ]; then
        forget_versions_but "$version" "$before"
        say "earsight $version is installed"
        return
    fi
    if [ -n "$before" ] && [ "$before" != "$version" ]; then
        say "earsight $version does not start here; back to $before"
        attempt activate "$before"
        [ "$STATUS" = 0 ] || fail "$before does not start either; see: journalctl -u earsight"
        rm -rf "${PREFIX:?}/versions/$version"
        fail "earsight $version was not installed: it did not start; $before runs as before"
    fi
    fail "earsight does not start; see: journalctl -u earsight, earsight doctor"
}

go_back() {
    local other
    other=$(versions | grep -vxF "$(version_in_use)" | tail -n 1) ||
        fail "there is no version to go back to"
    attempt activate "$other"
    [ "$STATUS" = 0 ] || fail "$other does not start; see: journalctl -u earsight"
    say "earsight $other is in use again"
}

# Runs a function that ends at its first failure and sets STATUS. Never call it in a condition: the
# shell would go on after a failure.
attempt() {
    set +e
    (
        set -e
        "$@"
    )
    STATUS=$?
    set -e
}

# Makes a version the one in use: its files, the link, its service. Fails when that does not start.
activate() {
    local version=$1 folder=$PREFIX/versions/$1
    check_version "$folder"
    plan "$folder/firmware_cfg"
    if [ "$(version_in_use)" = "$version" ] && ! has_changes && is_running; then
        return # as it is
    fi
    apply_plan
    use_version "$version"
    start_service
}

uninstall() {
    [ -d "$STATE" ] || fail "earsight is not installed here"
    stop_service
    cp "$STATE/accounts" "$WORK/accounts" 2>/dev/null || touch "$WORK/accounts"
    plan_nothing
    apply_plan
    [ -n "$ROOT" ] || remove_software
    tell_systemd
    say "earsight is uninstalled"
}

main "$@"
