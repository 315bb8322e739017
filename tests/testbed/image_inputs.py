"""What images are made of beside files of the repository: a root file system, jars, and the way to the package index.

All of it is reached the way the machine itself reaches it: apt's sources, Maven's settings, pip's configuration.
"""

from __future__ import annotations

import configparser
import os
import platform
import shutil
import ssl
from pathlib import Path

from tests.testbed.shell import CommandError, run

_PIP_SETTINGS = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout", "default-timeout", "retries")
_CERTIFICATES_IN_BUILD = "/run/secrets/ca.crt"


def make_root_file_system(context: Path) -> None:
    """Make ``root.tar`` of the machine's own distribution with the packages that ``root.packages`` lists."""
    site, release, components = _apt_source()
    packages = (context / "root.packages").read_text().split()
    root = context / "root"
    options = ["--variant=minbase", f"--include={','.join(packages)}", f"--components={components}"]
    # In a mount namespace of its own, so that a killed debootstrap leaves no mount behind.
    run("unshare", "--mount", "debootstrap", *options, release, root, site)
    emptied = ("dev/*", "var/cache/apt/*", "var/lib/apt/lists/*", "var/log/*")
    left_out = [f"--exclude=./{path}" for path in (*emptied, "etc/hostname", "etc/resolv.conf")]
    run("tar", "--create", "--numeric-owner", *left_out, f"--file={context / 'root.tar'}", f"--directory={root}", ".")
    shutil.rmtree(root)


def fetch_jars(context: Path) -> None:
    """Fetch what ``pom.xml`` names from Maven's repository."""
    options = ["--batch-mode", "--quiet", "--strict-checksums", f"--file={context / 'pom.xml'}"]
    run("mvn", *options, "dependency:copy-dependencies")


def write_pip_secrets(folder: Path) -> dict[str, Path]:
    """Write the build secrets by which pip inside a build reaches the index that it reaches here; by their ids."""
    secrets = {"pip.conf": folder / "pip.conf", "ca.crt": folder / "ca.crt"}
    settings = _pip_settings()
    certificates = settings.pop("cert", None) or ssl.get_default_verify_paths().cafile
    if certificates is None:
        raise CommandError("no certificate authorities on this machine; apt-get install ca-certificates")
    shutil.copyfile(certificates, secrets["ca.crt"])
    lines = [f"{key} = {value}" for key, value in sorted(settings.items()) if key in _PIP_SETTINGS]
    secrets["pip.conf"].write_text("\n".join(["[global]", f"cert = {_CERTIFICATES_IN_BUILD}", *lines, ""]))
    return secrets


def _pip_settings() -> dict[str, str]:
    parser = configparser.RawConfigParser()
    home = Path.home()
    parser.read(["/etc/pip.conf", home / ".pip/pip.conf", home / ".config/pip/pip.conf"])
    if named := os.environ.get("PIP_CONFIG_FILE"):
        parser.read(named)
    settings = dict(parser["global"]) if parser.has_section("global") else {}
    prefix = "PIP_"
    for name, value in os.environ.items():
        if name.startswith(prefix):
            settings[name.removeprefix(prefix).lower().replace("_", "-")] = value
    return settings


def _apt_source() -> tuple[str, str, str]:
    """Site, release and components that the machine's apt has for its own distribution."""
    release = platform.freedesktop_os_release()["VERSION_CODENAME"]
    wanted = "$(SITE) $(CODENAME) $(RELEASE) $(ORIGIN) $(COMPONENT)"
    sites: dict[str, list[str]] = {}
    for line in run("apt-get", "indextargets", "--format", wanted, "Created-By: Packages").splitlines():
        site, codename, suite, origin, component = line.split(" ")
        if codename == release and suite in {release, "stable"} and origin in {"Debian", "Ubuntu"}:
            sites.setdefault(site, []).append(component)
    if not sites:
        raise CommandError(f"apt knows no source for {release} of Debian or Ubuntu; run apt-get update, then try again")
    site, components = next(iter(sites.items()))
    return site, release, ",".join(dict.fromkeys(components))
