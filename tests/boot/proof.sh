#!/bin/bash
# Runs in the booted machine, as a service: installs from the stick, breaks things, looks.
# Each line of /proof/results is a check, tab, what was found.
set -u
exec >/proof/log 2>&1
stick=/media/stick

found() { printf '%s\t%s\n' "$1" "$2" >>/proof/results; }
show() { systemctl show earsight.service -p "$1" --value; }

# Every file of the disk: kind, mode, owner, then a link's target or a hash.
snapshot() {
    find / -xdev \( -path /proof -o -path /media -o -path /tmp -o -path /var/tmp \) -prune -o \
        ! -type f -printf '%p\t%y %m %u:%g %l\n' >"$1"
    find / -xdev \( -path /proof -o -path /media -o -path /tmp -o -path /var/tmp \) -prune -o \
        -type f -printf '%p\t%y %m %u:%g \n' | sort >/proof/files
    cut -f 1 /proof/files | tr '\n' '\0' | xargs -0 sha256sum | cut -c -64 | paste -d '' /proof/files - >>"$1"
    sort -o "$1" "$1"
}

# Waits until a property of the service is a value; prints the last one seen.
await() {
    local property=$1 value=$2 seconds=$3
    while [ "$(show "$property")" != "$value" ] && [ "$seconds" -gt 0 ]; do
        sleep 1
        seconds=$((seconds - 1))
    done
    show "$property"
}

systemctl is-system-running --wait
snapshot /proof/before

bash $stick/install.sh --profile usb-microphone
found "install: exit code" $?
found "install: service" "$(show ActiveState)/$(show SubState)"
found "install: status" "$(show StatusText)"
first=$(readlink /opt/earsight/current)
pid=$(show MainPID)
bash $stick/install.sh
found "install again: exit code" $?
found "install again: process" "$([ "$(show MainPID)" = "$pid" ] && echo same || echo other)"
found "install again: version" "$([ "$(readlink /opt/earsight/current)" = "$first" ] && echo same || echo other)"
dpkg-query -f '${Package}\n' -W | sort >/proof/packages
cp /opt/earsight/installed/files /proof/recorded

found "sandbox: network" "$([ "$(readlink /proc/"$pid"/ns/net)" = "$(readlink /proc/1/ns/net)" ] && echo shared || echo none)"
found "sandbox: user" "$(stat -c %U /proc/"$pid")"
found "sandbox: capabilities" "$(sed -n 's/^CapBnd:\t//p' /proc/"$pid"/status)"
found "sandbox: seccomp" "$(sed -n 's/^Seccomp:\t//p' /proc/"$pid"/status)"
found "state: mode" "$(stat -c '%a %U' /var/lib/earsight)"
systemd-analyze security earsight.service --no-pager | tail -n 1 | sed 's/[^0-9]*\([0-9.]*\).*/\1/' >/proof/exposure
found "sandbox: exposure" "$(cat /proof/exposure)"

kill -STOP "$pid"
found "stalled: restarts" "$(await NRestarts 1 90)"
found "stalled: service" "$(await SubState running 90)"
found "stalled: watchdog in the log" "$(journalctl -u earsight.service --no-pager | grep -c 'Watchdog timeout')"

/usr/local/bin/earsight bundle install $stick/default.bundle
found "bundle install: exit code" $?
systemctl reload earsight.service
sleep 5
found "bundle install: in use" "$(journalctl -u earsight.service --no-pager | grep -c 'reloaded; bundle')"
/usr/local/bin/earsight bundle rollback
found "bundle rollback: exit code" $?

bash /media/broken/install.sh
found "broken version: exit code" $?
found "broken version: version" "$([ "$(readlink /opt/earsight/current)" = "$first" ] && echo before || echo broken)"
found "broken version: service" "$(await SubState running 90)"
found "broken version: versions kept" "$(find /opt/earsight/versions -mindepth 1 -maxdepth 1 | wc -l)"

echo 'nonsense = 1' >>/etc/earsight/earsight.toml
systemctl restart earsight.service
found "wrong configuration: service" "$(show ActiveState)"
found "wrong configuration: restarts" "$(show NRestarts)"
sleep 10
found "wrong configuration: doctor" "$(test -s /var/lib/earsight/doctor.json && echo kept)"
sed -i '/nonsense/d' /etc/earsight/earsight.toml

/opt/earsight/current/firmware_cfg/install.sh --uninstall --purge
found "uninstall: exit code" $?
found "uninstall: user" "$(getent passwd earsight || echo none)"
found "uninstall: unit" "$(systemctl show earsight.service -p LoadState --value)"
snapshot /proof/after
touch /proof/done
systemctl poweroff
