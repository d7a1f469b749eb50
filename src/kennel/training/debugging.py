"""
Debugs a training of kennel's own: has its tensors saved, and judged by rules while it runs.

How tensors are saved is kennel.debugging.hook's, how they are judged its evaluator's; here both are
driven by the loop, as one more observer of it. What is asked for is in the hyperparameters debug*,
or in the platform's debughookconfig.json.
"""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

from torch import Tensor, nn
from torch.optim import Optimizer

from kennel.contract import ContainerPaths
from kennel.debugging import hook_config
from kennel.debugging.about import About
from kennel.debugging.hook import Reached, Recorder
from kennel.debugging.hook_config import Pace, Saving
from kennel.profiling.timeline import DEBUG
from kennel.rules import causes, debugger, keeping
from kennel.rules.configuration import Configuration
from kennel.rules.outcome import ERROR, ISSUES, Finding, Outcome
from kennel.training import config
from kennel.training.epochs import Epoch
from kennel.training.group import Group
from kennel.training.hyperparameters import Hyperparameters
from kennel.training.log import say
from kennel.training.loop import Stage, State
from kennel.training.observer import OFF, Observer, Off
from kennel.training.prepare import Job
from kennel.training.reporting import or_say
from kennel.training.stopping import Stop

if TYPE_CHECKING:
    from kennel.debugging.evaluator import Evaluator

TENSORS, RULES = "tensors", "rules"
TOLD = 3  # findings of each rule that are printed when they are made
SHARE = 0.01  # of the time, at most, that the rules may take beside the training


class Debugging(Protocol):
    """What debugs a run, from its first step to its last."""

    @property
    def observer(self) -> Observer:
        """What the loop tells of its steps."""
        ...

    @property
    def stopper(self) -> "Stopper | None":
        """The rule that has stopped the training, or would have; None: none."""
        ...

    def close(self) -> None:
        """Leave what the rules have found, however the training has ended."""
        ...


@dataclass(frozen=True)
class Stopper:
    """A rule that stops the training: its name, what it has found, and its advice."""

    name: str
    found: str
    advice: str = ""

    @classmethod
    def of(cls, outcome: Outcome) -> Self:
        """Return what its first finding says."""
        if not outcome.findings:
            return cls(outcome.name, outcome.reason)
        first = outcome.findings[0]
        return cls(outcome.name, found(first), first.advice)


class NotDebugged:
    """Nobody asked for it."""

    observer = OFF
    stopper = None

    def close(self) -> None:
        """Do nothing."""


class Debugger(Off):
    """
    Saves tensors and judges them.

    Args:
        recorder: What saves.
        rules: What judges; None: somebody else does, or nobody.
        output: Where findings are left.
        stop: Of the run; is requested by a rule that stops it.
    """

    def __init__(
        self, recorder: Recorder, rules: "Evaluator | None", output: Path, stop: Stop
    ) -> None:
        self.stopper: Stopper | None = None
        self._recorder, self._rules, self._output, self._stop = recorder, rules, output, stop
        self._began, self._spent_s, self._judged = time.perf_counter(), 0.0, 0
        self._told: Counter[str] = Counter()

    @property
    def observer(self) -> Observer:
        """Itself."""
        return self

    def training(self, module: nn.Module, criterion: nn.Module, optimizer: Optimizer) -> None:  # noqa: ARG002 - the loop's
        """Have *module* watched."""
        self._recorder.training(module, criterion)

    @contextmanager
    def step(self, epoch: int, number: int) -> Iterator[None]:  # noqa: ARG002 - steps are counted over the run
        """Save what is to be saved of the step, and look at it now and then."""
        with self._recorder.step(number):
            yield
        if self._rules and self._recorder.saved > self._judged:
            self._look(self._rules)

    def learnt(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Save what the step came to."""
        self._recorder.learnt(loss, logits, labels)

    def evaluating(self, module: nn.Module) -> None:
        """Have the module watched."""
        self._recorder.evaluating(module)

    def evaluated(self, logits: Tensor, labels: Tensor) -> None:
        """Save what a batch of the evaluation came to."""
        self._recorder.evaluated(logits, labels)

    def epoch(self, epoch: Epoch) -> None:
        """Save what the epoch came to."""
        self._recorder.epoch(
            {
                "number": epoch.epoch,
                "train_loss": epoch.train_loss,
                "train_accuracy": epoch.train_accuracy,
                "valid_loss": epoch.valid_loss,
                "valid_accuracy": epoch.valid_accuracy,
            }
        )

    def close(self) -> None:
        """Save what is open, judge the rest, and keep what was found."""
        self._recorder.close()
        if self._rules:
            or_say("the tensors could not be judged", partial(self._finish, self._rules))

    def _look(self, rules: "Evaluator") -> None:
        """Judge what is new, as long as that takes no more than its share of the time."""
        began = time.perf_counter()
        if self._spent_s > SHARE * (began - self._began):
            return
        self._judged = self._recorder.saved
        or_say("the rules could not look at the training", partial(self._judge, rules))
        self._spent_s += time.perf_counter() - began

    def _judge(self, rules: "Evaluator") -> None:
        rules.advance()
        self._tell(rules)
        if self.stopper is None and (broken := rules.stopper()):
            self.stopper = Stopper.of(broken)
            say(f"rule {broken.name} stops the training")
            self._stop()

    def _finish(self, rules: "Evaluator") -> None:
        rules.finish()
        self._tell(rules)
        if self.stopper is None and (late := rules.stopper()):
            self.stopper = Stopper.of(late)
        outcomes = rules.write(self._output)
        if self._recorder.failure:
            outcomes = doubted(outcomes, self._recorder.failure)
            keeping.write(self._output / RULES, outcomes)
        ordered = sorted(outcomes, key=lambda outcome: causes.place(outcome.rule))
        broken = [f"{each.name} ({each.violations})" for each in ordered if each.is_violated]
        said = f": {', '.join(broken)}" if broken else ""
        say(f"debugger: {len(broken)} of {len(outcomes)} rules have found something{said}")

    def _tell(self, rules: "Evaluator") -> None:
        """Print what is new, of each rule the worst few alone: the report has them all."""
        for configuration, finding in rules.news():
            self._told[configuration.name] += 1
            if self._told[configuration.name] <= TOLD:
                say(finding_line(configuration.name, finding))


def start(paths: ContainerPaths, job: Job, state: State, stage: Stage, stop: Stop) -> Debugging:
    """
    Start what is asked for, and say so.

    Args:
        paths: Of the container.
        job: Its hyperparameters debug* say what is saved, and by which rules it is judged.
        state: As it is restored: steps go on where they were.
        stage: Of its group the first rank saves, unless a DebugHookConfig wants every worker's
            tensors; its observer is told what that takes.
        stop: Is requested by a rule that stops the training.

    Raises:
        RuleError: The platform's debughookconfig.json is malformed.
    """
    chosen, group = job.chosen, stage.group
    saving = hook_config.read(paths.debug_hook_config)
    if saving is None and chosen.debug:
        saving = hook_config.asked(
            chosen.debug_collections, chosen.debug_include, _pace(job, group)
        )
    if saving is None or (group.rank and not saving.every_worker):
        return NotDebugged()
    folder = _folder(paths, saving)
    recorder = Recorder(
        saving,
        folder,
        reached=_reached(job, state, group),
        say=say,
        scale=state.scaler.get_scale,
        aside=partial(stage.observer.phase, DEBUG),
        of=_about(job, state),
    )
    rules = None if group.rank or not chosen.debug else _rules(chosen, folder)
    if not recorder.failure:
        say(f"debugger: saves {', '.join(saving.names) or 'losses'} in {folder}")
    return Debugger(recorder, rules, paths.debug, stop)


def _about(job: Job, state: State) -> About:
    """Return what findings call classes by, and which rules have an object."""
    layers = frozenset(type(module).__name__ for module in state.model.modules())
    return About(tuple(job.data.class_names), layers)


def _folder(paths: ContainerPaths, saving: Saving) -> Path:
    if saving.is_platforms:
        return config.mounted(paths, saving.folder or ContainerPaths().tensors)
    return paths.debug / TENSORS


def _pace(job: Job, group: Group) -> Pace:
    chosen = job.chosen
    return Pace.of(chosen.epochs * _steps(job), _evaluated(job, group), chosen.debug_save_interval)


def _reached(job: Job, state: State, group: Group) -> Reached:
    epochs = len(state.history)
    return Reached(epochs * _steps(job) + state.step, epochs * _evaluated(job, group))


def _steps(job: Job) -> int:
    """Return how many an epoch has."""
    count, size = len(job.data.train), job.chosen.batch_size
    return max(1, count // size + (count % size > 1))


def _evaluated(job: Job, group: Group) -> int:
    """Return the batches of an evaluation that one rank sees."""
    return -(-len(job.data.valid) // (job.reading.batch_size * group.size))


def _rules(chosen: Hyperparameters, folder: Path) -> "Evaluator | None":
    """Return what judges; None where no rule is asked for."""
    from kennel.debugging.evaluator import Evaluator  # noqa: PLC0415 - only where it is wanted

    asked = debugger.asked(chosen.debug_rules)
    return Evaluator(folder, [_stopping(each, chosen) for each in asked], chosen.texts())


def _stopping(configuration: Configuration, chosen: Hyperparameters) -> Configuration:
    return replace(configuration, stops=configuration.stops or chosen.debug_stop)


def finding_line(name: str, finding: Finding) -> str:
    """Return what is printed of a finding when it is made."""
    advice = f": {finding.advice}" if finding.advice else ""
    return f"rule {name}: {found(finding)}{advice}"


def found(finding: Finding) -> str:
    """Return where something is wrong, and what."""
    at = "" if finding.step is None else f"step {finding.step}: "
    return f"{at}{finding.subject}: {finding.problem}"


def doubted(outcomes: Sequence[Outcome], failure: str) -> tuple[Outcome, ...]:
    """Return what can be said of rules whose tensors came to an end before the training did."""
    reason = f"tensors are missing: {failure}"
    return tuple(
        outcome if outcome.status == ISSUES else replace(outcome, status=ERROR, reason=reason)
        for outcome in outcomes
    )
