"""NetworkManager in a namespace, from packages that are unpacked and not installed."""

from __future__ import annotations

from pathlib import Path

from .namespace import Namespace

PACKAGES = Path(__file__).resolve().parents[2] / ".cache" / "debian"
_BUS = """\
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path=/run/dbus/system_bus_socket</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_type="method_call"/>
<allow send_destination="*"/><allow receive_sender="*"/></policy></busconfig>
"""
_START = f"""\
set -e
mount -t overlay overlay -o lowerdir={PACKAGES}/usr:/usr /usr
mkdir -p /run/up /run/wk /run/dbus /var/lib/NetworkManager
mount -t overlay overlay -o lowerdir=/etc,upperdir=/run/up,workdir=/run/wk /etc
mkdir -p /etc/NetworkManager/system-connections /etc/sysconfig/network-scripts
printf '[main]\\nplugins=keyfile\\nno-auto-default=*\\nauth-polkit=false\\n[logging]\\nlevel=WARN\\n' \
    > /etc/NetworkManager/NetworkManager.conf
dbus-daemon --config-file=/run/bus.conf --fork --nopidfile
setsid NetworkManager --no-daemon > /run/nm.log 2>&1 < /dev/null &
for try in 1 2 3 4 5 6 7 8 9 10; do
    if nmcli -g RUNNING general 2>/dev/null | grep -q running; then exit 0; fi
    sleep 0.3
done
cat /run/nm.log; exit 1
"""


def available() -> bool:
    return (PACKAGES / "usr" / "bin" / "nmcli").exists()


def start(host: Namespace) -> None:
    """Start it and its bus inside; they end with the namespace."""
    host.write("/run/bus.conf", _BUS)
    host.write("/run/start-nm", _START)
    host.run("sh /run/start-nm")
