"""LoadBalancing: workers, GPUs or else hosts, that do not have equally much to do."""

from itertools import combinations

from kennel.profiling import quantiles
from kennel.profiling.evidence import Evidence
from kennel.profiling.rules import samples
from kennel.profiling.rules.rule import PATIENCE, SCAN, Judgement, Rule, Values
from kennel.profiling.rules.samples import too_short
from kennel.profiling.system import Series
from kennel.rules.outcome import Finding
from kennel.rules.parameters import Parameter


def balance(evidence: Evidence, values: Values) -> Judgement:
    """Judge LoadBalancing: GPUs beside each other, or else the cores of several hosts."""
    workers = samples.gpus(evidence)
    if not workers:
        cores = samples.by_node(samples.of(evidence, samples.CPU, samples.training(evidence)))
        workers = tuple(samples.average(found) for found in cores.values())
    if len(workers) < 2:  # noqa: PLR2004 - a pair is compared
        return Judgement(reason="there is one worker only: nothing to balance")
    ready = [worker for worker in workers if len(worker.values) > values["patience"]]
    if len(ready) < 2:  # noqa: PLR2004 - a pair is compared
        return Judgement(reason=too_short(workers, values["patience"]))
    bins = quantiles.bins_for(min(len(worker.values) for worker in ready))
    counts = {id(worker): quantiles.histogram(worker.values, 0, 100, bins) for worker in ready}
    apart = [
        (quantiles.distance(counts[id(one)], counts[id(other)]), one, other)
        for one, other in combinations(ready, 2)
    ]
    far = sorted((pair for pair in apart if pair[0] > values["threshold"]), key=lambda it: -it[0])
    details: dict[str, dict[str, dict[str, object]]] = {}
    for worker in ready:
        place = details.setdefault(worker.node, {"workloads": {}, "distances": {}})
        place["workloads"][worker.name or "cpu"] = counts[id(worker)]
    for gap, one, other in apart:
        details[one.node]["distances"][f"{_name(one)} and {_name(other)}"] = round(gap, 4)
    return Judgement(
        datapoints=min(len(worker.values) for worker in ready),
        violations=len(far),
        findings=tuple(_unbalanced(pair, values["threshold"]) for pair in far[:10]),
        details=details,
    )


def _unbalanced(pair: tuple[float, Series, Series], threshold: float) -> Finding:
    gap, one, other = pair
    means = {_name(worker): quantiles.mean(worker.values) for worker in (one, other)}
    busy, idle = max(means, key=means.__getitem__), min(means, key=means.__getitem__)
    lost = (means[busy] - means[idle]) / 100 * (one.times[-1] - one.times[0])
    return Finding(
        f"{_name(one)} and {_name(other)}",
        f"{busy} is {means[busy]:.0f} % busy and {idle} {means[idle]:.0f} %: "
        f"their workloads are {gap:.2f} apart",
        f"give {idle} as much to do as {busy}: equal shares of each batch (kennel's training does "
        "so: with it, look for another program on the same machine), or fewer of them",
        gap,
        threshold,
        cost_s=lost,
    )


def _name(worker: Series) -> str:
    return f"{worker.name} of {worker.node}" if worker.name else worker.node


RULES = (
    Rule(
        "LoadBalancing",
        "GPUs (or, without any, hosts) do not have equally much to do",
        (
            Parameter(
                "threshold", 0.5, "distance of two histograms of utilisation", low=0, high=100
            ),
            PATIENCE,
            SCAN,
        ),
        balance,
    ),
)
