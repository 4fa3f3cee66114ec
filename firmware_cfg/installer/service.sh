# Accounts and the service, as far as there is a systemd to tell.
# shellcheck shell=bash disable=SC2153 # WORK, STATE and PREFIX are install.sh's

HOLDS_S=5 # seconds that a new version must run

is_booted() { [ -d /run/systemd/system ]; }

is_running() { is_booted && systemctl is-active --quiet earsight.service; }

# Starts the service anew; fails when it does not get ready, or ends at once.
start_service() {
    make_accounts
    if ! is_booted; then
        say "no systemd runs here: the service starts at the next boot"
        return
    fi
    tell_systemd
    systemd-tmpfiles --create earsight.conf
    systemctl reset-failed earsight.service 2>/dev/null || true
    systemctl restart earsight.service
    sleep "$HOLDS_S"
    systemctl is-active --quiet earsight.service
}

# Lets systemd and udev read their files anew.
tell_systemd() {
    [ -z "$ROOT" ] && is_booted || return 0
    systemctl daemon-reload
    ! command -v udevadm >/dev/null || udevadm control --reload 2>/dev/null || true
}

stop_service() {
    [ -z "$ROOT" ] && is_booted || return 0
    systemctl stop earsight.service earsight-failure.service 2>/dev/null || true
}

# Makes the users and groups of the plan; notes those that were not there, to be able to remove them.
make_accounts() {
    local kind name
    mkdir -p "$STATE"
    while read -r kind name; do
        getent "$([ "$kind" = u ] && echo passwd || echo group)" "$name" >/dev/null ||
            echo "$kind $name" >>"$STATE/accounts"
    done < <(sed -n 's/^\([ug]\) \([a-z]*\) .*/\1 \2/p' "$WORK"/tree/etc/sysusers.d/*.conf)
    if command -v systemd-sysusers >/dev/null; then
        systemd-sysusers /etc/sysusers.d/earsight*.conf
    fi
}

# Removes those that were not there before, as $WORK/accounts lists them.
remove_accounts() {
    local kind name
    while read -r kind name; do
        if [ "$kind" = u ]; then
            userdel "$name" 2>/dev/null || true
        else
            groupdel "$name" 2>/dev/null || true
        fi
    done <"$WORK/accounts"
}
