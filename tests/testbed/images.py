"""Images of the test bed, built with buildah from Dockerfiles and imported into every node's containerd."""

from __future__ import annotations

import fcntl
import hashlib
import inspect
import os
import shutil
import sys
import time
import tomllib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.testbed import image_inputs
from tests.testbed.binaries import binary
from tests.testbed.layout import CACHE, REPOSITORY, SOURCES, NodeLayout
from tests.testbed.shell import run

REGISTRY = "localhost/auditor-testbed"
BUSYBOX = f"{REGISTRY}/busybox:1"
PAUSE = f"{REGISTRY}/pause:1"

KEPT_ARCHIVES = 3
"""Archives kept per image name, so that a change and its undoing build once."""

_DEPLOY = REPOSITORY / "deploy" / "images"
_OWN = SOURCES / "dockerfiles"


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image that the test bed builds.

    Attributes:
        name: what pods ask for.
        dockerfile: how it is built.
        files: the build context: file name to source.
        arguments: values for the Dockerfile's ARGs.
        bases: images that the Dockerfile builds on, by the ARG that names them.
        prepare: adds to the build context what is made on the spot; it reads nothing but the context, so that what
            it depends on counts for the cache.
    """

    name: str
    dockerfile: Path
    files: dict[str, Path] = field(default_factory=dict)
    arguments: dict[str, str] = field(default_factory=dict)
    bases: dict[str, Image] = field(default_factory=dict)
    prepare: Callable[[Path], None] | None = None

    @property
    def archive(self) -> Path:
        """Where the built image is cached, as a docker-archive; the name tells what it is built from."""
        return CACHE / "images" / f"{self.label}-{self._fingerprint()}.tar"

    @property
    def label(self) -> str:
        """The last part of its name, fit for a file name."""
        return self.name.rpartition("/")[2].replace(":", "-")

    def _fingerprint(self) -> str:
        bases = {argument: base.archive.name for argument, base in self.bases.items()}
        digest = hashlib.sha256(repr((self.name, self.arguments, bases)).encode())
        digest.update(self.dockerfile.read_bytes())
        if self.prepare:
            digest.update(inspect.getsource(self.prepare).encode())
        for name, source in sorted(self.files.items()):
            digest.update(f"{name} {source.stat().st_mode:o}".encode())
            with source.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
        return digest.hexdigest()[:16]


def system_images() -> list[Image]:
    """What the cluster itself runs on."""
    return [_shell(BUSYBOX), _shell(PAUSE), *map(_of_binary, ("coredns", "local-path-provisioner", "metrics-server"))]


def agent() -> Image:
    """auditor itself and the tools that it runs inside a cluster."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    sources = ("pyproject.toml", "README.md", "LICENSE", "auditor", "checks", "benchmarks", "reports", "examples")
    return Image(
        name=f"{REGISTRY}/agent:{project['version']}",
        dockerfile=_DEPLOY / "agent" / "Dockerfile",
        files=_files(REPOSITORY, *sources),
        bases={"BASE": _root()},
    )


def kafka() -> Image:
    """Kafka with the entry contract of apache/kafka."""
    folder = _DEPLOY / "test" / "kafka"
    return Image(
        name=f"{REGISTRY}/kafka:4.1.1",
        dockerfile=folder / "Dockerfile",
        files=_files(folder),
        bases={"JAVA": _java()},
        prepare=image_inputs.fetch_jars,
    )


def spark() -> Image:
    """Spark with the entry contract of apache/spark."""
    folder = _DEPLOY / "test" / "spark"
    return Image(
        name=f"{REGISTRY}/spark:4.1.1",
        dockerfile=folder / "Dockerfile",
        files=_files(folder),
        bases={"JAVA": _java(), "PYTHON": _root()},
    )


def provide(nodes: Iterable[NodeLayout], image: Image) -> str:
    """Build an image if need be, give it to nodes that do not have it, and return its name."""
    archive = build(image)
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda node: _import(node, image.label, archive), nodes))
    return image.name


def build(image: Image) -> Path:
    """Build an image unless it is cached, and return its archive; safe to call from several threads and processes."""
    archive = image.archive
    with _locked(archive.with_suffix(".lock")):
        if archive.exists():
            os.utime(archive)
            return archive
        bases = {argument: (base, build(base)) for argument, base in image.bases.items()}
        _say(f"building image {image.name} …")
        started = time.monotonic()
        scratch = archive.with_suffix(".scratch")
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        try:
            _build(image, bases, scratch).rename(archive)
        finally:
            shutil.rmtree(scratch)
    _forget_older(image)
    _say(f"built {image.name} in {time.monotonic() - started:.0f} s, {archive.stat().st_size / 1e6:.0f} MB")
    return archive


def import_into(node: NodeLayout, image: Image) -> None:
    """Give an image to a node's containerd, unless it got this very one before."""
    _import(node, image.label, build(image))


def _import(node: NodeLayout, label: str, archive: Path) -> None:
    mark = node.folder / "images" / label
    with _locked(mark.with_suffix(".lock")):
        if mark.exists() and mark.read_text() == archive.name:
            return
        run("ctr", "--address", node.containerd_socket, "--namespace", "k8s.io", "images", "import", archive)
        mark.write_text(archive.name)


def _build(image: Image, bases: dict[str, tuple[Image, Path]], scratch: Path) -> Path:
    context = scratch / "context"
    context.mkdir()
    for name, source in image.files.items():
        (context / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, context / name)
    if image.prepare:
        image.prepare(context)
    storage: list[str | Path] = [
        "--root",
        scratch / "root",
        "--runroot",
        scratch / "run",
        "--storage-driver",
        _storage_driver(scratch),
    ]
    # In a mount namespace of its own, so that a killed build leaves no mount behind.
    buildah = ["unshare", "--mount", "buildah", *storage]
    options = ["--isolation", "chroot", "--network", "host", "--pull-never", "--layers=false"]
    for argument, (base, archive) in bases.items():
        run(*buildah, "pull", f"docker-archive:{archive}")
        options += ["--build-arg", f"{argument}={base.name}"]
    for argument, value in image.arguments.items():
        options += ["--build-arg", f"{argument}={value}"]
    for name, path in image_inputs.write_pip_secrets(scratch).items():
        options += ["--secret", f"id={name},src={path}"]
    run(*buildah, "bud", *options, "--file", image.dockerfile, "--tag", image.name, context)
    run(*buildah, "push", image.name, f"docker-archive:{scratch / 'image.tar'}:{image.name}")
    return scratch / "image.tar"


def _storage_driver(folder: Path) -> str:
    """Overlay where it can be had: it is not stacked on itself, as inside a container."""
    return "vfs" if run("stat", "--file-system", "--format=%T", folder).strip() == "overlayfs" else "overlay"


def _forget_older(image: Image) -> None:
    archives = image.archive.parent.glob(f"{image.label}-{'?' * 16}.tar")
    for archive in sorted(archives, key=lambda path: path.stat().st_mtime, reverse=True)[KEPT_ARCHIVES:]:
        archive.unlink(missing_ok=True)


def _shell(name: str) -> Image:
    return Image(
        name=name,
        dockerfile=_OWN / "busybox.Dockerfile",
        files={"busybox": Path("/bin/busybox"), "wait.sh": _OWN / "wait.sh"},
    )


def _of_binary(name: str, version: str = "1") -> Image:
    return Image(
        name=f"{REGISTRY}/{name}:{version}",
        dockerfile=_OWN / "binary.Dockerfile",
        files={name: binary(name)},
        arguments={"NAME": name},
    )


def _root() -> Image:
    return Image(
        name=f"{REGISTRY}/root:1",
        dockerfile=_OWN / "root.Dockerfile",
        files={"root.packages": _OWN / "root.packages"},
        prepare=image_inputs.make_root_file_system,
    )


def _java() -> Image:
    return Image(
        name=f"{REGISTRY}/java:1",
        dockerfile=_DEPLOY / "test" / "java" / "Dockerfile",
        bases={"BASE": _root()},
    )


def _files(folder: Path, *paths: str) -> dict[str, Path]:
    """The files below a folder, or below some paths in it, that git tracks or would track."""
    listed = run("git", "-C", folder, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *paths)
    return {name: folder / name for name in listed.split("\0") if name and (folder / name).is_file()}


def _say(what: str) -> None:
    print(f"testbed: {what}", file=sys.stderr, flush=True)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock file: one holder at a time, over threads and processes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
