"""What came of a check, and the report that all of them make."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from kennel.checking.catalogue import CHECKS, PARTS, Check

SCHEMA: Final = 1  # of the JSON document; raised when a reader of the last one would go wrong
Figure = float | int | str | bool | None


class Status(StrEnum):
    """How a check ended."""

    PASS = "pass"  # noqa: S105 - not a password
    FAIL = "fail"  # SageMaker asks for it, and the image does not do it
    WARN = "warn"  # works on SageMaker, and will be regretted
    SKIP = "skip"  # not checked, and the evidence says why


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    check: Check
    status: Status
    evidence: str  # what was seen, with its figures
    figures: Mapping[str, Figure] = field(default_factory=dict)  # for machines; units in the names
    remedy: str = ""  # what to do; empty unless it failed or warns

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-able document."""
        return {
            "id": self.check.id,
            "part": self.check.part,
            "title": self.check.title,
            "contract": self.check.contract,
            "status": str(self.status),
            "evidence": self.evidence,
            "figures": dict(self.figures),
            "remedy": self.remedy or None,
        }


def passed(check: str, evidence: str, **figures: Figure) -> Finding:
    """Say that the check of this id holds."""
    return Finding(CHECKS[check], Status.PASS, evidence, figures)


def failed(check: str, evidence: str, *, remedy: str = "", **figures: Figure) -> Finding:
    """Say that it does not, with the catalogue's remedy unless there is a better one."""
    return Finding(CHECKS[check], Status.FAIL, evidence, figures, remedy or CHECKS[check].remedy)


def warned(check: str, evidence: str, *, remedy: str = "", **figures: Figure) -> Finding:
    """Say that it holds in a way that will be regretted."""
    return Finding(CHECKS[check], Status.WARN, evidence, figures, remedy or CHECKS[check].remedy)


def skipped(check: str, why: str) -> Finding:
    """Say that nobody looked, and why."""
    return Finding(CHECKS[check], Status.SKIP, why)


@dataclass(frozen=True)
class Report:
    """What was found in an image."""

    image: str  # as it was asked for
    image_id: str  # sha256:…
    findings: Sequence[Finding]
    parts: Mapping[str, str]  # part -> why it was checked, or why not

    @property
    def ok(self) -> bool:
        """Whether nothing failed."""
        return not self.of(Status.FAIL)

    def of(self, status: Status) -> list[Finding]:
        """Return the findings with this status."""
        return [finding for finding in self.findings if finding.status == status]

    def counts(self) -> dict[str, int]:
        """Return how many checks ended in which way."""
        found = Counter(finding.status for finding in self.findings)
        return {str(status): found[status] for status in Status}

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-able document; its form is told in docs/check.md."""
        return {
            "schema": SCHEMA,
            "image": self.image,
            "image_id": self.image_id,
            "ok": self.ok,
            "counts": self.counts(),
            "parts": {part: self.parts.get(part, "") for part in PARTS},
            "checks": [finding.to_dict() for finding in self.findings],
        }
