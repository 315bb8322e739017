"""What a run of probes will do, before it does it: a few lines to read, and all manifests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import yaml

from auditor.probing import ProbeRun, RunPlan
from auditor.sandbox.settings import SandboxSettings

_GIB = 1024**3


def outline(plan: RunPlan, settings: SandboxSettings, *, namespace: str) -> list[str]:
    """The plan in lines: where, what and how many, how much at one time, how long, what else to know."""
    own = "" if settings.namespace else " (made for the run, and removed with it)"
    kinds = Counter[str]()
    for manifest in plan.housing:
        kinds[manifest["kind"]] += 1
    for each in plan.probes.values():
        for planned in each.objects:
            kinds[planned.manifest["kind"]] += planned.count
    lines = [
        f"probes       {', '.join(plan.probes)}",
        f"namespace    {namespace}{own}",
        f"creates      {', '.join(f'{count} {kind}' for kind, count in sorted(kinds.items()))}",
        f"at one time  {_at_once(plan, settings)}",
        f"takes        {_duration(plan.seconds(settings.pods_at_once))} on a healthy cluster",
    ]
    lines += [f"note         {name}: {text}" for name, each in plan.probes.items() for text in each.notes]
    return lines


def manifests(run: ProbeRun, plan: RunPlan) -> Iterator[str]:
    """The plan as YAML documents: its outline and the place of each manifest as comments, then the manifests."""
    lines = outline(plan, run.sandbox.settings, namespace=run.sandbox.namespace)
    yield "".join(f"# {line}\n" for line in lines)
    for manifest in plan.housing:
        yield f"---\n# the sandbox\n{_yaml(run.sandbox.stamped(manifest))}"
    for probe in run.probes:
        each = plan.probes[probe.id]
        view = run.sandbox.for_probe(probe.id)
        for planned in each.objects:
            times = f", {planned.count} of this kind" if planned.count > 1 else ""
            yield f"---\n# probe {probe.id}{times}\n{_yaml(view.stamped(planned.manifest))}"


def _at_once(plan: RunPlan, settings: SandboxSettings) -> str:
    pods = min(settings.pods_at_once, sum(each.pods_at_once for each in plan.probes.values()))
    said = [f"at most {pods} pods"]
    if plan.storage_bytes:
        said.append(f"{plan.storage_bytes / _GIB:.1f} GiB of volumes")
    if balancers := sum(each.load_balancers for each in plan.probes.values()):
        said.append(f"{balancers} load balancers, which may cost money")
    return ", ".join(said)


def _duration(seconds: float) -> str:
    return f"about {seconds / 60:.0f} minutes" if seconds >= 90 else f"about {seconds:.0f} s"


def _yaml(manifest: object) -> str:
    return yaml.safe_dump(manifest, sort_keys=False, default_flow_style=False, width=120)
