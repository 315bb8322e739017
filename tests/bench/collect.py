"""``make bench``, second part: collecting a whole cluster, against the `kubernetes` package listing its pods alone.

Runs on the test bed, started where it is not up, with simulated nodes and pods. The contenders take turns, each
in a fresh process. What either costs the API server is printed too: an auditor must not be a load test.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from tests.bench.run import ROOT, Outcome, progress, say, say_ratio, spread
from tests.testbed import bed, processes
from tests.testbed.fixtures import obstacle
from tests.testbed.layout import KUBECONFIG
from tests.testbed.simulated import simulated

MAX_TIME_RATIO = 0.35
MAX_MEMORY_RATIO = 0.15
SIZES = ((200, 4_000), (1_000, 20_000))
"""Nodes and pods; the second is five times the first, to show how both contenders grow."""
LARGE_SIZE = (5_000, 100_000)

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Measure at each size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--contender", choices=sorted(CONTENDERS), help=argparse.SUPPRESS)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--large", action="store_true", help="also 5,000 nodes and 100,000 pods")
    options = parser.parse_args()
    if options.contender:
        sys.stdout.write(json.dumps(_measured(CONTENDERS[options.contender])))
        return
    if why_not := obstacle():
        say(f"\nCollecting was not measured: {why_not}.")
        return
    was_up = bed.is_up()
    cluster = bed.up()
    try:
        sizes = (*SIZES, LARGE_SIZE) if options.large else SIZES
        for nodes, pods in sizes:
            progress(f"simulating {nodes:,} nodes and {pods:,} pods")
            with simulated(cluster, nodes=nodes, pods=pods, remove=was_up or (nodes, pods) != sizes[-1]):
                bench(nodes, pods, options.repeats)
    finally:
        cluster.close()
        if not was_up:
            bed.down()


def bench(nodes: int, pods: int, repeats: int) -> None:
    """Both contenders at one size."""
    outcomes: dict[str, list[Outcome]] = {name: [] for name in CONTENDERS}
    for number in range(1, repeats + 1):
        for name, found in outcomes.items():
            progress(f"{name}, run {number} of {repeats}")
            before = _api_server_cpu_seconds()
            command = [sys.executable, "-m", "tests.bench.collect", "--contender", name]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=ROOT)
            found.append({**json.loads(done.stdout), "server": _api_server_cpu_seconds() - before})
    say(f"\nCollecting, {nodes:,} simulated nodes and {pods:,} pods, {repeats} runs each")
    for title, key, unit in (
        ("time", "seconds", "s"),
        ("peak memory", "peak_mib", "MiB"),
        ("API server's CPU time", "server", "s"),
    ):
        for name, found in outcomes.items():
            say(f"  {name + ', ' + title:<42} {spread([o[key] for o in found], unit)}")
    say(f"  objects: {outcomes['collect'][0]['objects']:,} collected, {outcomes['typed-list'][0]['objects']:,} listed")
    for title, key, goal in (("time", "seconds", MAX_TIME_RATIO), ("memory", "peak_mib", MAX_MEMORY_RATIO)):
        ours, theirs = ([o[key] for o in outcomes[name]] for name in ("collect", "typed-list"))
        say_ratio(f"{title}, collect / typed list", ours, theirs, goal=goal)
    ratio = median(o["server"] for o in outcomes["collect"]) / median(o["server"] for o in outcomes["typed-list"])
    say(f"  {'API server CPU, collect / typed list':<34} {ratio:8.2f} x")


def collect_all() -> int:
    """Every resource that auditor has a view of, into a bundle."""
    from auditor.cluster import Limits, connect
    from auditor.collect import collect
    from auditor.facts.parts import part_of, raw
    from auditor.reading_plan import plan
    from tests.bench.contenders import LISTED_VIEWS

    folder = Path(tempfile.mkdtemp(prefix="auditor-bench-"))
    try:
        wanted = plan([*map(part_of, LISTED_VIEWS), raw("readyz.txt"), raw("metrics.txt")])
        limits = Limits(requests_per_second=1_000)  # the spacing of requests is not what is measured
        return collect(connect(kubeconfig=KUBECONFIG), wanted, folder / "bundle", limits=limits).objects
    finally:
        shutil.rmtree(folder)


def typed_list() -> int:
    """The pods alone, as the package's users do."""
    from kubernetes import client, config

    config.load_kube_config(str(KUBECONFIG))
    return len(client.CoreV1Api().list_pod_for_all_namespaces().items)


CONTENDERS: dict[str, Callable[[], int]] = {"collect": collect_all, "typed-list": typed_list}


def _measured(contender: Callable[[], int]) -> dict[str, Any]:
    started = time.perf_counter()
    objects = contender()
    seconds = time.perf_counter() - started
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"objects": objects, "seconds": seconds, "peak_mib": peak_mib}


def _api_server_cpu_seconds() -> float:
    pid = processes.recorded()["kube-apiserver"].pid
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND


if __name__ == "__main__":
    main()
