"""Faults that tests inject into the test bed and that undo themselves, whatever the body does; see docs/testbed.md.

Each is a context manager that takes the `Cluster` first: ``fault(faults.cordoned(cluster, "n2"))`` or ``with``.
"""

from tests.testbed.faults.admission import failing_webhook, quota_too_small, slow_webhook
from tests.testbed.faults.api import (
    api_certificate_expired,
    api_connection_dropped,
    api_continue_expired,
    api_failing,
    api_forbidden,
    api_json_truncated,
    api_slow,
    api_throttled,
)
from tests.testbed.faults.control_plane import etcd_member_down, scheduler_stopped
from tests.testbed.faults.dns import (
    coredns_crashing,
    coredns_single,
    coredns_without_endpoints,
    dns_packets_delayed,
    dns_packets_dropped,
    slow_dns_upstream,
)
from tests.testbed.faults.network import network_policy_not_enforced
from tests.testbed.faults.nodes import cordoned, kubelet_stopped, node_not_ready, node_without_zone
from tests.testbed.faults.storage import (
    class_with_immediate_binding,
    class_without_expansion,
    csi_driver_missing,
    no_default_class,
    provisioner_hanging,
    two_default_classes,
)

__all__ = [
    "api_certificate_expired",
    "api_connection_dropped",
    "api_continue_expired",
    "api_failing",
    "api_forbidden",
    "api_json_truncated",
    "api_slow",
    "api_throttled",
    "class_with_immediate_binding",
    "class_without_expansion",
    "cordoned",
    "coredns_crashing",
    "coredns_single",
    "coredns_without_endpoints",
    "csi_driver_missing",
    "dns_packets_delayed",
    "dns_packets_dropped",
    "etcd_member_down",
    "failing_webhook",
    "kubelet_stopped",
    "network_policy_not_enforced",
    "no_default_class",
    "node_not_ready",
    "node_without_zone",
    "provisioner_hanging",
    "quota_too_small",
    "scheduler_stopped",
    "slow_dns_upstream",
    "slow_webhook",
    "two_default_classes",
]
