"""The identity service of the driver."""

from __future__ import annotations

from typing import Any

from tests.testbed.csi import protocol
from tests.testbed.csi.layout import DRIVER, VERSION


class Identity:
    """Who the driver is and what it can do."""

    def __init__(self) -> None:
        self._csi = protocol.csi()

    def get_plugin_info(self, _request: Any) -> Any:
        return self._csi.GetPluginInfoResponse(name=DRIVER, vendor_version=VERSION)

    def get_plugin_capabilities(self, _request: Any) -> Any:
        capability = self._csi.PluginCapability
        service, expansion = capability.Service, capability.VolumeExpansion
        return self._csi.GetPluginCapabilitiesResponse(
            capabilities=[
                capability(service=service(type=service.CONTROLLER_SERVICE)),
                capability(service=service(type=service.VOLUME_ACCESSIBILITY_CONSTRAINTS)),
                capability(volume_expansion=expansion(type=expansion.ONLINE)),
            ]
        )

    def probe(self, _request: Any) -> Any:
        return self._csi.ProbeResponse()
