"""What is known of the provisioners that StorageClasses name.

A name tells less than the cluster does: checks ask CSIDrivers, CSINodes and volumes first, and come here where those
are silent. Every list holds globs over the provisioner's name; a check lets a site add its own by parameter.
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

NO_PROVISIONER = "kubernetes.io/no-provisioner"
"""Volumes of such a class are made by hand or by a controller, mostly on the nodes' own disks."""

MIGRATED_TO = {
    "kubernetes.io/aws-ebs": "ebs.csi.aws.com",
    "kubernetes.io/azure-disk": "disk.csi.azure.com",
    "kubernetes.io/azure-file": "file.csi.azure.com",
    "kubernetes.io/cinder": "cinder.csi.openstack.org",
    "kubernetes.io/gce-pd": "pd.csi.storage.gke.io",
    "kubernetes.io/portworx-volume": "pxd.portworx.com",
    "kubernetes.io/vsphere-volume": "csi.vsphere.vmware.com",
}
"""In-tree provisioners and the CSI drivers that do their work today (k8s.io/csi-translation-lib)."""

WITHOUT_VOLUMES = (
    "*.ceph.rook.io/bucket",
    "*.noobaa.io/obc",
    "*.stackable.tech",
)
"""Their classes hand out buckets, certificates or addresses; no data system keeps its data in one."""

WITHOUT_CSI_DRIVER = (
    "docker.io/hostpath",
    "fuseim.pri/ifs",
    "k8s.io/minikube-hostpath",
    "microk8s.io/hostpath",
    "openebs.io/local",
    "rancher.io/local-path",
    "*/nfs-client-provisioner",
    "*nfs-ganesha*",
    "*nfs-subdir-external-provisioner*",
    "*nfs-server-provisioner*",
)
"""Controllers that make volumes of Kubernetes' own types and register no CSI driver."""

SHARED_FILE_SYSTEMS = (
    "*.cephfs.csi.ceph.com",
    "*.nfs.csi.ceph.com",
    "bmcpfsplugin.csi.alibabacloud.com",
    "ceph.com/cephfs",
    "cephfs.csi.ceph.com",
    "cephfs.manila.csi.openstack.org",
    "com.mapr.csi-kdf",
    "com.mapr.csi-nfskdf",
    "com.tencent.cloud.csi.cfs*",
    "csi.juicefs.com",
    "efs.csi.aws.com",
    "file.csi.azure.com",
    "filestore.csi.storage.gke.io",
    "fsx.csi.aws.com",
    "fsx.openzfs.csi.aws.com",
    "fss.csi.oraclecloud.com",
    "fuseim.pri/ifs",
    "ibm.io/ibmc-file",
    "kubernetes.io/azure-file",
    "kubernetes.io/glusterfs",
    "lustre.csi.storage.gke.io",
    "nas.csi.everest.io",
    "nasplugin.csi.alibabacloud.com",
    "org.gluster.glusterfs",
    "parallelstore.csi.storage.gke.io",
    "sfsturbo.csi.everest.io",
    "smb.csi.k8s.io",
    "vpc.file.csi.ibm.io",
    "nfs*",
    "*.nfs*",
    "*/nfs*",
    "*-nfs*",
    "*nfs",
)
"""NFS, SMB and cluster file systems: reachable from every node, with the locks and renames of a network file system."""

OBJECT_STORES = (
    "*.s3.csi.*",
    "blob.csi.azure.com",
    "com.tencent.cloud.csi.cosfs",
    "gcsfuse.csi.storage.gke.io",
    "obs.csi.everest.io",
    "ossplugin.csi.alibabacloud.com",
    "s3.csi.*",
)
"""Buckets mounted as if they were file systems."""

NODE_LOCAL = (
    NO_PROVISIONER,
    "direct-csi-min-io",
    "directpv-min-io",
    "docker.io/hostpath",
    "hostpath.csi.k8s.io",
    "k8s.io/minikube-hostpath",
    "local.csi.openebs.io",
    "localplugin.csi.alibabacloud.com",
    "microk8s.io/hostpath",
    "openebs.io/local",
    "rancher.io/local-path",
    "topolvm.cybozu.com",
    "topolvm.io",
    "zfs.csi.openebs.io",
)
"""Volumes on a node's own disks: only that node reaches them."""

ZONAL_BLOCK = (
    "blockvolume.csi.oraclecloud.com",
    "cinder.csi.openstack.org",
    "csi.hetzner.cloud",
    "csi.scaleway.com",
    "disk.csi.azure.com",
    "disk.csi.everest.io",
    "diskplugin.csi.alibabacloud.com",
    "ebs.csi.aws.com",
    "ebs.csi.eks.amazonaws.com",
    "pd.csi.storage.gke.io",
    "vpc.block.csi.ibm.io",
)
"""Network disks that live in one zone."""

OTHER_BLOCK = (
    "*.rbd.csi.ceph.com",
    "block.csi.vultr.com",
    "csi.exoscale.com",
    "csi.vsphere.vmware.com",
    "dobs.csi.digitalocean.com",
    "driver.harvesterhci.io",
    "driver.longhorn.io",
    "io.openebs.csi-mayastor",
    "kubernetes.io/rbd",
    "linodebs.csi.linode.com",
    "linstor.csi.linbit.com",
    "pxd.portworx.com",
    "rbd.csi.ceph.com",
)
"""Network disks whose reach depends on how they are set up."""

BLOCK = ZONAL_BLOCK + OTHER_BLOCK

FIXED_SIZE = (
    "docker.io/hostpath",
    "k8s.io/minikube-hostpath",
    "microk8s.io/hostpath",
    "openebs.io/local",
    "rancher.io/local-path",
    "*/nfs-client-provisioner",
    "*nfs-ganesha*",
    "*nfs-subdir-external-provisioner*",
    "*nfs-server-provisioner*",
)
"""No resizer stands behind them: with ``allowVolumeExpansion`` set, a claim that asks for more waits for ever."""

UNLIMITED_SIZE = ("efs.csi.aws.com",)
"""The file system grows with its content; a claim's size is never enforced."""

MANY_WRITERS = (*SHARED_FILE_SYSTEMS, "driver.longhorn.io")
"""Give file systems that several nodes write at once (ReadWriteMany). Longhorn does so through a share manager."""

ATTACH_LIMITED = (
    *ZONAL_BLOCK,
    "block.csi.vultr.com",
    "csi.vsphere.vmware.com",
    "dobs.csi.digitalocean.com",
    "linodebs.csi.linode.com",
)
"""Disks of clouds and hypervisors, which attach only so many to a machine."""

WITHOUT_SNAPSHOTS = (
    NO_PROVISIONER,
    *WITHOUT_CSI_DRIVER,
    *OBJECT_STORES,
    "csi.hetzner.cloud",
    "csi.juicefs.com",
    "efs.csi.aws.com",
    "fss.csi.oraclecloud.com",
    "lustre.csi.storage.gke.io",
    "parallelstore.csi.storage.gke.io",
)
"""Cannot take snapshots, or only outside of Kubernetes."""

TAKES_SNAPSHOTS = (
    "*.cephfs.csi.ceph.com",
    "*.rbd.csi.ceph.com",
    "blockvolume.csi.oraclecloud.com",
    "cephfs.csi.ceph.com",
    "cinder.csi.openstack.org",
    "com.mapr.csi-kdf",
    "csi.scaleway.com",
    "csi.vsphere.vmware.com",
    "disk.csi.azure.com",
    "diskplugin.csi.alibabacloud.com",
    "dobs.csi.digitalocean.com",
    "driver.longhorn.io",
    "ebs.csi.aws.com",
    "ebs.csi.eks.amazonaws.com",
    "pd.csi.storage.gke.io",
    "pxd.portworx.com",
    "rbd.csi.ceph.com",
    "vpc.block.csi.ibm.io",
)
"""Drivers known to take snapshots through the VolumeSnapshot API."""

MODIFIES_VOLUMES = (
    "com.mapr.csi-kdf",
    "disk.csi.azure.com",
    "diskplugin.csi.alibabacloud.com",
    "ebs.csi.aws.com",
    "ebs.csi.eks.amazonaws.com",
    "pd.csi.storage.gke.io",
)
"""Drivers known to change a volume's attributes while it is in use (ControllerModifyVolume)."""

EXT4_UNLESS_TOLD = (
    "*.rbd.csi.ceph.com",
    "blockvolume.csi.oraclecloud.com",
    "cinder.csi.openstack.org",
    "csi.hetzner.cloud",
    "csi.scaleway.com",
    "csi.vsphere.vmware.com",
    "disk.csi.azure.com",
    "disk.csi.everest.io",
    "diskplugin.csi.alibabacloud.com",
    "dobs.csi.digitalocean.com",
    "driver.longhorn.io",
    "ebs.csi.aws.com",
    "ebs.csi.eks.amazonaws.com",
    "linodebs.csi.linode.com",
    "local.csi.openebs.io",
    "pd.csi.storage.gke.io",
    "rbd.csi.ceph.com",
    "topolvm.io",
    "vpc.block.csi.ibm.io",
    "zfs.csi.openebs.io",
)
"""Make ext4 on Linux where a class names no file system."""


def driver_of(provisioner: str) -> str:
    """The CSI driver that does the work: another one for in-tree names, the provisioner itself otherwise."""
    return MIGRATED_TO.get(provisioner, provisioner)


def matches(provisioner: str, patterns: Iterable[str]) -> bool:
    """Whether one of the globs matches the provisioner's name or that of the driver behind it."""
    names = {provisioner, driver_of(provisioner)}
    return any(fnmatchcase(name, pattern) for pattern in patterns for name in names)
