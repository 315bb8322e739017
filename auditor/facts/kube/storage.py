"""storage.k8s.io: classes, drivers, and the drivers on each node."""

from __future__ import annotations

from typing import ClassVar

from auditor.facts.kube.meta import KubeObject, LabelSelector, View
from auditor.facts.parts import Api

DEFAULT_CLASS_ANNOTATIONS = (
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
)
"""Both are honoured by the API server's admission plugin."""


def _api(kind: str, plural: str, *, versions: tuple[str, ...] = ("v1",), namespaced: bool = False) -> Api:
    return Api(group="storage.k8s.io", versions=versions, plural=plural, kind=kind, namespaced=namespaced)


class TopologyRequirement(View, frozen=True, kw_only=True):
    """One key and its allowed values."""

    key: str
    values: tuple[str, ...] = ()


class TopologyTerm(View, frozen=True, kw_only=True):
    """One alternative of ``allowedTopologies``; its requirements must all hold."""

    match_label_expressions: tuple[TopologyRequirement, ...] | None = None


class StorageClass(KubeObject, frozen=True, kw_only=True):
    """A class of volumes."""

    api: ClassVar[Api] = _api("StorageClass", "storageclasses")
    provisioner: str
    parameters: dict[str, str] | None = None
    reclaim_policy: str | None = None
    volume_binding_mode: str | None = None
    """None means Immediate, the API's default."""
    allow_volume_expansion: bool = False
    mount_options: tuple[str, ...] | None = None
    allowed_topologies: tuple[TopologyTerm, ...] | None = None

    @property
    def is_default(self) -> bool:
        """Whether claims that name no class get this one."""
        return any(self.annotations.get(key) == "true" for key in DEFAULT_CLASS_ANNOTATIONS)

    @property
    def waits_for_consumer(self) -> bool:
        """Whether the volume is made where its first pod is scheduled."""
        return self.volume_binding_mode == "WaitForFirstConsumer"


class CSIDriverSpec(View, frozen=True, kw_only=True):
    """What a CSI driver declares."""

    attach_required: bool | None = None
    fs_group_policy: str | None = None
    """None means ReadWriteOnceWithFSType, the API's default."""
    storage_capacity: bool | None = None
    node_allocatable_update_period_seconds: int | None = None


class CSIDriver(KubeObject, frozen=True, kw_only=True):
    """A CSI driver that is installed in the cluster."""

    api: ClassVar[Api] = _api("CSIDriver", "csidrivers")
    spec: CSIDriverSpec = CSIDriverSpec()


class Allocatable(View, frozen=True, kw_only=True):
    """How many volumes a driver can attach to a node."""

    count: int | None = None
    """None means that the scheduler knows no bound."""


class CSINodeDriver(View, frozen=True, kw_only=True):
    """A CSI driver that runs on a node."""

    name: str
    topology_keys: tuple[str, ...] | None = None
    allocatable: Allocatable | None = None


class CSINodeSpec(View, frozen=True, kw_only=True):
    """The CSI drivers of a node."""

    drivers: tuple[CSINodeDriver, ...] | None = None
    """None (written as null) on a node without any."""


class CSINode(KubeObject, frozen=True, kw_only=True):
    """The CSI drivers that are registered on the node of the same name."""

    api: ClassVar[Api] = _api("CSINode", "csinodes")
    spec: CSINodeSpec = CSINodeSpec()

    @property
    def drivers(self) -> tuple[CSINodeDriver, ...]:
        """The drivers that are registered, none where the field is empty."""
        return self.spec.drivers or ()


class VolumeError(View, frozen=True, kw_only=True):
    """Why attaching or detaching failed."""

    message: str | None = None
    time: str | None = None


class VolumeAttachmentSource(View, frozen=True, kw_only=True):
    """What is attached."""

    persistent_volume_name: str | None = None


class VolumeAttachmentSpec(View, frozen=True, kw_only=True):
    """What is to be attached where."""

    attacher: str
    node_name: str
    source: VolumeAttachmentSource = VolumeAttachmentSource()


class VolumeAttachmentStatus(View, frozen=True, kw_only=True):
    """Whether it is."""

    attached: bool = False
    attach_error: VolumeError | None = None
    detach_error: VolumeError | None = None


class VolumeAttachment(KubeObject, frozen=True, kw_only=True):
    """A volume at a node."""

    api: ClassVar[Api] = _api("VolumeAttachment", "volumeattachments")
    spec: VolumeAttachmentSpec
    status: VolumeAttachmentStatus = VolumeAttachmentStatus()


class VolumeAttributesClass(KubeObject, frozen=True, kw_only=True):
    """Attributes that a volume can be given while it is in use."""

    api: ClassVar[Api] = _api(
        "VolumeAttributesClass", "volumeattributesclasses", versions=("v1", "v1beta1", "v1alpha1")
    )
    driver_name: str
    parameters: dict[str, str] | None = None


class CSIStorageCapacity(KubeObject, frozen=True, kw_only=True):
    """How much room a driver says it has, somewhere."""

    api: ClassVar[Api] = _api("CSIStorageCapacity", "csistoragecapacities", namespaced=True)
    storage_class_name: str = ""
    capacity: str | None = None
    node_topology: LabelSelector | None = None
