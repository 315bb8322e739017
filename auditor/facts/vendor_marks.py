"""What vendors and clouds leave on a cluster, as data: one row per mark. docs/vendors.md explains the rows."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum


class Source(StrEnum):
    """Where a mark is looked for, in the order in which evidence is said."""

    API_GROUP = "API group"
    PROVIDER_ID = "providerID"
    NODE_LABEL = "label"
    NODE_ANNOTATION = "annotation"
    OS_IMAGE = "OS image"
    VERSION = "version"
    """``gitVersion`` of the server, or version of a kubelet."""
    PROVISIONER = "provisioner"
    CLASS_NAME = "name"
    """Name of a StorageClass."""
    API_HOST = "API host"


class Weight(Enum):
    """How much a mark says. Only marks of platforms decide; where two platforms have a say, nothing is decided."""

    PRODUCT = "product"
    """Nothing but this platform leaves it: one is enough."""
    FAMILY = "family"
    """Relatives of the platform leave it too: it counts only where machines of the platform's own cloud are seen."""
    CLOUD = "cloud"
    """Tells whose the machines are, never who runs Kubernetes on them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cloud:
    """Whose machines the nodes are.

    Attributes:
        id: the vendor's id in a result where nothing but the cloud is known.
        name: what people call it.
    """

    id: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """A managed service or a distribution.

    Attributes:
        id: the vendor's id in a result.
        name: what people call it.
        home: the only cloud that it is offered on; None where it runs anywhere.
        hides_control_plane: whether its control-plane nodes are never among the cluster's nodes.
    """

    id: str
    name: str
    home: Cloud | None = None
    hides_control_plane: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Something that is seen on a cluster and speaks for a platform or a cloud.

    Attributes:
        of: whom it speaks for.
        source: where it is looked for.
        pattern: of labels and annotations the key, or ``key=value``; of everything else a regular expression that is
            searched in the text.
        weight: how much it says.
        note: what a reader should know beside, such as the flavour of the platform.
        development: whether only clusters for development carry it.
    """

    of: Platform | Cloud
    source: Source
    pattern: str
    weight: Weight
    note: str = ""
    development: bool = False


ALIBABA = Cloud(id="alibaba-cloud", name="Alibaba Cloud")
AWS = Cloud(id="aws", name="AWS")
AZURE = Cloud(id="azure", name="Azure")
DIGITALOCEAN = Cloud(id="digitalocean", name="DigitalOcean")
GOOGLE = Cloud(id="google-cloud", name="Google Cloud")
HETZNER = Cloud(id="hetzner", name="Hetzner Cloud")
IBM = Cloud(id="ibm-cloud", name="IBM Cloud")
LINODE = Cloud(id="linode", name="Linode")
OPENSTACK = Cloud(id="openstack", name="OpenStack")
ORACLE = Cloud(id="oracle-cloud", name="Oracle Cloud")
SCALEWAY = Cloud(id="scaleway-cloud", name="Scaleway")
VSPHERE = Cloud(id="vsphere", name="vSphere")

ACK = Platform(id="alibaba-ack", name="Alibaba ACK", home=ALIBABA)  # ACK dedicated shows its control plane
AKS = Platform(id="microsoft-aks", name="Microsoft AKS", home=AZURE, hides_control_plane=True)
DOCKER_DESKTOP = Platform(id="docker-desktop", name="Docker Desktop")
DOKS = Platform(id="digitalocean-doks", name="DigitalOcean DOKS", home=DIGITALOCEAN, hides_control_plane=True)
EKS = Platform(id="amazon-eks", name="Amazon EKS", home=AWS, hides_control_plane=True)
EKS_DISTRO = Platform(id="eks-distro", name="EKS Distro (EKS Anywhere)")
GDC = Platform(id="google-distributed-cloud", name="Google Distributed Cloud (Anthos)")
GKE = Platform(id="google-gke", name="Google GKE", home=GOOGLE, hides_control_plane=True)
IKS = Platform(id="ibm", name="IBM Cloud Kubernetes Service", home=IBM, hides_control_plane=True)
K0S = Platform(id="k0s", name="k0s")
K3S = Platform(id="k3s", name="k3s")
KAPSULE = Platform(id="scaleway", name="Scaleway Kapsule", home=SCALEWAY, hides_control_plane=True)
KIND = Platform(id="kind", name="kind")
KURL = Platform(id="kurl", name="kURL")
MICROK8S = Platform(id="microk8s", name="MicroK8s")
MINIKUBE = Platform(id="minikube", name="minikube")
MKS = Platform(id="ovhcloud", name="OVHcloud MKS", home=OPENSTACK, hides_control_plane=True)
OKE = Platform(id="oracle-oke", name="Oracle OKE", home=ORACLE, hides_control_plane=True)
OPENSHIFT = Platform(id="openshift", name="OpenShift")
RKE2 = Platform(id="rke2", name="Rancher RKE2")
TANZU = Platform(id="tanzu", name="VMware Tanzu")


def _product(of: Platform, source: Source, pattern: str, note: str = "", *, development: bool = False) -> Mark:
    return Mark(of=of, source=source, pattern=pattern, weight=Weight.PRODUCT, note=note, development=development)


def _family(of: Platform, source: Source, pattern: str) -> Mark:
    return Mark(of=of, source=source, pattern=pattern, weight=Weight.FAMILY)


def _cloud(of: Cloud, source: Source, pattern: str, note: str = "") -> Mark:
    return Mark(of=of, source=source, pattern=pattern, weight=Weight.CLOUD, note=note)


MARKS = (
    _product(AKS, Source.API_GROUP, r"^karpenter\.azure\.com$", "node auto-provisioning by Karpenter"),
    _product(EKS, Source.API_GROUP, r"^vpcresources\.k8s\.aws$"),
    _product(EKS, Source.API_GROUP, r"^eks\.amazonaws\.com$", "EKS Auto Mode"),
    _product(EKS_DISTRO, Source.API_GROUP, r"^anywhere\.eks\.amazonaws\.com$", "EKS Anywhere management cluster"),
    _product(GDC, Source.API_GROUP, r"^baremetal\.cluster\.gke\.io$"),
    _product(K0S, Source.API_GROUP, r"^autopilot\.k0sproject\.io$"),
    _product(OPENSHIFT, Source.API_GROUP, r"^(config|apps)\.openshift\.io$"),
    _product(TANZU, Source.API_GROUP, r"^run\.tanzu\.vmware\.com$"),
    _product(EKS, Source.PROVIDER_ID, r"^eks-hybrid://", "EKS hybrid nodes, outside AWS"),
    _product(K3S, Source.PROVIDER_ID, r"^k3s://"),
    _product(K3S, Source.PROVIDER_ID, r"^k3s://k3d-", "k3d: k3s in Docker", development=True),
    _product(KIND, Source.PROVIDER_ID, r"^kind://", development=True),
    _product(RKE2, Source.PROVIDER_ID, r"^rke2://"),
    _cloud(ALIBABA, Source.PROVIDER_ID, r"^(alicloud://|[a-z]{2}-[a-z0-9-]+\.i-)"),
    _cloud(AWS, Source.PROVIDER_ID, r"^aws://"),
    _cloud(AZURE, Source.PROVIDER_ID, r"^azure://"),
    _cloud(DIGITALOCEAN, Source.PROVIDER_ID, r"^digitalocean://"),
    _cloud(GOOGLE, Source.PROVIDER_ID, r"^gce://"),
    _cloud(HETZNER, Source.PROVIDER_ID, r"^hcloud://"),
    _cloud(IBM, Source.PROVIDER_ID, r"^ibm://"),
    _cloud(LINODE, Source.PROVIDER_ID, r"^linode://"),
    _cloud(OPENSTACK, Source.PROVIDER_ID, r"^openstack://"),
    _cloud(ORACLE, Source.PROVIDER_ID, r"^(oci://)?ocid1\.instance\."),
    _cloud(SCALEWAY, Source.PROVIDER_ID, r"^scaleway://"),
    _cloud(VSPHERE, Source.PROVIDER_ID, r"^vsphere://"),
    _family(ACK, Source.NODE_LABEL, "ack.aliyun.com"),
    _family(ACK, Source.NODE_LABEL, "alibabacloud.com/nodepool-id"),
    _product(AKS, Source.NODE_LABEL, "kubernetes.azure.com/cluster"),
    _product(AKS, Source.NODE_LABEL, "kubernetes.azure.com/agentpool"),
    _product(AKS, Source.NODE_LABEL, "karpenter.azure.com/sku-name", "nodes made by Karpenter"),
    _product(DOKS, Source.NODE_LABEL, "doks.digitalocean.com/node-id"),
    _product(DOKS, Source.NODE_LABEL, "doks.digitalocean.com/version"),
    _product(EKS, Source.NODE_LABEL, "eks.amazonaws.com/nodegroup"),
    _product(EKS, Source.NODE_LABEL, "eks.amazonaws.com/compute-type=auto", "EKS Auto Mode"),
    _product(EKS, Source.NODE_LABEL, "eks.amazonaws.com/compute-type=fargate", "Fargate: one pod per node"),
    _product(EKS, Source.NODE_LABEL, "eks.amazonaws.com/compute-type=hybrid", "EKS hybrid nodes, outside AWS"),
    _product(GDC, Source.NODE_LABEL, "baremetal.cluster.gke.io/node-pool", "on bare metal"),
    _product(GDC, Source.NODE_LABEL, "onprem.gke.io/failure-domain-name", "on VMware"),
    _family(GKE, Source.NODE_LABEL, "cloud.google.com/gke-nodepool"),
    _cloud(IBM, Source.NODE_LABEL, "ibm-cloud.kubernetes.io/worker-id", "IKS or OpenShift on IBM Cloud"),
    _product(K0S, Source.NODE_LABEL, "node.k0sproject.io/role"),
    _product(K3S, Source.NODE_LABEL, "node.kubernetes.io/instance-type=k3s"),
    _product(KAPSULE, Source.NODE_LABEL, "k8s.scaleway.com/pool"),
    _product(KAPSULE, Source.NODE_LABEL, "k8s.scaleway.com/pool-name"),
    _product(KURL, Source.NODE_LABEL, "kurl.sh/cluster=true"),
    _product(MICROK8S, Source.NODE_LABEL, "microk8s.io/cluster"),
    _product(MINIKUBE, Source.NODE_LABEL, "minikube.k8s.io/name", development=True),
    _product(MKS, Source.NODE_LABEL, "k8s.ovh.net/nodepool"),
    _product(MKS, Source.NODE_LABEL, "node.kubernetes.ovhcloud.com/gpu"),
    _product(OPENSHIFT, Source.NODE_LABEL, "node.openshift.io/os_id"),
    _cloud(ORACLE, Source.NODE_LABEL, "oci.oraclecloud.com/fault-domain"),
    _product(RKE2, Source.NODE_LABEL, "node.kubernetes.io/instance-type=rke2"),
    _product(TANZU, Source.NODE_LABEL, "run.tanzu.vmware.com/kubernetesDistributionVersion"),
    _product(TANZU, Source.NODE_LABEL, "run.tanzu.vmware.com/tkr"),
    _product(K3S, Source.NODE_ANNOTATION, "k3s.io/node-args"),
    _product(OKE, Source.NODE_ANNOTATION, "oci.oraclecloud.com/node-pool-id"),
    _product(OPENSHIFT, Source.NODE_ANNOTATION, "machineconfiguration.openshift.io/currentConfig"),
    _product(RKE2, Source.NODE_ANNOTATION, "rke2.io/node-args"),
    _product(DOCKER_DESKTOP, Source.OS_IMAGE, r"^Docker Desktop$", development=True),
    _product(ACK, Source.VERSION, r"-aliyun\.\d+"),
    _product(EKS, Source.VERSION, r"-eks-[0-9a-f]{6,}"),
    _product(EKS_DISTRO, Source.VERSION, r"-eks-\d{1,2}-\d{1,2}-\d+"),
    _family(GKE, Source.VERSION, r"-gke\.\d+"),
    _product(IKS, Source.VERSION, r"\+IKS"),
    _product(K0S, Source.VERSION, r"\+k0s"),
    _product(K3S, Source.VERSION, r"\+k3s\d+"),
    _family(OPENSHIFT, Source.VERSION, r"\+[0-9a-f]{7}$"),
    _product(RKE2, Source.VERSION, r"\+rke2r\d+"),
    _product(TANZU, Source.VERSION, r"\+vmware\.\d+"),
    _cloud(ALIBABA, Source.PROVISIONER, r"^diskplugin\.csi\.alibabacloud\.com$"),
    _cloud(AWS, Source.PROVISIONER, r"^(ebs\.csi\.aws\.com|kubernetes\.io/aws-ebs)$"),
    _cloud(AZURE, Source.PROVISIONER, r"^(disk\.csi\.azure\.com|kubernetes\.io/azure-disk)$"),
    _cloud(DIGITALOCEAN, Source.PROVISIONER, r"^dobs\.csi\.digitalocean\.com$"),
    _product(DOCKER_DESKTOP, Source.PROVISIONER, r"^docker\.io/hostpath$", development=True),
    _product(EKS, Source.PROVISIONER, r"^ebs\.csi\.eks\.amazonaws\.com$", "EKS Auto Mode"),
    _cloud(GOOGLE, Source.PROVISIONER, r"^(pd\.csi\.storage\.gke\.io|kubernetes\.io/gce-pd)$"),
    _cloud(IBM, Source.PROVISIONER, r"^(vpc\.block\.csi\.ibm\.io|ibm\.io/ibmc-(file|block))$"),
    _product(MICROK8S, Source.PROVISIONER, r"^microk8s\.io/hostpath$"),
    _product(MINIKUBE, Source.PROVISIONER, r"^k8s\.io/minikube-hostpath$", development=True),
    _cloud(OPENSTACK, Source.PROVISIONER, r"^(cinder\.csi\.openstack\.org|kubernetes\.io/cinder)$"),
    _cloud(SCALEWAY, Source.PROVISIONER, r"^csi\.scaleway\.com$"),
    _cloud(VSPHERE, Source.PROVISIONER, r"^(csi\.vsphere\.vmware\.com|kubernetes\.io/vsphere-volume)$"),
    _family(MKS, Source.CLASS_NAME, r"^csi-cinder-(classic|high-speed)"),
    _product(AKS, Source.API_HOST, r"\.azmk8s\.io$"),
    _product(DOKS, Source.API_HOST, r"\.k8s\.ondigitalocean\.com$"),
    _product(EKS, Source.API_HOST, r"\.eks\.amazonaws\.com(\.cn)?$"),
    _product(GKE, Source.API_HOST, r"\.gke\.goog$"),
    _cloud(IBM, Source.API_HOST, r"\.containers\.cloud\.ibm\.com$", "IKS or OpenShift on IBM Cloud"),
    _product(KAPSULE, Source.API_HOST, r"\.api\.k8s\.[a-z0-9-]+\.scw\.cloud$"),
    _product(MKS, Source.API_HOST, r"\.k8s\.ovh\.net$"),
    _product(OPENSHIFT, Source.API_HOST, r"\.aroapp\.io$", "ARO: Azure Red Hat OpenShift"),
    _product(OPENSHIFT, Source.API_HOST, r"\.openshiftapps\.com$", "ROSA or OpenShift Dedicated"),
)
"""Every mark that is known. Rows of one source stand together; their order decides nothing."""
