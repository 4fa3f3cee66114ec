# What the chosen profiles want on the device: a tree of files in $WORK/tree, the new text of the
# two boot files in $WORK/edited. Nothing outside $WORK changes here.
# shellcheck shell=bash disable=SC2153 # WORK, STATE, ROOT, PROFILES and KEY are install.sh's

BOOT=boot/firmware
MARK='# earsight: these three lines go when it is uninstalled'

# Plans for the profiles of one firmware_cfg folder.
plan() {
    local folder=$1 profile
    rm -rf "$WORK/tree" "$WORK/edited"
    mkdir "$WORK/tree" "$WORK/edited"
    choose_profiles "$folder"
    for profile in "${CHOSEN[@]}"; do
        [ ! -d "$folder/profiles/$profile/root" ] ||
            cp -a "$folder/profiles/$profile/root/." "$WORK/tree"
    done
    install -Dm 644 "$folder/device.toml" "$WORK/tree/etc/earsight/earsight.toml"
    plan_keys
    plan_boot "$folder"
    # as git has them: a clone's own permissions depend on who made it
    find "$WORK/tree" -type f -perm /111 -exec chmod 755 {} +
    find "$WORK/tree" -type f ! -perm /111 -exec chmod 644 {} +
}

# Plans that nothing of earsight stays.
plan_nothing() {
    rm -rf "$WORK/tree" "$WORK/edited"
    mkdir "$WORK/tree" "$WORK/edited"
    CHOSEN=()
    plan_boot "$HERE"
}

# Sets CHOSEN: base, then what was asked for, or that of last time, with what those use.
choose_profiles() {
    local folder=$1 profile
    local -a asked=("${PROFILES[@]}")
    [ ${#asked[@]} -gt 0 ] || [ ! -f "$STATE/profiles" ] || mapfile -t asked <"$STATE/profiles"
    CHOSEN=()
    for profile in base "${asked[@]}"; do
        choose "$folder" "$profile"
    done
}

choose() {
    local folder=$1 profile=$2 used
    [ -f "$folder/profiles/$profile/about" ] ||
        fail "there is no profile '$profile'; see: install.sh --profiles"
    [[ " ${CHOSEN[*]} " != *" $profile "* ]] || return 0
    CHOSEN+=("$profile")
    for used in $(words_of "$folder" uses "$profile"); do
        choose "$folder" "$used"
    done
}

list_profiles() {
    local about
    for about in "$HERE"/profiles/*/about; do
        printf '%-16s %s\n' "$(basename "$(dirname "$about")")" "$(cat "$about")"
    done
}

# Prints the words in one file of profiles, of the chosen ones if none is named.
words_of() {
    local folder=$1 file=$2 profile
    shift 2
    [ $# -gt 0 ] || set -- "${CHOSEN[@]}"
    for profile; do
        [ ! -f "$folder/profiles/$profile/$file" ] || cat "$folder/profiles/$profile/$file"
    done
}

# A key once trusted stays so, until uninstalling.
plan_keys() {
    local key folder=$WORK/tree/etc/earsight/keys
    for key in "$ROOT"/etc/earsight/keys/*.pem; do
        [ ! -f "$key" ] || ! is_recorded "${key#"$ROOT/"}" || install -Dm 644 "$key" -t "$folder"
    done
    [ -z "$KEY" ] || is_trusted "$KEY" ||
        install -Dm 644 "$KEY" "$folder/$(sha256sum <"$KEY" | cut -c -8).pem"
}

is_trusted() {
    local key
    for key in "$ROOT"/etc/earsight/keys/*.pem; do
        ! cmp -s "$1" "$key" || return 0
    done
    return 1
}

# --- config.txt and cmdline.txt, which have no drop-ins -----------------------------------------

plan_boot() {
    local folder=$1 profile words
    words=$(words_of "$folder" cmdline.txt)
    for profile in "${CHOSEN[@]}"; do
        [ ! -f "$folder/profiles/$profile/config.txt" ] ||
            sed "1i # --- $profile" "$folder/profiles/$profile/config.txt"
    done >"$WORK/config"
    if [ ! -f "$ROOT/$BOOT/config.txt" ]; then
        [ ! -s "$WORK/config" ] ||
            say "no boot partition of a Raspberry Pi: what profiles set in config.txt is left out" >&2
        return
    fi
    mkdir -p "$WORK/edited/$BOOT"
    original config.txt >"$WORK/edited/$BOOT/config.txt"
    if [ -s "$WORK/config" ]; then
        install -Dm 644 "$WORK/config" "$WORK/tree/$BOOT/earsight.txt"
        end_line "$WORK/edited/$BOOT/config.txt"
        printf '%s\n[all]\ninclude earsight.txt\n' "$MARK" >>"$WORK/edited/$BOOT/config.txt"
    fi
    [ -f "$ROOT/$BOOT/cmdline.txt" ] || return 0
    original cmdline.txt >"$WORK/edited/$BOOT/cmdline.txt"
    add_words "$WORK/edited/$BOOT/cmdline.txt" "$words"
}

# Prints a boot file as it was without earsight: the copy kept, unless it was changed since.
original() {
    local file=$BOOT/$1
    if [ -f "$STATE/original/$file" ] && cmp -s "$ROOT/$file" "$STATE/written/$file"; then
        cat "$STATE/original/$file"
    elif [ "$1" = config.txt ]; then
        remove_lines "$ROOT/$file"
    else
        remove_words "$ROOT/$file" "$(cat "$STATE/words" 2>/dev/null)"
    fi
}

end_line() { [ -z "$(tail -c 1 "$1")" ] || echo >>"$1"; }

# Adds words to the one line of a cmdline.txt, those it lacks; notes which in $WORK/words.
add_words() {
    local file=$1 word added=''
    for word in $2; do
        [[ " $(head -n 1 "$file") " == *" $word "* ]] || added+=" $word"
    done
    echo "$added" >"$WORK/words"
    [ -z "$added" ] || sed -i "1s|\$|$added|" "$file"
}

remove_lines() {
    if grep -qxF "$MARK" "$1"; then
        awk -v mark="$MARK" '$0 == mark { skip = 3 } skip-- > 0 { next } { print }' "$1"
    else
        cat "$1"
    fi
}

remove_words() {
    local word
    local -a words kept=()
    read -ra words <"$1" || true # no newline at the end is fine
    for word in "${words[@]}"; do
        [[ " $2 " == *" $word "* ]] || kept+=("$word")
    done
    echo "${kept[*]}"
}
