"""The manifest: what is written is read, what is not understood is refused by name."""

from datetime import UTC, datetime

import pytest

from auditor.bundle.manifest import FileEntry, Manifest, ResourceEntry, decode_manifest, encode_manifest
from auditor.errors import BundleError, BundleFormatError
from auditor.facts.parts import PartState
from auditor.model import Tool

WHOLE = Manifest(
    tool=Tool(name="auditor", version="1.2.3"),
    name="prod",
    description="before the upgrade",
    started_at=datetime(2024, 6, 1, 12, tzinfo=UTC),
    finished_at=datetime(2024, 6, 1, 12, 3, tzinfo=UTC),
    server_version="v1.30.1",
    resources=(
        ResourceEntry(group="core", version="v1", plural="nodes", status=PartState.OK, count=3, sha256="ab" * 32),
        ResourceEntry(
            group="core",
            version="v1",
            plural="configmaps",
            object="kube-system/coredns",
            status=PartState.FORBIDDEN,
            reason="no",
            http_status=403,
            tries=2,
        ),
    ),
    files=(FileEntry(path="raw/readyz.txt", status=PartState.FAILED, reason="timed out"),),
)


def test_it_comes_back_as_it_was_written() -> None:
    assert decode_manifest(encode_manifest(WHOLE)) == WHOLE


def test_fields_of_a_later_minor_version_are_ignored() -> None:
    text = encode_manifest(WHOLE).replace(b'"version": 1,', b'"version": 1, "color": "blue",', 1)

    assert decode_manifest(text) == WHOLE


@pytest.mark.parametrize("version", [0, 2, 99])
def test_an_unknown_format_names_the_known_ones(version: int) -> None:
    with pytest.raises(BundleFormatError, match=f"declares bundle format {version}") as caught:
        decode_manifest(b'{"version":%d,"resources":"of another shape"}' % version)
    assert "reads format 1" in caught.value.cause


@pytest.mark.parametrize(
    ("data", "place"),
    [
        (b"", "truncated"),
        (b"{", "truncated"),
        (b"\xff\xfe{", "utf-8"),
        (b'{"version":1,"tool":{"name":"\xff","version":"1"}}', "utf-8"),
        (b'{"version":1,"tool":{"name":"a","version":"1"},"later":"\xff"}', "utf-8"),
        (b"[]", "Expected `object`"),
        (b"{}", "required field `version`"),
        (b'{"version":"1"}', r"\$\.version"),
        (b'{"version":1,"tool":{"name":"a","version":"1"},"resources":{}}', r"\$\.resources"),
        (
            b'{"version":1,"tool":{"name":"a","version":"1"},"files":[{"path":"raw/x","status":"lost"}]}',
            r"\$\.files\[0\]\.status",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place(data: bytes, place: str) -> None:
    with pytest.raises(BundleError, match=f"prod/manifest.json is not a bundle's manifest: .*{place}") as caught:
        decode_manifest(data, file="prod/manifest.json")
    assert caught.value.next_step
