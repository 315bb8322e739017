"""``make bench``: start-up, reading and judging, each beside its yardstick and its goal.

Every figure is the median of fresh processes, with the least and the greatest in brackets. Ratios compare contenders
that took turns within this run, so that the machine's mood cancels out.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).parents[2]

MAX_STARTUP_RATIO = 3.0
MAX_JUDGING_S = 15.0
MAX_JUDGING_MIB = 500.0
MAX_READING_TIME_RATIO = 0.5
MAX_READING_MEMORY_RATIO = 0.2

Outcome = dict[str, Any]


def main() -> None:
    """Measure what the command line asks for."""
    options = _options()
    say(f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, {busy_cores()}")
    bench_startup(options.startup_repeats)
    folder = Path(tempfile.mkdtemp(prefix="auditor-bench-"))
    try:
        bundle = generate(folder / "bundle", nodes=options.nodes, pods=options.pods)
        bench_judging(bundle, options.repeats)
        bench_reading(bundle, options.repeats)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def bench_startup(repeats: int) -> None:
    """``auditor --help`` against importing click alone."""
    commands = {
        "python -c 'import click'": [sys.executable, "-c", "import click"],
        "auditor --help": [str(Path(sys.executable).with_name("auditor")), "--help"],
    }
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(repeats + 1):
        for name, command in commands.items():
            start = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=ROOT)
            if number:  # the first round only warms the file cache
                seconds[name].append(time.perf_counter() - start)
    say(f"\nStart-up, {repeats} runs each")
    for name, taken in seconds.items():
        say(f"  {name:<34} {spread([1000 * s for s in taken], 'ms')}")
    say_ratio("auditor / click", *reversed(seconds.values()), goal=MAX_STARTUP_RATIO)


def generate(bundle: Path, *, nodes: int, pods: int) -> Path:
    """Write the bundle that the other benches read; in a process of its own, whose memory is not counted."""
    progress(f"generating {nodes:,} nodes and {pods:,} pods")
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "tests.bench.generate", bundle, str(nodes), str(pods)], check=True, cwd=ROOT)
    size_mib = sum(path.stat().st_size for path in bundle.rglob("*") if path.is_file()) / 2**20
    say(f"\nBundle: {nodes:,} nodes, {pods:,} pods, {size_mib:.0f} MiB; written in {time.perf_counter() - start:.0f} s")
    return bundle


def bench_judging(bundle: Path, repeats: int) -> None:
    """All views, look-ups over all pods, all checks; then where the time goes."""
    outcomes = contend(bundle, ("judging", "reading-without-pods"), repeats)
    judged, others = outcomes["judging"], outcomes["reading-without-pods"]
    counts = judged[0]["counts"]
    say(f"\nJudging, {repeats} runs: {counts['checks']} checks, {counts['findings']} findings, "
        f"{counts['look-ups']:,} look-ups found what they sought")  # fmt: skip
    say_goal("time", [o["seconds"] for o in judged], "s", MAX_JUDGING_S)
    say(f"  {'processor time, start included':<34} {spread([o['cpu_s'] for o in judged], 's')}; {busy_cores()}")
    say_goal("peak memory", [o["peak_mib"] for o in judged], "MiB", MAX_JUDGING_MIB)
    other_s = median(o["seconds"] for o in others)
    phases = {
        "read pods": [o["phases"]["read"] - other_s for o in judged],
        "read all else": [o["seconds"] for o in others],
        "look-ups": [o["phases"]["look-ups"] for o in judged],
        "checks": [o["phases"]["checks"] for o in judged],
    }
    for name, seconds in phases.items():
        say(f"    {name:<26} {spread(seconds, 's')}")


def bench_reading(bundle: Path, repeats: int) -> None:
    """The reader against the standard library's ``json.load`` of the same files."""
    outcomes = contend(bundle, ("reading", "json-load", "json-load-without-gc"), repeats)
    say(f"\nReading, {repeats} runs each")
    for unit, key in (("s", "seconds"), ("MiB", "peak_mib")):
        for name, found in outcomes.items():
            say(f"  {name:<34} {spread([o[key] for o in found], unit)}")
    for title, key, goal in (
        ("time", "seconds", MAX_READING_TIME_RATIO),
        ("memory", "peak_mib", MAX_READING_MEMORY_RATIO),
    ):
        ours, theirs = ([o[key] for o in outcomes[name]] for name in ("reading", "json-load"))
        say_ratio(f"{title}, read_bundle / json.load", ours, theirs, goal=goal)
    ours_s, without_gc_s = (median(o["seconds"] for o in outcomes[n]) for n in ("reading", "json-load-without-gc"))
    say(f"  {'for comparison: time without gc':<34} {ours_s / without_gc_s:8.2f} x")


def contend(bundle: Path, names: Sequence[str], repeats: int) -> dict[str, list[Outcome]]:
    """Let the contenders take turns, each in a fresh process."""
    outcomes: dict[str, list[Outcome]] = {name: [] for name in names}
    for number in range(1, repeats + 1):
        for name in names:
            progress(f"{name}, run {number} of {repeats}")
            command = [sys.executable, "-m", "tests.bench.contenders", name, str(bundle)]
            done = subprocess.run(command, check=True, capture_output=True, cwd=ROOT)
            outcomes[name].append(json.loads(done.stdout))
    return outcomes


def spread(values: Sequence[float], unit: str) -> str:
    """``median unit (least-greatest)``."""
    return f"{median(values):8.2f} {unit} ({min(values):.2f}-{max(values):.2f})"


def busy_cores() -> str:
    """How many processes wanted a core in the last minute, this bench's own included; it takes one."""
    return f"load {os.getloadavg()[0]:.1f}"


def say_goal(title: str, values: Sequence[float], unit: str, goal: float) -> None:
    """A figure and whether its median reaches the goal."""
    say(f"  {title:<34} {spread(values, unit)}   goal <= {goal:g} {unit}: {verdict(median(values), goal)}")


def say_ratio(title: str, ours: Sequence[float], theirs: Sequence[float], *, goal: float) -> None:
    """The ratio of two medians, the range over neighbouring runs, and whether it reaches the goal."""
    ratio = median(ours) / median(theirs)
    pairs = [a / b for a, b in zip(ours, theirs, strict=True)]
    say(
        f"  {title:<34} {ratio:8.2f} x ({min(pairs):.2f}-{max(pairs):.2f})   goal <= {goal:g} x: {verdict(ratio, goal)}"
    )


def verdict(value: float, goal: float) -> str:
    """In a word."""
    return "reached" if value <= goal else "MISSED"


def say(line: str) -> None:
    """Print a line of the result."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def progress(line: str) -> None:
    """Print what is being done."""
    sys.stderr.write(f"… {line}\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=5_000)
    parser.add_argument("--pods", type=int, default=150_000)
    parser.add_argument("--repeats", type=int, default=3, help="of each large bench")
    parser.add_argument("--startup-repeats", type=int, default=20)
    return parser.parse_args()


if __name__ == "__main__":
    main()
