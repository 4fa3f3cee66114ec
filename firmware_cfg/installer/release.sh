# What a signed stick is, and whether to believe it. Sourced by install.sh; copied to a stick it is
# the script that starts there: `sudo bash /media/usb/earsight/install.sh [--profile NAME]...`
#
#   earsight-VERSION-PLATFORM.tar   firmware_cfg/, wheels/, debs/: all that install.sh needs
#   SHA256SUMS                      its hash
#   SHA256SUMS.sig                  Ed25519 signature of SHA256SUMS, 64 bytes
#   earsight.pem                    the public key: believed only while this device has no other
# shellcheck shell=bash

set -euo pipefail

say() { printf 'earsight: %s\n' "$*"; }
fail() {
    printf 'earsight: error: %s\n' "$*" >&2
    exit 1
}

# Checks a stick, unpacks it to the disk and lets its own install.sh do the rest.
run_from_stick() {
    local stick=$1 folder key archive
    shift
    command -v openssl >/dev/null || fail "openssl is needed: sudo apt-get install openssl"
    for file in SHA256SUMS SHA256SUMS.sig; do
        [ -f "$stick/$file" ] || fail "$stick: is not a signed stick: there is no $file in it"
    done
    folder=$(mktemp -d -p /var/tmp earsight.XXXXXX) # on the disk: it holds hundreds of megabytes
    # shellcheck disable=SC2064 # the folder of now
    trap "rm -rf '$folder'" EXIT
    # what is checked is the copy: a stick can be changed in between
    cp "$stick/SHA256SUMS" "$stick/SHA256SUMS.sig" "$folder"
    key=$(signer "$folder/SHA256SUMS" "$stick") || exit 1
    archive=$(sed -n 's/^[0-9a-f]\{64\}  \(earsight-[A-Za-z0-9._+-]*\.tar\)$/\1/p' "$folder/SHA256SUMS")
    [ -n "$archive" ] || fail "$stick: SHA256SUMS names no archive"
    cp "$stick/$archive" "$folder" || fail "$stick: $archive cannot be read"
    (cd "$folder" && sha256sum --quiet --check SHA256SUMS) >&2 || fail "$stick: $archive is damaged"
    tar -xf "$folder/$archive" -C "$folder" --no-same-owner
    rm "$folder/$archive"
    "$folder/firmware_cfg/install.sh" "$@" --key "$key"
}

# Prints the public key that signed a file: one that this device trusts, or at first the stick's.
signer() {
    local file=$1 stick=$2 trusted=${ROOT:-}/etc/earsight/keys key
    local -a keys=()
    mapfile -t keys < <(find "$trusted" -name '*.pem' 2>/dev/null | sort)
    if [ ${#keys[@]} -eq 0 ]; then
        [ -f "$stick/earsight.pem" ] || fail "$stick: there is no earsight.pem in it"
        cp "$stick/earsight.pem" "$file.pem"
        keys=("$file.pem")
        say "no key is trusted here yet; from now on it is the stick's, with this fingerprint:" >&2
        openssl pkey -pubin -in "$file.pem" -outform DER | sha256sum | cut -d ' ' -f 1 >&2
    fi
    for key in "${keys[@]}"; do
        if openssl pkeyutl -verify -pubin -inkey "$key" -rawin -in "$file" -sigfile "$file.sig" \
            >/dev/null 2>&1; then
            echo "$key"
            return
        fi
    done
    fail "$stick: its signature is by none of the trusted keys in $trusted"
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then # on a stick
    run_from_stick "$(cd -P "$(dirname "$0")" && pwd)" "$@"
fi
