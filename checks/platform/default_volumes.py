"""Are volumes more than folders, where the distribution's own default is taken for production?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

from auditor import STATEFUL_WORKLOADS, Facts, Finding, Parameters, Severity, check, threshold
from auditor.facts.kube import StorageClass

from .._provisioners import matches
from .._wording import listed

_FOLDERS = (
    "docker.io/hostpath",
    "k8s.io/minikube-hostpath",
    "microk8s.io/hostpath",
    "openebs.io/local",
    "rancher.io/local-path",
)


class FolderParameters(Parameters, frozen=True, kw_only=True):
    """What a site knows of its provisioners."""

    folder_provisioners: Annotated[
        tuple[str, ...],
        threshold(
            "Globs of further provisioners whose volumes are folders in a node's file system.",
            source="The site's own provisioners; rancher.io/local-path and its like are known.",
        ),
    ] = ()


@check(
    "platform.default-volumes",
    title="Default volumes are not folders on a node's own disk",
    severity=Severity.MEDIUM,
    workloads=STATEFUL_WORKLOADS,
    reads=(StorageClass,),
)
def default_volumes(facts: Facts, params: FolderParameters) -> Iterator[Finding]:
    """The storage that k3s, MicroK8s and kind bring along is made to try things out.

    ## What it checks
    The provisioner of the default StorageClass is none that makes folders in the node's own file system: local-path
    (k3s, kind, Talos guides), MicroK8s' and minikube's hostpath, Docker Desktop's, OpenEBS' hostpath. A class that is
    not the default may be one, for systems that replicate their data themselves.

    ## Why it matters
    The size of a claim is not enforced: one topic or one shuffle that grows fills the disk of the node, the kubelet
    evicts pods, and what else has its folder there stops with it. The folder is reached from this node only, and goes
    when the node is replaced. A system with one copy of its data (Zeppelin's notebooks, Flink's checkpoints, a single
    ZooKeeper) has then lost it, and its pod stays Pending as long as the node is away.

    ## How to fix
    Install a CSI driver for network storage, or for disks of their own (TopoLVM, OpenEBS LVM, Longhorn), and make its
    class the default:

        kubectl annotate storageclass local-path storageclass.kubernetes.io/is-default-class=false --overwrite
        kubectl annotate storageclass NAME storageclass.kubernetes.io/is-default-class=true --overwrite

    k3s sets its class back when it starts; start its servers with `--disable local-storage`.

    ## References
    - [Local Path Provisioner: no capacity limit](https://github.com/rancher/local-path-provisioner#cons)
    - [k3s: volumes and storage](https://docs.k3s.io/add-ons/storage)
    - [MicroK8s: hostpath storage](https://microk8s.io/docs/addon-hostpath-storage)
    - [Strimzi: local storage](https://strimzi.io/docs/operators/latest/deploying#considerations-for-data-storage-str)
    """
    classes = sorted(facts.list(StorageClass), key=lambda cls: cls.name)
    defaults = [cls for cls in classes if cls.is_default]
    folders = [cls for cls in defaults if matches(cls.provisioner, (*_FOLDERS, *params.folder_provisioners))]
    names = [cls.name for cls in classes]
    if not defaults:
        yield Finding.skip(f"There is no default StorageClass to judge ({listed(names) if names else 'none at all'}).")
    elif folders:
        yield _folders(folders)
    else:
        yield Finding.ok(
            f"Volumes of the default {_described(defaults)} are no folders of nodes.",
            subjects=[cls.subject for cls in defaults],
        )


def _folders(folders: Sequence[StorageClass]) -> Finding:
    return Finding.warn(
        f"Volumes of the default {_described(folders)} ({listed(sorted({cls.provisioner for cls in folders}))}) are "
        "folders on a node's own disk, without a size that is enforced and gone with the node; a class with volumes of "
        "their own was expected.",
        subjects=[cls.subject for cls in folders],
        fix="Make a class of network storage, or of disks of their own, the default.",
        evidence={cls.name: {"provisioner": cls.provisioner} for cls in folders},
    )


def _described(classes: Sequence[StorageClass]) -> str:
    return f"{'StorageClass' if len(classes) == 1 else 'StorageClasses'} {listed([cls.name for cls in classes])}"
