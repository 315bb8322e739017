"""What the settings of single plugins come to: CoreDNS' defaults filled in, units made seconds.

Each reader raises :class:`~auditor.facts.corefile.lexer.CorefileError` for a value that CoreDNS refuses. A value that
comes from an environment variable is not known, and None.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from auditor.facts.corefile.lexer import CorefileError
from auditor.facts.corefile.model import Corefile, Directive, ServerBlock, is_symbolic
from auditor.facts.corefile.zones import closest, is_reverse, zones_of
from auditor.facts.durations import duration_nanoseconds
from auditor.facts.kube.meta import LabelSelector, Requirement

USUAL_CLUSTER_DOMAIN = "cluster.local."

_POD_MODES = ("disabled", "insecure", "verified")
_NUMBER = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class KubernetesPlugin:
    """How a server block answers for the cluster's Services.

    Attributes:
        zones: the zones that it answers for.
        ttl_seconds: how long its answers may be kept, those that a name does not exist too.
        has_endpoints: whether it knows the pods behind Services; without, headless Services have no addresses.
        namespaces: the only namespaces that it knows; None for all.
        namespace_labels: what the labels of namespaces must meet, as it is written; None for anything.
        labels: what the labels of Services and EndpointSlices must meet, as it is written; None for anything.
        passes_on: the zones in which what it does not know is passed on to other plugins.
        directive: where it stands.
    """

    zones: tuple[str, ...]
    ttl_seconds: int | None
    has_endpoints: bool
    namespaces: frozenset[str] | None
    namespace_labels: str | None
    labels: str | None
    passes_on: tuple[str, ...]
    directive: Directive


@dataclass(frozen=True, slots=True, kw_only=True)
class CachePlugin:
    """How long a server block keeps answers.

    Attributes:
        zones: the zones that it keeps answers of.
        denial_seconds: the longest that it keeps "does not exist".
        least_denial_seconds: the shortest.
        no_denials_of: the zones of which it keeps no such answers.
    """

    zones: tuple[str, ...]
    denial_seconds: int | None
    least_denial_seconds: int | None
    no_denials_of: tuple[str, ...]

    def keeps_denial_of(self, name: str) -> bool:
        """Whether it keeps that a name (lower case, final dot) does not exist."""
        return closest(name, self.zones) is not None and closest(name, self.no_denials_of) is None

    def denial_kept_seconds(self, ttl_seconds: int) -> int | None:
        """How long it keeps "does not exist" that came with this time to live."""
        if self.denial_seconds is None or self.least_denial_seconds is None:
            return None
        return min(max(ttl_seconds, self.least_denial_seconds), self.denial_seconds)


def read_kubernetes(block: ServerBlock, directive: Directive) -> KubernetesPlugin:
    """The settings of a ``kubernetes`` plugin."""
    ttl = directive.option("ttl")
    _refuse_bad_kubernetes_options(directive)
    namespaces = [word for each in directive.options if each.name == "namespaces" for word in each.args]
    passing = directive.option("fallthrough")
    return KubernetesPlugin(
        zones=_zones(directive.args, block),
        ttl_seconds=5 if ttl is None else _integer(ttl, 0, least=0, most=3600),
        has_endpoints=directive.option("noendpoints") is None,
        namespaces=frozenset(namespaces) or None,
        namespace_labels=_expression(directive, "namespace_labels"),
        labels=_expression(directive, "labels"),
        passes_on=() if passing is None else tuple(_named(passing.args)) or (".",),
        directive=directive,
    )


def read_cache(block: ServerBlock, directive: Directive) -> CachePlugin:
    """The settings of a ``cache`` plugin."""
    args = directive.args
    most: int | None = 1800
    least: int | None = 5
    if args and (_NUMBER.fullmatch(args[0]) or is_symbolic(args[0])):
        most = _integer(directive, 0, least=1)
        args = args[1:]
    for option in directive.options:
        if option.name in ("success", "denial"):
            _integer(option, 0)
    denial = directive.option("denial")
    if denial is not None and len(denial.args) > 1:
        most = _integer(denial, 1, least=1)
    if denial is not None and len(denial.args) > 2:
        least = _integer(denial, 2, least=0)
    disabled = [each.args[1:] for each in directive.options if each.name == "disable" and each.args[:1] == ("denial",)]
    return CachePlugin(
        zones=_zones(args, block),
        denial_seconds=most,
        least_denial_seconds=least,
        no_denials_of=tuple(_named(disabled[-1])) or (".",) if disabled else (),
    )


def lameduck_seconds(health: Directive) -> float | None:
    """How long CoreDNS goes on answering after it was told to stop; 0 where nothing is set."""
    option = health.option("lameduck")
    if option is None:
        return 0.0
    if len(option.args) != 1:
        raise _refused(option, "lameduck needs one duration on a line of its own")
    if is_symbolic(option.args[0]):
        return None
    try:
        return duration_nanoseconds(option.args[0]) / 10**9
    except ValueError:
        raise _refused(option, f"{option.args[0]!r} is not a duration such as 5s") from None


def cluster_domain(corefile: Corefile) -> str | None:
    """The domain of the cluster's Services, with the final dot; None where no kubernetes plugin names one."""
    found = [
        zone
        for block, directive in corefile.plugins("kubernetes")
        for zone in read_kubernetes(block, directive).zones
        if not is_reverse(zone)
    ]
    return USUAL_CLUSTER_DOMAIN if USUAL_CLUSTER_DOMAIN in found else next(iter(found), None)


def parse_selector(text: str) -> LabelSelector | None:
    """A label selector as it is written in one line; None where it cannot be read."""
    requirements: list[Requirement] = []
    for part in re.split(r",(?![^(]*\))", text):
        requirement = _requirement(part.strip())
        if requirement is None:
            return None
        requirements.append(requirement)
    return LabelSelector(match_expressions=tuple(requirements))


def _requirement(text: str) -> Requirement | None:
    name = r"[A-Za-z0-9./_-]+"
    if match := re.fullmatch(rf"(!?)\s*({name})", text):
        return Requirement(key=match[2], operator="DoesNotExist" if match[1] else "Exists")
    if match := re.fullmatch(rf"({name})\s*(==?|!=)\s*([A-Za-z0-9._-]*)", text):
        return Requirement(key=match[1], operator="NotIn" if match[2] == "!=" else "In", values=(match[3],))
    if match := re.fullmatch(rf"({name})\s+(in|notin)\s*\(([^()]*)\)", text):
        values = tuple(value.strip() for value in match[3].split(","))
        return Requirement(key=match[1], operator="In" if match[2] == "in" else "NotIn", values=values)
    return None


def _expression(directive: Directive, name: str) -> str | None:
    option = directive.option(name)
    return None if option is None else " ".join(option.args)


def _zones(args: tuple[str, ...], block: ServerBlock) -> tuple[str, ...]:
    """The zones that a plugin names, or else those of its block."""
    return tuple(_named(args)) if args else tuple(address.zone for address in block.addresses)


def _named(args: tuple[str, ...]) -> list[str]:
    return [zone for arg in args for zone in zones_of(arg)]


def _refuse_bad_kubernetes_options(directive: Directive) -> None:
    for option in directive.options:
        if option.name == "pods" and not (len(option.args) == 1 and _is_pod_mode(option.args[0])):
            raise _refused(option, f"pods must be one of {', '.join(_POD_MODES)}, on a line of its own")
        if option.name == "noendpoints" and option.args:
            raise _refused(option, "noendpoints takes no argument, and needs a line of its own")


def _is_pod_mode(text: str) -> bool:
    return text in _POD_MODES or is_symbolic(text)


def _integer(directive: Directive, position: int, *, least: int | None = None, most: int | None = None) -> int | None:
    """An argument that must be a whole number; None where an environment variable says it."""
    if position >= len(directive.args):
        raise _refused(directive, f"{directive.name} needs a number")
    text = directive.args[position]
    if is_symbolic(text):
        return None
    if not _NUMBER.fullmatch(text):
        raise _refused(directive, f"{text!r} is not a whole number")
    value = int(text)
    if (least is not None and value < least) or (most is not None and value > most):
        bounds = f"at least {least}" if most is None else f"between {least} and {most}"
        raise _refused(directive, f"{directive.name} must be {bounds}, and is {value}")
    return value


def _refused(directive: Directive, what: str) -> CorefileError:
    return CorefileError(what, line=directive.line, file=directive.file)
