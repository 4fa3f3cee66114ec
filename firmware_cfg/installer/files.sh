# Makes the device's files those of the plan, and remembers which are its own.
#
# In $STATE: files (fingerprint, path), dirs (made for them), original/ and written/ (boot files
# before and after), words (added to cmdline.txt), profiles.
# shellcheck shell=bash disable=SC2153 # WORK, STATE, ROOT and PURGE are install.sh's

# Reads paths; prints what each is below a folder: a link's target or a file's hash, then the path.
fingerprints() {
    local folder=$1 path
    local -a files=()
    while read -r path; do
        if [ -L "$folder/$path" ]; then
            printf 'link:%s\t%s\n' "$(readlink "$folder/$path")" "$path"
        elif [ -f "$folder/$path" ]; then
            files+=("$path")
        fi
    done
    [ ${#files[@]} -gt 0 ] || return 0
    (cd "$folder" && sha256sum -- "${files[@]}") | sed 's/  /\t/'
}

is_recorded() { [ -f "$STATE/files" ] && cut -f 2 "$STATE/files" | grep -qxF -- "$1"; }

# Writes $WORK/actions (what to do, path) and $WORK/files, the record that is true afterwards.
decide() {
    local print path
    local -A in_plan=() on_device=() in_record=()
    : >"$WORK/actions"
    : >"$WORK/files"
    while IFS=$'\t' read -r print path; do
        in_plan[$path]=$print
    done < <(find "$WORK/tree" \( -type f -o -type l \) -printf '%P\n' | fingerprints "$WORK/tree")
    if [ -f "$STATE/files" ]; then
        while IFS=$'\t' read -r print path; do
            in_record[$path]+="$print " # two after an installation that was cut off
        done <"$STATE/files"
    fi
    while IFS=$'\t' read -r print path; do
        on_device[$path]=$print
    done < <(printf '%s\n' "${!in_plan[@]}" "${!in_record[@]}" | sort -u | fingerprints "$ROOT/")
    while read -r path; do
        judge "$path" "${in_plan[$path]:-}" "${on_device[$path]:-}" "${in_record[$path]:-}"
    done < <(printf '%s\n' "${!in_plan[@]}" "${!in_record[@]}" | sort -u)
}

# Decides about one path by its fingerprints: in the plan, on the device, as put here before.
judge() {
    local path=$1 wanted=$2 present=$3 known=$4 ours=no
    [ -n "$path" ] || return 0
    [[ -z $present || " $known" != *" $present "* ]] || ours=yes
    if [ -z "$wanted" ]; then
        if [ $ours = yes ] || { [ -n "$present" ] && [ "$PURGE" = yes ]; }; then
            act remove "$path" ""
        elif [ -n "$present" ]; then
            act keep "$path" "$known"
        fi
    elif [ -z "$present" ]; then
        act add "$path" "$wanted"
    elif [ "$present" = "$wanted" ]; then
        [ -z "$known" ] || act same "$path" "$wanted" # else it was there before us
    elif [ $ours = yes ]; then
        act change "$path" "$wanted"
    else
        act keep "$path" "$known"
    fi
}

# Notes an action, and the fingerprints of a path that is ours afterwards.
act() {
    local print
    printf '%s\t%s\n' "$1" "$2" >>"$WORK/actions"
    for print in $3; do
        printf '%s\t%s\n' "$print" "$2" >>"$WORK/files"
    done
}

# Tells whether the plan would change anything.
has_changes() {
    decide
    grep -qE '^(add|change|remove)' "$WORK/actions" || [ -n "$(changed_boot_files)" ]
}

# Prints the boot files whose text changes.
changed_boot_files() {
    local path
    while read -r path; do
        cmp -s "$WORK/edited/$path" "$ROOT/$path" || echo "$path"
    done < <(cd "$WORK/edited" && find . -type f -printf '%P\n' | sort)
}

show_plan() {
    local how=$1 action path
    decide
    while IFS=$'\t' read -r action path; do
        [ "$action" != same ] || continue
        if [ "$how" = dry-run ]; then
            printf '%-6s /%s\n' "$action" "$path"
        elif [ "$action" != keep ]; then
            show_difference "$WORK/tree/$path" "$path"
        fi
    done <"$WORK/actions"
    while read -r path; do
        if [ "$how" = dry-run ]; then
            printf '%-6s /%s\n' edit "$path"
        else
            show_difference "$WORK/edited/$path" "$path"
        fi
    done < <(changed_boot_files)
    [ "$how" = diff ] || show_software
}

show_difference() {
    if [ -L "$1" ]; then
        printf -- '--- /%s\n+++ /%s\n+-> %s\n' "$2" "$2" "$(readlink "$1")"
    else
        diff -uN --label "/$2" --label "/$2" "$ROOT/$2" "$1" || true
    fi
}

# Carries the plan out. The record comes first: whatever happens, it names every file put here.
apply_plan() {
    local action path
    decide
    remember
    while IFS=$'\t' read -r action path; do
        case $action in
            add | change) put "$WORK/tree/$path" "$ROOT/$path" ;;
            remove) rm -f "$ROOT/$path" ;;
            keep) say "/$path was changed on this device, or is not earsight's: it stays" ;;
        esac
    done <"$WORK/actions"
    while read -r path; do
        edit "$path"
    done < <(changed_boot_files)
    [ -d "$STATE" ] || return 0
    record "$WORK/files"
    remove_folders
    if [ ! -s "$STATE/files" ]; then
        rm -rf "$STATE"
        remove_folders
    fi
}

# Records what will be there, and the folders that are made for it, before anything is.
remember() {
    local action path
    [ -s "$WORK/files" ] || [ -d "$STATE" ] || return 0
    {
        missing_folders "$STATE/files"
        while IFS=$'\t' read -r action path; do
            [ "$action" != add ] || missing_folders "$ROOT/$path"
        done <"$WORK/actions"
    } >"$WORK/dirs"
    mkdir -p "$STATE"
    cat "$WORK/dirs" >>"$STATE/dirs"
    sort -u -o "$STATE/dirs" "$STATE/dirs"
    printf '%s\n' "${CHOSEN[@]}" >"$STATE/profiles"
    touch "$STATE/files"
    record <(cat "$STATE/files" "$WORK/files") # until all is done the old ones are ours, too
}

record() {
    sort -u "$1" >"$STATE/files.new"
    mv "$STATE/files.new" "$STATE/files"
}

# Prints the folders above a path that are not there.
missing_folders() {
    local folder=${1%/*}
    while [ ! -d "$folder/" ]; do
        echo "${folder#"$ROOT/"}"
        folder=${folder%/*}
    done
}

# Removes the folders made for files that are gone.
remove_folders() {
    local folder
    [ ! -f "$STATE/dirs" ] || cp "$STATE/dirs" "$WORK/dirs"
    while read -r folder; do
        [ ! -d "$ROOT/$folder" ] || rmdir --ignore-fail-on-non-empty "$ROOT/$folder"
    done < <(sort -r "$WORK/dirs")
}

# Copies one file or link in such a way that the old one or the new one is there, never half.
put() {
    [ -d "${2%/*}/" ] || mkdir -p "${2%/*}"
    cp -P --remove-destination "$1" "$2.earsight-new"
    # the boot partition has no permissions to set
    [ -L "$1" ] || [[ $2 == "$ROOT/$BOOT/"* ]] || chmod --reference="$1" "$2.earsight-new"
    mv -fT "$2.earsight-new" "$2"
}

# Writes a boot file anew; keeps how it was, and what was written, to be able to go back.
edit() {
    local path=$1 folder
    folder=$(dirname "$path")
    mkdir -p "$STATE/original/$folder" "$STATE/written/$folder"
    original "$(basename "$path")" >"$WORK/original"
    cp "$WORK/original" "$STATE/original/$path"
    cp "$WORK/edited/$path" "$STATE/written/$path"
    [ ! -f "$WORK/words" ] || cp "$WORK/words" "$STATE/words"
    put "$WORK/edited/$path" "$ROOT/$path"
}
