"""Do large things pass between nodes?"""

from __future__ import annotations

from collections.abc import Iterator

from auditor import Facts, Finding, Severity, check
from auditor.facts.observations.network import NetworkObservations, Path

from .._wording import counted, examples
from ._observed import alone, ends, nodes, observed, routes, unseen


@check(
    "network.full-size-frames",
    title="Large transfers and full-size frames pass between nodes and zones",
    severity=Severity.HIGH,
    reads=(NetworkObservations,),
    aliases=("NET-004",),
)
def full_size_frames(facts: Facts) -> Iterator[Finding]:
    """A network that loses large packets lets every small test pass.

    ## What it checks
    Between one pair of nodes for each two zones, and within each zone, 1 MiB goes over TCP in both directions. Where a
    connection comes about and the bytes do not, the path is a black hole, which is a failure. Then datagrams go that
    fill a frame of the pod's interface and may not be cut in pieces: where small ones pass and these do not, and the
    network does not tell a smaller size, it is a warning, for TCP may be saved by what clamps its segments. A smaller
    size that the network does tell is fine. Where UDP does not pass at all, as between some security groups, only TCP
    is judged.

    ## Why it matters
    Handshakes, pings and health checks are small. With a wrong MTU, as of a tunnel inside a tunnel, brokers connect and
    replicate nothing, executors register and never fetch a block. What is seen is a timeout, minutes later.

    ## How to fix
    Give pods' interfaces an MTU that fits the path: that of the nodes' network less what the plugin's tunnel adds
    (VXLAN 50 bytes, Geneve 50 or more, WireGuard 60 or 80), and let ICMP "fragmentation needed" through firewalls.

    ## References
    - [Calico: MTU](https://docs.tigera.io/calico/latest/networking/configuring/mtu)
    - [Google Cloud: MTU](https://cloud.google.com/vpc/docs/mtu)
    - [Amazon EC2: MTU](https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/network_mtu.html)
    - [RFC 4821: path MTU discovery and black holes](https://www.rfc-editor.org/rfc/rfc4821)
    """
    document = observed(facts)
    yield from unseen(document)
    unconnected = {each.route for each in document.connections if each.error and not each.by_service}
    untold = [each for each in document.paths if each.error or each.route in unconnected]
    told = [each for each in document.paths if not each.error and each.route not in unconnected]
    if untold:
        yield Finding.unknown(
            f"Whether large transfers pass could not be tried on {counted(len(untold), 'path')} "
            f"({routes(each.route for each in untold)}), where there is no connection.",
            subjects=ends(each.route for each in untold),
            fix="Repair the network between pods first; network.pod-to-pod says where.",
        )
    lost = [each for each in told if each.send_error or each.receive_error]
    if lost:
        yield _black_hole(lost)
    cut = [each for each in told if each not in lost and each.small_datagrams and each.full_datagrams is False]
    if cut:
        yield _cut(cut)
    if not document.paths:
        yield from alone(document)
        if len(document.peers) > 1 and not document.failed:
            yield Finding.unknown("No path was tried.", fix="Probe again.")
    elif not lost and not cut and told:
        yield _passed(told)


def _black_hole(lost: list[Path]) -> Finding:
    first = lost[0]
    return Finding.fail(
        f"Connections come about on {counted(len(lost), 'path')} ({routes(each.route for each in lost)}), but "
        f"{first.transfer_bytes / 1024:.0f} KiB do not pass: {first.send_error or first.receive_error}. The pod's "
        f"interface has an MTU of {first.interface_mtu} bytes.",
        subjects=ends(each.route for each in lost),
        fix="Lower the network plugin's MTU to what the path between these nodes carries.",
        evidence=_sizes(lost),
    )


def _cut(cut: list[Path]) -> Finding:
    return Finding.warn(
        f"On {counted(len(cut), 'path')} ({routes(each.route for each in cut)}) 1 MiB passes over TCP, but datagrams "
        f"that fill a frame of {cut[0].interface_mtu} bytes are lost without a word, smaller ones are not.",
        subjects=ends(each.route for each in cut),
        fix="Lower the network plugin's MTU to what the path carries, and let ICMP through firewalls.",
        evidence=_sizes(cut),
    )


def _passed(told: list[Path]) -> Finding:
    mtus = sorted({each.path_mtu or each.interface_mtu for each in told} - {0})
    frames = [each for each in told if each.full_datagrams]
    size = f"; frames of {' and '.join(map(str, mtus))} bytes passed on {len(frames)}" if mtus and frames else ""
    silent = len(told) - len(frames)
    rest = f", UDP told nothing on {silent}" if silent else ""
    return Finding.ok(
        f"1 MiB passed in both directions on {counted(len(told), 'path')}{size}{rest}.",
        subjects=nodes(sorted({name for each in told for name in (each.route.from_node, each.route.to_node)})),
    )


def _sizes(paths: list[Path]) -> dict[str, dict[str, int]]:
    return examples(
        {
            str(each.route): {
                "interface_mtu": each.interface_mtu,
                "path_mtu": each.path_mtu,
                "segment_bytes": each.segment_bytes,
            }
            for each in paths
        }
    )
