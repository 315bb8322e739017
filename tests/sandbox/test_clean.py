"""What is removed of a run, what is not touched, and what is told of that which stays."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any, cast

import pytest

from auditor.cluster import Manifest, ObjectError, Objects, RequestError
from auditor.facts.kube import Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod, StatefulSet
from auditor.facts.parts import Api
from auditor.sandbox import clean, labels, traces
from auditor.sandbox.clean import Removal, remove_run
from auditor.sandbox.kinds import KINDS, PRIORITY_CLASS, VOLUME_SNAPSHOT, VOLUME_SNAPSHOT_CONTENT
from auditor.sandbox.runs import find_runs

RUN = "0123456789"
OTHER = "9876543210"
OWN = f"auditor-{RUN}"
BORN = "2026-01-01T12:00:00Z"
MADE = {traces.PROVISIONED_BY: "ebs.csi.aws.com"}


class FakeObjects:
    """The objects of a cluster whose controllers do what they should, unless a test says otherwise.

    A namespace takes its objects with it, and a provisioner removes the volumes of claims that are gone, if their
    policy is Delete.
    """

    def __init__(self, *manifests: tuple[Api, Manifest]) -> None:
        self.held: dict[tuple[str, str, str], tuple[Api, Manifest]] = {}
        self.deleted: list[str] = []
        self.patched: list[tuple[str, Manifest]] = []
        self.refused: dict[tuple[str, str], ObjectError] = {}
        self.sticky: set[str] = set()
        self.listed_everywhere: list[str] = []
        self.server = SimpleNamespace(open=self._no_discovery)
        for api, manifest in manifests:
            self.add(api, manifest)

    def add(self, api: Api, manifest: Manifest) -> None:
        self.held[self._key(api, manifest)] = (api, manifest)

    def names(self) -> set[str]:
        return {f"{api.kind} {manifest['metadata']['name']}" for api, manifest in self.held.values()}

    def list(self, api: Api, *, namespace: str | None = None, labels: str = "", **_: object) -> list[Manifest]:
        if namespace is None and api.namespaced:
            self.listed_everywhere.append(api.kind)
        self._check("list", api, namespace)
        return [
            manifest
            for each, manifest in self.held.values()
            if each == api
            and namespace in (None, manifest["metadata"].get("namespace"))
            and _selects(labels, manifest["metadata"].get("labels") or {})
        ]

    def get(self, api: Api, name: str, *, namespace: str | None = None) -> Manifest | None:
        self._check("get", api, namespace)
        found = self.held.get((api.kind, namespace or "", name))
        return found[1] if found else None

    def patch(self, api: Api, name: str, change: Manifest, **_: object) -> Manifest:
        self._check("patch", api, None)
        self.patched.append((f"{api.kind} {name}", change))
        manifest = self.held[(api.kind, "", name)][1]
        manifest["spec"] = {**manifest.get("spec", {}), **change.get("spec", {})}
        if "metadata" in change:
            manifest["metadata"]["labels"] = change["metadata"]["labels"]
        self._reconcile()
        return manifest

    def delete(
        self, api: Api, name: str, *, namespace: str | None = None, grace_seconds: int | None = None, uid: str = ""
    ) -> bool:
        self._check("delete", api, namespace)
        self.deleted.append(f"{api.kind} {name}" + ("" if grace_seconds is None else f" {grace_seconds}"))
        found = self.held.get((api.kind, namespace or "", name))
        assert found is None or found[1]["metadata"]["uid"] == uid
        if found and (f"{api.kind} {name}" not in self.sticky or grace_seconds == 0):
            self._remove(*found)
        elif found:
            found[1]["metadata"]["deletionTimestamp"] = BORN
        self._reconcile()
        return found is not None

    def _remove(self, api: Api, manifest: Manifest) -> None:
        del self.held[self._key(api, manifest)]
        if api == Namespace.api:
            for each, inner in list(self.held.values()):
                if inner["metadata"].get("namespace") == manifest["metadata"]["name"]:
                    self._remove(each, inner)

    def _reconcile(self) -> None:
        claims = {manifest["metadata"]["uid"] for api, manifest in self.held.values() if api in traces.CLAIMS}
        for api, manifest in list(self.held.values()):
            policy = manifest.get("spec", {}).get("persistentVolumeReclaimPolicy")
            name = f"{api.kind} {manifest['metadata']['name']}"
            is_free = api == PersistentVolume.api and manifest["spec"]["claimRef"]["uid"] not in claims
            if is_free and policy == "Delete" and name not in self.sticky:
                self._remove(api, manifest)

    def _check(self, verb: str, api: Api, namespace: str | None) -> None:
        for key in ((verb, api.kind), (f"{verb} in {namespace or 'all'}", api.kind)):
            if key in self.refused:
                raise self.refused[key]

    @staticmethod
    def _key(api: Api, manifest: Manifest) -> tuple[str, str, str]:
        return api.kind, manifest["metadata"].get("namespace", ""), manifest["metadata"]["name"]

    @staticmethod
    def _no_discovery(*_: object, **__: object) -> None:
        raise RequestError(404, "an older server")


def _selects(selector: str, found: dict[str, str]) -> bool:
    wanted = dict(each.partition("=")[::2] for each in selector.split(",") if each)
    return all(key in found and value in ("", found[key]) for key, value in wanted.items())


def forbidden(verb: str, resource: str) -> ObjectError:
    reason = f'{resource} is forbidden: User "u" cannot {verb} resource "{resource}"'
    return ObjectError(RequestError(403, reason), verb=verb, resource=resource, namespace=None)


def thing(api: Api, name: str, *, run: str | None = RUN, namespace: str | None = None, **parts: Any) -> tuple[Api, Any]:
    """An object, marked as a run's."""
    place = (namespace or f"auditor-{run}") if api.namespaced else None
    metadata: Manifest = {
        "name": name,
        "uid": f"{api.kind}-{place}-{name}",
        "creationTimestamp": BORN,
        "annotations": parts.pop("annotations", {}),
        **parts.pop("metadata", {}),
    }
    if run:
        metadata["labels"] = {labels.MANAGED_BY: labels.MANAGER, labels.RUN: run, labels.EXPIRES: "1767272400"}
    if place:
        metadata["namespace"] = place
    return api, {"kind": api.kind, "metadata": metadata, **parts}


def own_namespace(run: str = RUN) -> tuple[Api, Any]:
    return thing(Namespace.api, f"auditor-{run}", run=run)


def claim(name: str, *, run: str | None = RUN, volume: str = "", namespace: str = OWN) -> tuple[Api, Any]:
    spec = {"volumeName": volume} if volume else {}
    return thing(PersistentVolumeClaim.api, name, run=run, namespace=namespace, spec=spec, status={"phase": "Bound"})


def volume(
    name: str, of: str, *, namespace: str = OWN, policy: str = "Delete", made: bool = True, **parts: Any
) -> tuple[Api, Any]:
    """A volume, which carries no marks, of a claim."""
    reference = {"namespace": namespace, "name": of, "uid": f"PersistentVolumeClaim-{namespace}-{of}"}
    spec = {"persistentVolumeReclaimPolicy": policy, "claimRef": reference, "csi": {"driver": "ebs.csi.aws.com"}}
    annotations = MADE if made else {traces.PROVISIONED_BY: "local-volume", traces.BOUND_BY_CONTROLLER: "yes"}
    return thing(PersistentVolume.api, name, run=None, spec=spec, annotations=annotations, **parts)


def removed(objects: FakeObjects, run: str = RUN, **options: Any) -> Removal:
    return remove_run(cast("Objects", objects), run, **{"seconds": 0.2, "pause": lambda _: None, **options})


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clean, "_SETTLE_SECONDS", 0.0)
    monkeypatch.setattr(traces, "Objects", lambda *_, **__: None)


class TestWhatIsRemoved:
    def test_the_namespace_with_all_in_it_and_what_has_none(self) -> None:
        objects = FakeObjects(own_namespace(), thing(KINDS["ConfigMap"], "a"), thing(PRIORITY_CLASS, "b"))

        removal = removed(objects)

        assert objects.names() == set()
        assert removal.removed == {"ConfigMap": 1, "Namespace": 1, "PriorityClass": 1}
        assert (removal.left, removal.unseen) == ((), {})
        assert "ConfigMap a" not in objects.deleted  # it goes with its namespace

    def test_nothing_of_other_runs_nor_of_anybody_else(self) -> None:
        others = [
            own_namespace(OTHER),
            thing(PRIORITY_CLASS, "theirs", run=OTHER),
            volume("their-volume", "data", namespace=f"auditor-{OTHER}", policy="Retain"),
            thing(Namespace.api, "production", run=None),
            claim("data", run=None, namespace="production", volume="disk"),
            volume("disk", "data", namespace="production", policy="Retain"),
            thing(PRIORITY_CLASS, "system", run=None),
        ]
        objects = FakeObjects(own_namespace(), *others)

        removed(objects)

        assert objects.names() == {f"{api.kind} {manifest['metadata']['name']}" for api, manifest in others}
        assert objects.patched == []

    def test_in_a_given_namespace_only_what_is_ours(self) -> None:
        objects = FakeObjects(
            thing(Namespace.api, "data", run=None),
            thing(Pod.api, "theirs", run=None, namespace="data"),
            thing(Pod.api, "ours", namespace="data"),
            thing(KINDS["ConfigMap"], "ours", namespace="data"),
        )

        removal = removed(objects, namespace="data")

        assert objects.names() == {"Namespace data", "Pod theirs"}
        assert removal.removed == {"ConfigMap": 1, "Pod": 1}
        assert not objects.listed_everywhere

    def test_a_namespace_that_is_only_called_like_ours_stays(self) -> None:
        objects = FakeObjects(thing(Namespace.api, OWN, run=None), thing(PRIORITY_CLASS, "b"))

        removed(objects)

        assert objects.names() == {f"Namespace {OWN}"}

    def test_a_marked_namespace_of_another_name_stays(self) -> None:
        """A site may have copied labels; a namespace is too much to lose."""
        objects = FakeObjects(thing(Namespace.api, "production"))

        removed(objects)

        assert objects.names() == {"Namespace production"}

    def test_pods_go_quickly_and_before_their_makers_would_let_them_take_their_time(self) -> None:
        objects = FakeObjects(
            thing(Pod.api, "set-0", namespace="data"), thing(StatefulSet.api, "set", namespace="data")
        )

        removed(objects, namespace="data")

        assert objects.deleted == ["Pod set-0 1", "StatefulSet set"]

    def test_claims_of_a_set_that_carry_no_marks(self) -> None:
        templates = {"volumeClaimTemplates": [{"metadata": {"name": "data"}}]}
        objects = FakeObjects(
            thing(StatefulSet.api, f"set-{RUN}", namespace="data", spec=templates),
            claim(f"data-set-{RUN}-0", run=None, namespace="data"),
            claim(f"data-set-{RUN}-x", run=None, namespace="data"),
            claim("data-other-0", run=None, namespace="data"),
        )

        removed(objects, namespace="data")

        assert objects.names() == {f"PersistentVolumeClaim data-set-{RUN}-x", "PersistentVolumeClaim data-other-0"}

    def test_a_claim_that_a_pod_owns(self) -> None:
        owned = claim("pod-scratch", run=None, namespace="data")
        owned[1]["metadata"]["ownerReferences"] = [{"uid": "Pod-data-pod"}]
        objects = FakeObjects(thing(Pod.api, "pod", namespace="data"), owned)

        removed(objects, namespace="data")

        assert objects.names() == set()

    def test_a_dry_run_counts_and_removes_nothing(self) -> None:
        objects = FakeObjects(own_namespace(), claim("data", volume="disk"), volume("disk", "data", policy="Retain"))

        removal = removed(objects, dry_run=True)

        assert removal.removed == {"Namespace": 1, "PersistentVolume": 1, "PersistentVolumeClaim": 1}
        assert (objects.deleted, objects.patched) == ([], [])


class TestVolumes:
    def test_that_would_be_kept_go_with_their_claims(self) -> None:
        objects = FakeObjects(own_namespace(), claim("data", volume="disk"), volume("disk", "data", policy="Retain"))

        removal = removed(objects)

        assert objects.names() == set()
        assert removal.removed["PersistentVolume"] == 1
        assert "PersistentVolume disk" not in objects.deleted  # its provisioner does that, when the disk is gone
        [(_, change)] = objects.patched
        assert change["spec"] == {"persistentVolumeReclaimPolicy": "Delete"}
        assert change["metadata"]["uid"] == "PersistentVolume-None-disk"
        assert change["metadata"]["labels"][labels.RUN] == RUN

    @pytest.mark.parametrize(
        ("namespace", "name"), [(OWN, "data"), ("data", f"data-{RUN}"), ("data", f"data-set-{RUN}-0")]
    )
    def test_of_claims_that_are_gone_already(self, namespace: str, name: str) -> None:
        objects = FakeObjects(volume("disk", name, namespace=namespace, policy="Retain"))

        removal = removed(objects)

        assert (objects.names(), removal.removed) == (set(), {"PersistentVolume": 1})

    def test_that_somebody_made_before_are_given_back_and_not_touched(self) -> None:
        objects = FakeObjects(
            own_namespace(),
            claim("data", volume="disk"),
            volume("disk", "data", policy="Retain", made=False, status={"phase": "Released"}),
        )

        removal = removed(objects)

        assert objects.names() == {"PersistentVolume disk"}
        assert objects.patched == []
        [left] = removal.left
        assert (left.is_kept, left.missing_permission) == (True, "")
        assert "was there before the run" in left.reason
        assert "/spec/claimRef" in left.command
        assert "PersistentVolume" not in removal.removed

    def test_that_the_driver_does_not_remove_are_told_with_its_words(self) -> None:
        status = {"phase": "Failed", "message": "rpc error: code = Internal desc = UnauthorizedOperation"}
        objects = FakeObjects(own_namespace(), claim("data", volume="disk"), volume("disk", "data", status=status))
        objects.sticky.add("PersistentVolume disk")

        [left] = removed(objects).left

        assert left.reason.startswith("ebs.csi.aws.com did not remove it: rpc error")
        assert left.command == f"auditor clean --run {RUN}"

    def test_that_are_attached_to_a_lost_node_say_so(self) -> None:
        attachment = Api(
            group="storage.k8s.io",
            versions=("v1",),
            plural="volumeattachments",
            kind="VolumeAttachment",
            namespaced=False,
        )
        spec = {"nodeName": "n3", "source": {"persistentVolumeName": "disk"}}
        objects = FakeObjects(volume("disk", "data"), thing(attachment, "csi-1", run=None, spec=spec))
        objects.sticky.add("PersistentVolume disk")

        [left] = removed(objects).left

        assert "attached to node n3" in left.reason

    def test_that_appear_late_are_waited_for(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A driver was making a volume when its claim was removed."""
        monkeypatch.setattr(clean, "_SETTLE_SECONDS", 0.05)
        objects = FakeObjects(own_namespace(), claim("data"))
        pauses: list[float] = []

        def pause(seconds: float) -> None:
            pauses.append(seconds)
            time.sleep(0.03)
            if len(pauses) == 1:
                objects.add(*volume("disk", "data", policy="Retain"))

        removal = removed(objects, pause=pause, seconds=5)

        assert (objects.names(), removal.removed["PersistentVolume"]) == (set(), 1)


class TestSnapshots:
    @staticmethod
    def content(source: str = "volumeHandle") -> tuple[Api, Any]:
        reference = {"namespace": OWN, "name": "s", "uid": f"VolumeSnapshot-{OWN}-s"}
        spec = {"deletionPolicy": "Retain", "source": {source: "x"}, "volumeSnapshotRef": reference}
        return thing(VOLUME_SNAPSHOT_CONTENT, "content", run=None, spec=spec)

    def test_that_would_be_kept_are_removed_when_nothing_asks_for_them_any_more(self) -> None:
        objects = FakeObjects(own_namespace(), thing(VOLUME_SNAPSHOT, "s", run=None, namespace=OWN), self.content())

        removal = removed(objects)

        assert objects.names() == set()
        assert objects.patched[0][1]["spec"] == {"deletionPolicy": "Delete"}
        assert removal.removed == {"Namespace": 1, "VolumeSnapshot": 1, "VolumeSnapshotContent": 1}

    def test_that_somebody_took_before_are_kept(self) -> None:
        objects = FakeObjects(own_namespace(), self.content("snapshotHandle"))

        [left] = removed(objects).left

        assert (objects.patched, left.is_kept) == ([], True)


class TestWhatStays:
    def test_a_namespace_tells_what_it_waits_for(self) -> None:
        said = "Discovery failed for some groups, 1 failing: metrics.k8s.io/v1beta1: stale GroupVersion discovery"
        conditions = [
            {"type": "NamespaceContentRemaining", "status": "False", "message": "All content removed"},
            {"type": "NamespaceDeletionDiscoveryFailure", "status": "True", "message": said},
        ]
        namespace = own_namespace()
        namespace[1]["status"] = {"conditions": conditions}
        objects = FakeObjects(namespace)
        objects.sticky.add(f"Namespace {OWN}")

        removal = removed(objects)

        assert [(each.kind, each.reason) for each in removal.left] == [("Namespace", said)]
        assert removal.removed == {}

    def test_a_finalizer_is_named_and_not_removed(self) -> None:
        objects = FakeObjects(thing(KINDS["Service"], "lb", metadata={"finalizers": ["service.kubernetes.io/lb"]}))
        objects.sticky.add("Service lb")

        [left] = removed(objects).left

        assert left.reason.endswith("and waits for service.kubernetes.io/lb")
        assert objects.patched == []

    def test_what_the_account_may_not_remove_is_not_waited_for(self) -> None:
        objects = FakeObjects(thing(PRIORITY_CLASS, "low"))
        objects.refused["delete", "PriorityClass"] = forbidden("delete", "priorityclasses")
        started = time.monotonic()

        [left] = removed(objects, seconds=60).left

        assert time.monotonic() - started < 10
        assert left.missing_permission == "delete priorityclasses"
        assert left.command == "kubectl delete priorityclasses.scheduling.k8s.io low"

    def test_a_volume_that_the_account_may_not_change_is_told(self) -> None:
        objects = FakeObjects(own_namespace(), claim("data", volume="disk"), volume("disk", "data", policy="Retain"))
        objects.refused["patch", "PersistentVolume"] = forbidden("patch", "persistentvolumes")

        [left] = removed(objects, seconds=60).left

        assert (left.name, left.missing_permission) == ("disk", "patch persistentvolumes")

    def test_what_may_not_be_listed_is_told(self) -> None:
        objects = FakeObjects(own_namespace())
        objects.refused["list", "PersistentVolume"] = forbidden("list", "persistentvolumes")

        removal = removed(objects)

        assert removal.unseen == {"persistentvolumes": "the account may not list persistentvolumes"}

    def test_an_account_of_its_namespace_sees_what_it_needs(self) -> None:
        objects = FakeObjects(own_namespace(), thing(Pod.api, "p"))
        objects.refused["list in all", "Pod"] = forbidden("list", "pods")

        removal = removed(objects)

        assert (objects.names(), removal.unseen, removal.removed["Pod"]) == (set(), {}, 1)

    def test_an_account_that_may_list_namespaces_and_not_get_them(self) -> None:
        objects = FakeObjects(own_namespace())
        objects.refused["get", "Namespace"] = forbidden("get", "namespaces")

        removal = removed(objects)

        assert (objects.names(), removal.unseen) == (set(), {})

    def test_kinds_outside_of_a_given_namespace_do_not_matter_but_volumes_do(self) -> None:
        objects = FakeObjects(thing(Pod.api, "p", namespace="data"))
        for kind in ("PriorityClass", "PersistentVolume"):
            objects.refused["list", kind] = forbidden("list", KINDS[kind].plural)

        assert set(removed(objects, namespace="data").unseen) == {"persistentvolumes"}

    def test_an_api_server_that_fails_raises_nothing(self) -> None:
        objects = FakeObjects(own_namespace(), thing(Pod.api, "p"))
        broken = ObjectError(RequestError(503, "no etcd"), verb="list", resource="pods", namespace=None)
        objects.refused |= {(verb, kind): broken for verb in ("list", "get", "delete") for kind in KINDS}

        removal = removed(objects)

        assert "pods" in removal.unseen
        assert "503" in removal.unseen["pods"]


class TestPodsOfLostNodes:
    @staticmethod
    def cluster(ready: str) -> FakeObjects:
        node = thing(Node.api, "n3", run=None, status={"conditions": [{"type": "Ready", "status": ready}]})
        objects = FakeObjects(thing(Pod.api, "p", spec={"nodeName": "n3"}), node)
        objects.sticky.add("Pod p")
        return objects

    def test_are_removed_without_the_kubelet_after_a_while(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(clean, "_FORCE_AFTER_SECONDS", 0.0)
        objects = self.cluster("Unknown")

        removal = removed(objects)

        assert objects.deleted[-1] == "Pod p 0"
        assert removal.left == ()
        assert "removed without its node n3" in removal.notes[0]

    def test_are_waited_for_first(self) -> None:
        objects = self.cluster("Unknown")

        [left] = removed(objects).left

        assert "Pod p 0" not in objects.deleted
        assert left.reason.startswith("its node n3 is not ready")
        assert left.command.endswith("--grace-period=0 --force")

    @pytest.mark.parametrize("kubelet", ["lives", "cannot be asked about"])
    def test_of_others_are_never_forced(self, monkeypatch: pytest.MonkeyPatch, kubelet: str) -> None:
        monkeypatch.setattr(clean, "_FORCE_AFTER_SECONDS", 0.0)
        objects = self.cluster("True")
        if kubelet != "lives":
            objects.refused["get", "Node"] = forbidden("get", "nodes")

        removal = removed(objects)

        assert "Pod p 0" not in objects.deleted
        assert len(removal.left) == 1


class TestFinding:
    def test_runs_are_told_apart_with_age_and_expiry(self) -> None:
        objects = FakeObjects(
            own_namespace(),
            thing(Pod.api, "p"),
            claim("data", volume="disk"),
            volume("disk", "data"),
            own_namespace(OTHER),
            thing(Namespace.api, "production", run=None),
            volume("theirs", "data", namespace="production"),
        )

        found, unseen = find_runs(cast("Objects", objects))

        assert unseen == {}
        by_id = {run.run_id: run for run in found}
        assert set(by_id) == {RUN, OTHER}
        assert by_id[RUN].objects == {"Namespace": 1, "PersistentVolume": 1, "PersistentVolumeClaim": 1, "Pod": 1}
        assert by_id[RUN].namespaces == (OWN,)
        expiry = by_id[RUN].expires_at
        assert expiry is not None
        assert by_id[RUN].is_expired(expiry)
        assert not by_id[RUN].is_expired(by_id[RUN].began_at)

    def test_a_volume_that_is_all_that_is_left(self) -> None:
        objects = FakeObjects(volume("disk", "data", policy="Retain"))

        [run], _ = find_runs(cast("Objects", objects))

        assert (run.run_id, run.expires_at, run.is_expired(run.began_at)) == (RUN, None, True)

    @pytest.mark.parametrize(
        "objects",
        [
            FakeObjects(volume("disk", "data", namespace="auditor-of-finance")),
            FakeObjects(volume("disk", "data"), thing(Namespace.api, OWN, run=None)),
            FakeObjects(volume("disk", "data", made=False)),
        ],
        ids=["another name", "a namespace that is not ours", "a volume of the site"],
    )
    def test_volumes_of_others_are_none(self, objects: FakeObjects) -> None:
        assert find_runs(cast("Objects", objects)) == ([], {})

    def test_a_label_that_was_damaged_never_expires(self) -> None:
        broken = thing(Pod.api, "p")
        broken[1]["metadata"]["labels"][labels.EXPIRES] = "soon"

        [run], _ = find_runs(cast("Objects", FakeObjects(broken)))

        assert run.expires_at is None
        assert not run.is_expired(run.began_at)


def test_what_became_of_a_run_as_a_document() -> None:
    objects = FakeObjects(
        own_namespace(), claim("data", volume="disk"), volume("disk", "data", status={"phase": "Released"})
    )
    objects.sticky.add("PersistentVolume disk")

    seen = removed(objects).observations(RUN, namespace=OWN)

    assert (seen.run_id, seen.namespace, seen.removed) == (RUN, OWN, {"Namespace": 1, "PersistentVolumeClaim": 1})
    assert seen.left[0].name == "disk"
    assert seen.took_seconds > 0


def test_nothing_is_done_where_there_is_nothing() -> None:
    objects = FakeObjects()

    assert removed(objects, seconds=60).removed == {}
    assert (objects.deleted, objects.patched) == ([], [])
