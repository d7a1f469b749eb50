"""
What the operators of the traced steps cost (operators.json).

Read here with the standard library; torch.profiler's side of it is trace.py's.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kennel import documents

FILE = "operators.json"
TRACE = "trace.json.gz"  # the same steps for Perfetto and chrome://tracing


@dataclass(frozen=True)
class Operator:
    """
    One operator, over all traced steps.

    Args:
        name: aten::convolution and so on.
        calls: How often.
        self_cpu_s: Seconds of a core, without the operators that it calls.
        cpu_s: With them.
        self_gpu_s: Seconds of a GPU; 0 without one.
        gpu_s: With what it calls.
        share: Of all operators' own time, on the GPU where there is one; 0 to 1.
    """

    name: str
    calls: int
    self_cpu_s: float
    cpu_s: float
    self_gpu_s: float
    gpu_s: float
    share: float


def read(folder: Path) -> tuple[Operator, ...]:
    """Return the operators in *folder*, a profiler-output, the costliest first."""
    try:
        found = [_operator(row) for row in documents.read(folder / FILE)["operators"]]
    except (KeyError, TypeError, ValueError):
        return ()
    return tuple(sorted(found, key=lambda operator: -operator.share))


def write(folder: Path, operators: Sequence[Operator]) -> None:
    """Keep *operators* in *folder*, a profiler-output, at once."""
    documents.write(folder / FILE, {"operators": [asdict(operator) for operator in operators]})


def _operator(row: dict[str, Any]) -> Operator:
    return Operator(
        str(row["name"]),
        int(row["calls"]),
        float(row["self_cpu_s"]),
        float(row["cpu_s"]),
        float(row["self_gpu_s"]),
        float(row["gpu_s"]),
        float(row["share"]),
    )
