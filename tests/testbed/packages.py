"""The Debian packages that the test bed needs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

PACKAGES = {
    "buildah": "buildah",
    "busybox-static": "/bin/busybox",
    "conntrack": "conntrack",
    "containerd": "containerd",
    "containernetworking-plugins": "/usr/lib/cni/bridge",
    "debootstrap": "debootstrap",
    "e2fsprogs": "mkfs.ext4",
    "fio": "fio",
    "iproute2": "ip",
    "ipset": "ipset",
    "iptables": "iptables",
    "maven": "mvn",
    "prometheus": "prometheus",
    "runc": "runc",
    "socat": "socat",
    "util-linux": "nsenter",
    "xfsprogs": "mkfs.xfs",
}
"""Package to a command or file that shows it is there."""


def missing() -> list[str]:
    """Packages of which the machine shows no trace."""
    return [package for package, trace in PACKAGES.items() if not (shutil.which(trace) or Path(trace).exists())]


def provide() -> None:
    """Install what is missing where that can be done, say what would do it where not; never fails."""
    wanted = missing()
    if not wanted:
        return
    command = f"apt-get install -y --no-install-recommends {' '.join(wanted)}"
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        print(f"The cluster tests need system packages. As root on Debian or Ubuntu: {command}", file=sys.stderr)
        return
    print(f"Installing system packages for the cluster tests: {' '.join(wanted)}", file=sys.stderr, flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for step in ("apt-get update -qq", f"{command} -qq"):
        if subprocess.run(step.split(), env=environment, stdout=subprocess.DEVNULL, check=False).returncode != 0:
            print(f"`{step}` failed; the cluster tests will say what they miss.", file=sys.stderr)
            return
