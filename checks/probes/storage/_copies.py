"""What needs the driver's own classes: other attributes for a volume in use, and snapshots."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from auditor.cluster import Manifest, ObjectError
from auditor.facts.kube import PersistentVolumeClaim
from auditor.facts.kube.snapshot import VolumeSnapshotClass
from auditor.facts.kube.storage import VolumeAttributesClass
from auditor.facts.observations import Cause
from auditor.facts.observations.storage import IGNORED, INFEASIBLE, NO_CLASS, NOT_SERVED
from auditor.facts.parts import Api
from auditor.sandbox import TroubleError
from auditor.sandbox.agent_pods import finished, started
from auditor.sandbox.kinds import VOLUME_SNAPSHOT, VOLUME_SNAPSHOT_CLASS
from auditor.sandbox.scope import Scope

from . import _objects as objects
from ._life import CLAIM, POD, TASK_SECONDS, Life, bound, quietly
from ._steps import Detail, FailedError, NotDoneError

SNAPSHOT_SECONDS = 300.0
"""Clouds copy the bytes to their object store before a snapshot is ready."""

_DEFAULT_SNAPSHOT_CLASS = "snapshot.storage.kubernetes.io/is-default-class"
_TRIED_AT_MOST = 3


def attributes_classes(life: Life, scope: Scope) -> list[str]:
    """The VolumeAttributesClasses of the class's driver.

    Raises:
        NotDoneError: there are none, or the cluster does not serve them.
        ObjectError: they may not be read.
    """
    found = [msgspec.convert(each, VolumeAttributesClass) for each in _listed(life, scope, VolumeAttributesClass.api)]
    names = sorted(each.name for each in found if each.driver_name == life.cls.provisioner)
    if not names:
        raise NotDoneError(NO_CLASS, f"no VolumeAttributesClass is for the driver {life.cls.provisioner}")
    return names


def modify(life: Life, names: Sequence[str], detail: Detail) -> None:
    """Give a mounted volume other attributes, of the first class that the driver takes for it.

    The volume is one of its own: clouds change a volume only so often, and growing counts.
    """
    life.bind({})
    life.mount({})
    life.write({})
    for name in names[:_TRIED_AT_MOST]:
        detail["attributes_class"] = name
        state = _ask_for(life, name)
        detail |= {"state": state or "done", "same_pod": life.is_same_pod()}
        if state != INFEASIBLE:
            return
    message = f"the driver refused {', '.join(names[:_TRIED_AT_MOST])} for a volume of {life.capacity_bytes} bytes"
    raise FailedError(Cause(reason=INFEASIBLE, message=message))


def _ask_for(life: Life, name: str) -> str:
    """Empty once the class is in force; ``Infeasible`` where the driver refuses it.

    Raises:
        FailedError: nothing took the change up.
        TroubleError: it did not come to an end.
    """
    life.sandbox.patch(CLAIM, life.claim_name, {"spec": {"volumeAttributesClassName": name}})

    def look() -> str | None:
        claim = _claim(life)
        status = claim.status.modify_volume_status
        if status and status.status == INFEASIBLE and status.target_volume_attributes_class_name == name:
            return INFEASIBLE
        is_done = claim.status.current_volume_attributes_class_name == name and not (status and status.status)
        return "" if is_done else None

    what = f"VolumeAttributesClass {name} is in force for claim {life.claim_name}"
    try:
        return life.sandbox.wait_for(what, look, seconds=life.longest_seconds, concerning=(CLAIM, life.claim_name))
    except TroubleError as error:
        if _claim(life).status.modify_volume_status is None:
            raise FailedError(Cause(reason=IGNORED, message=f"{what}: nothing has taken it up")) from error
        raise


def _claim(life: Life) -> PersistentVolumeClaim:
    return msgspec.convert(life.sandbox.get(CLAIM, life.claim_name) or {}, PersistentVolumeClaim)


class Copy:
    """A snapshot of a life's volume, and a volume that is made from it.

    Args:
        life: of the volume.
        scope: what is served.
    """

    def __init__(self, life: Life, scope: Scope) -> None:
        self._life = life
        self._scope = scope
        self._snapshot = life.name("snapshot")
        self._claim_name = life.name("restored")
        self._pod_name = life.name("reader")

    def take(self, detail: Detail) -> None:
        """Take a snapshot, and wait until it can be used."""
        snapshot_class = self._class()
        detail["snapshot_class"] = snapshot_class
        sandbox = self._life.sandbox
        version = self._scope.versions[VOLUME_SNAPSHOT.id]
        manifest = objects.snapshot_of(
            sandbox,
            self._snapshot,
            claim_name=self._life.claim_name,
            snapshot_class=snapshot_class,
            version=version,
        )
        sandbox.create(manifest, version=version)
        sandbox.wait_for(
            f"snapshot {self._snapshot} can be used",
            self._is_ready,
            seconds=max(SNAPSHOT_SECONDS, sandbox.settings.patience_seconds),
            concerning=(VOLUME_SNAPSHOT.kind, self._snapshot),
        )

    def restore(self, detail: Detail) -> None:
        """Make a volume from the snapshot, and read it."""
        life = self._life
        claim = objects.claim(
            life.sandbox, life.cls, self._claim_name, size_bytes=life.capacity_bytes, snapshot=self._snapshot
        )
        life.sandbox.create(claim)
        life.sandbox.create(objects.reader(life.sandbox, self._pod_name, self._claim_name))
        bound(life.sandbox, self._claim_name, self._pod_name)
        started(life.sandbox, self._pod_name)
        [said] = finished(life.sandbox, self._pod_name, seconds=TASK_SECONDS)
        life.compare(said, detail)

    def let_go(self) -> None:
        """Remove all of it and wait for nothing."""
        for kind, name in (
            (POD, self._pod_name),
            (CLAIM, self._claim_name),
            (VOLUME_SNAPSHOT.kind, self._snapshot),
        ):
            quietly(lambda k=kind, n=name: self._life.sandbox.delete(k, n))  # type: ignore[misc]

    def _class(self) -> str:
        """The class of snapshots for the driver; the default one where there are several."""
        life = self._life
        if VOLUME_SNAPSHOT.id not in self._scope.versions:
            raise NotDoneError(NOT_SERVED, "the cluster does not serve VolumeSnapshots")
        listed = _listed(life, self._scope, VOLUME_SNAPSHOT_CLASS)
        classes = [msgspec.convert(each, VolumeSnapshotClass) for each in listed]
        own = [each for each in classes if each.driver == life.cls.provisioner]
        if not own:
            raise NotDoneError(NO_CLASS, f"no VolumeSnapshotClass is for the driver {life.cls.provisioner}")
        return min(own, key=_snapshot_class_rank).name

    def _is_ready(self) -> bool | None:
        found = self._life.sandbox.get(VOLUME_SNAPSHOT.kind, self._snapshot) or {}
        return True if found.get("status", {}).get("readyToUse") else None


def _snapshot_class_rank(found: VolumeSnapshotClass) -> tuple[bool, bool, str]:
    """The default first; then those that keep nothing behind; then by name."""
    is_default = found.annotations.get(_DEFAULT_SNAPSHOT_CLASS) == "true"
    return not is_default, found.deletion_policy != "Delete", found.name


def _listed(life: Life, scope: Scope, api: Api) -> Sequence[Manifest]:
    """The cluster's classes of some kind.

    Raises:
        NotDoneError: they are not served.
    """
    version = scope.versions.get(api.id)
    if version is None:
        raise NotDoneError(NOT_SERVED, f"the cluster does not serve {api.plural}.{api.group}")
    try:
        return life.sandbox.objects.list(api, version=version)
    except ObjectError as error:
        if error.status == 404:
            raise NotDoneError(NOT_SERVED, f"the cluster does not serve {api.plural}.{api.group}") from error
        raise
