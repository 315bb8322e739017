"""What the agent reads of a node, from folders that look like those of a container."""

from pathlib import Path

import pytest

from auditor.sandbox.agent.tasks import node, shared_memory

MEMINFO = """\
MemTotal:       16384 kB
MemAvailable:    8192 kB
SwapTotal:       2048 kB
SwapFree:        1024 kB
HugePages_Total:     0
"""


def root_of(tmp_path: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


class TestCgroups:
    def test_v2_has_its_controllers_at_the_top(self, tmp_path: Path) -> None:
        assert node.cgroup(root_of(tmp_path, {"sys/fs/cgroup/cgroup.controllers": "cpu memory"})) == {"version": 2}

    def test_v1_has_a_folder_per_controller_also_where_v2_is_beside_it(self, tmp_path: Path) -> None:
        files = {"sys/fs/cgroup/memory/tasks": "", "sys/fs/cgroup/unified/cgroup.controllers": ""}

        assert node.cgroup(root_of(tmp_path, files)) == {"version": 1}

    def test_none_may_be_hidden(self, tmp_path: Path) -> None:
        assert node.cgroup(tmp_path) == {"version": 0}


class TestSwap:
    @pytest.mark.parametrize(
        ("files", "allowed"),
        [
            ({"memory.swap.max": "max\n"}, -1),
            ({"memory.swap.max": "0\n"}, 0),
            ({"memory.swap.max": "67108864\n"}, 67108864),
            ({"memory/memory.memsw.limit_in_bytes": "1000", "memory/memory.limit_in_bytes": "600"}, 400),
            ({"memory/memory.memsw.limit_in_bytes": "600", "memory/memory.limit_in_bytes": "600"}, 0),
            ({"memory/memory.memsw.limit_in_bytes": "9223372036854771712", "memory/memory.limit_in_bytes": "600"}, -1),
            ({"memory/memory.limit_in_bytes": "600"}, None),
            ({}, None),
        ],
    )
    def test_allowance(self, tmp_path: Path, files: dict[str, str], allowed: int | None) -> None:
        root = root_of(tmp_path, {f"sys/fs/cgroup/{name}": text for name, text in files.items()})

        assert node.swap(root).get("allowed_bytes") == allowed

    def test_of_the_node(self, tmp_path: Path) -> None:
        assert node.swap(root_of(tmp_path, {"proc/meminfo": MEMINFO})) == {
            "total_bytes": 2048 * 1024,
            "used_bytes": 1024 * 1024,
        }


def test_memory_is_in_bytes(tmp_path: Path) -> None:
    found = node.memory(root_of(tmp_path, {"proc/meminfo": MEMINFO}))

    assert found == {"total_bytes": 16384 * 1024, "available_bytes": 8192 * 1024}


def test_what_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    found = node.observe(tmp_path)

    assert found["sysctls"] == {}
    assert found["memory"] == {}
    assert found["swap"] == {}
    assert found["huge_pages"] == {}
    assert found["resolv_conf"] is None
    assert found["transparent_huge_pages"] == ""


def test_settings_are_read_by_their_names(tmp_path: Path) -> None:
    files = {
        "proc/sys/vm/max_map_count": "65530\n",
        "proc/sys/net/ipv4/ip_local_port_range": "32768\t60999\n",
        "sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages": "16\n",
        "sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages": "0\n",
        "sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never\n",
    }
    found = node.observe(root_of(tmp_path, files))

    assert found["sysctls"] == {"net.ipv4.ip_local_port_range": "32768 60999", "vm.max_map_count": "65530"}
    assert found["huge_pages"] == {"1Gi": 0, "2Mi": 16}
    assert found["transparent_huge_pages"] == "madvise"


def test_limits_are_those_of_the_process() -> None:
    limits = node.observe(Path("/"))["limits"]

    assert limits["nofile"]["soft"] > 0
    assert set(limits) == {"core", "memlock", "nofile", "nproc", "stack"}


class TestResolvConf:
    def test_all_of_it(self) -> None:
        text = "# kubelet\nsearch a.svc.cluster.local svc.cluster.local\nnameserver 10.96.0.10\noptions ndots:5 edns0\n"

        assert node.resolv_conf(text) == {
            "nameservers": ["10.96.0.10"],
            "search": ["a.svc.cluster.local", "svc.cluster.local"],
            "options": ["ndots:5", "edns0"],
        }

    def test_the_last_search_list_counts_and_comments_do_not(self) -> None:
        found = node.resolv_conf("domain a.example\nsearch b.example c.example ; old\nsearch\nnameserver\n")

        assert found == {"nameservers": [], "search": ["b.example", "c.example"], "options": []}


class TestFileSystems:
    def test_are_told_by_the_closest_mount(self, tmp_path: Path) -> None:
        mounts = root_of(
            tmp_path,
            {
                "mountinfo": "27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n"
                f"30 27 0:27 / {tmp_path} rw - tmpfs none rw\n"
            },
        )
        found = node.file_systems({"scratch": str(tmp_path / "deep"), "gone": "/no/such"}, str(mounts / "mountinfo"))
        assert found == {}

        (tmp_path / "deep").mkdir()
        found = node.file_systems({"scratch": str(tmp_path / "deep")}, str(mounts / "mountinfo"))
        assert (found["scratch"]["type"], found["scratch"]["source"]) == ("tmpfs", "none")
        assert 0 < found["scratch"]["free_bytes"] <= found["scratch"]["size_bytes"]

    def test_of_the_root_where_nothing_closer_is_mounted(self, tmp_path: Path) -> None:
        mounts = root_of(tmp_path, {"mountinfo": "27 1 254:0 / / rw,relatime - overlay overlay rw\ngarbage\n"})

        found = node.file_systems({"scratch": str(tmp_path)}, str(mounts / "mountinfo"))

        assert found["scratch"]["type"] == "overlay"


def test_memory_is_written_as_far_as_was_asked_and_removed(tmp_path: Path) -> None:
    [found] = shared_memory.run({"path": str(tmp_path), "write_bytes": 3 * 1024**2 + 1})

    assert found["written_bytes"] == 3 * 1024**2 + 1
    assert found["size_bytes"] > 0
    assert not list(tmp_path.iterdir())


def test_a_full_device_ends_the_writing() -> None:
    assert shared_memory._write(Path("/dev/full"), 1024) == 0


def test_another_error_is_no_full_device(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(shared_memory.run({"path": str(tmp_path / "gone"), "write_bytes": 1}))
