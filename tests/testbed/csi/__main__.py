"""`python -m tests.testbed.csi controller|node NAME`: one process of the driver, until SIGTERM."""

from __future__ import annotations

import logging
import signal
import threading

import click

from tests.testbed.csi import protocol
from tests.testbed.csi.layout import CONTROLLER_SOCKET, node_socket, registration_socket
from tests.testbed.csi.rpc import Service, serve
from tests.testbed.layout import NODES


@click.group()
def main() -> None:
    """Run a part of the test bed's CSI driver."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)


@main.command()
def controller() -> None:
    """Serve the sidecars, and provision and delete volumes for claims."""
    from tests.testbed.client import Cluster
    from tests.testbed.csi.controller import Controller
    from tests.testbed.csi.identity import Identity
    from tests.testbed.csi.provisioner import Provisioner

    csi = protocol.csi()
    services = csi.DESCRIPTOR.services_by_name
    implementation = Controller()
    ended = _until_terminated()
    with serve(
        [CONTROLLER_SOCKET],
        [Service(services["Identity"], Identity()), Service(services["Controller"], implementation)],
    ):
        Provisioner(Cluster(), implementation).run(ended)


@main.command()
@click.argument("name", type=click.Choice([node.name for node in NODES]))
def node(name: str) -> None:
    """Serve the kubelet of one node; the driver is registered there for as long as this runs."""
    from tests.testbed.csi.identity import Identity
    from tests.testbed.csi.node import Node, Registration

    layout = next(node for node in NODES if node.name == name)
    services = protocol.csi().DESCRIPTOR.services_by_name
    registration = protocol.registration().DESCRIPTOR.services_by_name["Registration"]
    ended = _until_terminated()
    with (
        serve(
            [node_socket(layout)],
            [Service(services["Identity"], Identity()), Service(services["Node"], Node(layout))],
        ),
        serve([registration_socket(layout)], [Service(registration, Registration(layout))]),
    ):
        ended.wait()


def _until_terminated() -> threading.Event:
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    return ended


if __name__ == "__main__":
    main()
