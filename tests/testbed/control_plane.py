"""etcd with three members, the API server, the controller manager and the scheduler, in one network namespace."""

from __future__ import annotations

from tests.testbed import kubeconfig, pki, processes
from tests.testbed.binaries import binary
from tests.testbed.layout import (
    CLUSTER_DOMAIN,
    CONTROL_PLANE_ADDRESS,
    CONTROL_PLANE_NETNS,
    ETCD,
    KUBECONFIG,
    KUBERNETES_SERVICE_ADDRESS,
    PKI,
    POD_NETWORK,
    SERVICE_NETWORK,
    STATE,
    EtcdLayout,
)
from tests.testbed.pki import AUTHORITY, SERVICE_ACCOUNTS, KeyPair

FEATURE_GATES = "GenericWorkload=true,GangScheduling=true"


def issue_certificates() -> None:
    """Keys, certificates and kubeconfigs of the control plane and of the administrator."""
    pki.make_authority()
    hosts = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", f"kubernetes.default.svc.{CLUSTER_DOMAIN}")
    addresses = (KUBERNETES_SERVICE_ADDRESS, CONTROL_PLANE_ADDRESS, "127.0.0.1")
    pki.issue("apiserver", "kube-apiserver", hosts=hosts + addresses)
    pki.issue("etcd", "etcd", hosts=("127.0.0.1", CONTROL_PLANE_ADDRESS, *(member.address for member in ETCD)))
    pki.issue("front-proxy", "front-proxy")
    kubeconfig.write(KUBECONFIG, credentials=pki.issue("admin", "admin", organization="system:masters"))
    for part in ("kube-controller-manager", "kube-scheduler"):
        kubeconfig.write(STATE / f"{part}.kubeconfig", credentials=pki.issue(part, f"system:{part}"))


def start_etcd() -> None:
    """Start all members."""
    for member in ETCD:
        start_etcd_member(member)


def start_etcd_member(member: EtcdLayout) -> None:
    """Start one member; it finds the others by its initial cluster or by its data."""
    pair = _pair("etcd")
    trust = ["--client-cert-auth", f"--trusted-ca-file={AUTHORITY.certificate}"]
    peer_trust = ["--peer-client-cert-auth", f"--peer-trusted-ca-file={AUTHORITY.certificate}"]
    processes.start(
        member.name,
        [
            binary("etcd"),
            f"--name={member.name}",
            f"--data-dir={STATE / member.name}",
            f"--listen-client-urls={member.client_url}",
            f"--advertise-client-urls={member.client_url}",
            f"--listen-peer-urls={member.peer_url}",
            f"--initial-advertise-peer-urls={member.peer_url}",
            f"--listen-metrics-urls=http://{member.address}:2381",
            f"--initial-cluster={','.join(f'{m.name}={m.peer_url}' for m in ETCD)}",
            f"--cert-file={pair.certificate}",
            f"--key-file={pair.key}",
            f"--peer-cert-file={pair.certificate}",
            f"--peer-key-file={pair.key}",
            *trust,
            *peer_trust,
            "--unsafe-no-fsync",
        ],
        netns=CONTROL_PLANE_NETNS,
    )


def start_api_server() -> None:
    """Start the API server, with native gang scheduling switched on."""
    etcd, serving, proxy = _pair("etcd"), _pair("apiserver"), _pair("front-proxy")
    processes.start(
        "kube-apiserver",
        [
            binary("kube-apiserver"),
            f"--advertise-address={CONTROL_PLANE_ADDRESS}",
            f"--bind-address={CONTROL_PLANE_ADDRESS}",
            "--secure-port=6443",
            f"--etcd-servers={','.join(member.client_url for member in ETCD)}",
            f"--etcd-cafile={AUTHORITY.certificate}",
            f"--etcd-certfile={etcd.certificate}",
            f"--etcd-keyfile={etcd.key}",
            f"--client-ca-file={AUTHORITY.certificate}",
            f"--tls-cert-file={serving.certificate}",
            f"--tls-private-key-file={serving.key}",
            f"--kubelet-client-certificate={_pair('admin').certificate}",
            f"--kubelet-client-key={_pair('admin').key}",
            f"--kubelet-certificate-authority={AUTHORITY.certificate}",
            "--kubelet-preferred-address-types=InternalIP",
            f"--service-account-key-file={SERVICE_ACCOUNTS}",
            f"--service-account-signing-key-file={SERVICE_ACCOUNTS}",
            f"--service-account-issuer=https://kubernetes.default.svc.{CLUSTER_DOMAIN}",
            f"--service-cluster-ip-range={SERVICE_NETWORK}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            f"--requestheader-client-ca-file={AUTHORITY.certificate}",
            "--requestheader-allowed-names=front-proxy",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-username-headers=X-Remote-User",
            f"--proxy-client-cert-file={proxy.certificate}",
            f"--proxy-client-key-file={proxy.key}",
            "--enable-aggregator-routing=true",
            f"--feature-gates={FEATURE_GATES}",
            "--runtime-config=scheduling.k8s.io/v1alpha1=true",
            "--shutdown-delay-duration=0s",
            "--allow-privileged=true",
        ],
        netns=CONTROL_PLANE_NETNS,
    )


def start_controller_manager() -> None:
    """Start the controller manager."""
    processes.start(
        "kube-controller-manager",
        [
            binary("kube-controller-manager"),
            *_client_flags("kube-controller-manager"),
            f"--cluster-cidr={POD_NETWORK}",
            "--allocate-node-cidrs=false",
            f"--service-cluster-ip-range={SERVICE_NETWORK}",
            f"--service-account-private-key-file={SERVICE_ACCOUNTS}",
            f"--root-ca-file={AUTHORITY.certificate}",
            "--use-service-account-credentials=true",
            "--node-monitor-grace-period=20s",
        ],
        netns=CONTROL_PLANE_NETNS,
    )


def start_scheduler() -> None:
    """Start the scheduler."""
    processes.start(
        "kube-scheduler",
        [binary("kube-scheduler"), *_client_flags("kube-scheduler"), f"--feature-gates={FEATURE_GATES}"],
        netns=CONTROL_PLANE_NETNS,
    )


def _client_flags(part: str) -> list[str]:
    config = STATE / f"{part}.kubeconfig"
    return [
        f"--kubeconfig={config}",
        f"--authentication-kubeconfig={config}",
        f"--authorization-kubeconfig={config}",
        f"--bind-address={CONTROL_PLANE_ADDRESS}",
        f"--tls-cert-file={_pair('apiserver').certificate}",
        f"--tls-private-key-file={_pair('apiserver').key}",
    ]


def _pair(name: str) -> KeyPair:
    return KeyPair(PKI / f"{name}.key", PKI / f"{name}.crt")
