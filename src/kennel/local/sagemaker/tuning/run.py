"""
One tuning job on its way to its end, in a thread of its own.

A look at the training jobs, the next step, and again. Every step is written down before it is
taken: a training job and its entry in the tuning job are one transaction, so that none is started
twice and none is lost, and an end is noted with all that the search needs of it. So the next server
goes on where this one was killed. What to do is decided in kennel.tuning and in progress.
"""

import logging
import secrets
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING

from kennel.errors import KennelError
from kennel.local import disk
from kennel.local.resources import LOCAL, Document
from kennel.local.sagemaker.names import TUNING_JOB
from kennel.local.sagemaker.platform import Platform, now
from kennel.local.sagemaker.record import Closing, settle
from kennel.local.sagemaker.tags import Tags
from kennel.local.sagemaker.training.jobs import TrainingJobs
from kennel.local.sagemaker.training.metrics import regex
from kennel.local.sagemaker.tuning import checks, definition, launched, progress
from kennel.local.sagemaker.tuning.objective import Curve
from kennel.local.sagemaker.tuning.record import Record, summaries
from kennel.local.wire.context import REGION
from kennel.local.wire.errors import ApiError
from kennel.tuning import completion
from kennel.tuning.trials import Trial

if TYPE_CHECKING:
    from kennel.tuning.search import Search

LOG = logging.getLogger(__name__)

POLL_S = 0.1  # between two looks at the training jobs
LONGEST_POLL_S = 1.0
RESTS = 3  # times as long as a look took: hundreds of training jobs must not keep a core busy
UNIQUE_BYTES = 4  # of a training job's name, written as eight hexadecimal digits


class Run:
    """The way of one tuning job, whose trials are created by way of *jobs*."""

    def __init__(self, platform: Platform, jobs: TrainingJobs, tags: Tags, name: str) -> None:
        self.platform = platform
        self.jobs = jobs
        self.tags = tags
        self.record = Record(platform.resources, name)
        self._curves: dict[str, Curve] = {}
        self._judged: dict[str, int] = {}  # how long a trial's curve was when it was judged

    def run(self) -> None:
        """Bring the tuning job to its end, whatever happens on the way."""
        settle(self.record, self._settle, self.platform.closing)

    def _settle(self) -> None:
        with suppress(Closing):
            REGION.set(self.record.read()[LOCAL]["Region"])
            looked = time.monotonic()
            while not self._has_ended():
                rest_s = RESTS * (time.monotonic() - looked)
                if self.platform.closing.wait(min(max(POLL_S, rest_s), LONGEST_POLL_S)):
                    return
                looked = time.monotonic()

    def _has_ended(self) -> bool:
        """Take the next step; return whether that was the last."""
        tuning = self._note_ends(self.record.read())
        if progress.ending(tuning):
            return self._end(tuning)
        try:
            self._search_on(tuning)
        except (KennelError, ApiError) as error:
            self._fail(f"ClientError: {error}")
        except Closing:
            raise
        except Exception as error:
            if disk.is_full(error):
                raise
            LOG.exception("tuning job %s", self.record.name)
            self._fail(f"InternalServerError: {type(error).__name__}: {error}")
        return False

    # What has happened

    def _note_ends(self, tuning: Document) -> Document:
        """Write down of the training jobs that have ended meanwhile what came of them."""
        ended = {
            one["TrainingJobName"]: one | {"Curve": list(self._curve(tuning, one))}
            for one in summaries(self.platform.resources, tuning)
            if "Curve" not in one and one["ObjectiveStatus"] != "Pending"
        }
        if not ended:
            return tuning
        for name in ended:
            self._curves.pop(name, None)
        return self.record.change(lambda tuning: launched.settled(tuning, ended, now()))

    @cached_property
    def _compares_curves(self) -> bool:
        asked = checks.configuration(self.record.read())
        return asked.early_stopping or asked.halving is not None

    def _curve(self, tuning: Document, summary: Document) -> tuple[float, ...]:
        """Return the objective of a training job so far; nothing where no trial is judged by it."""
        if not self._compares_curves:  # and a job may print a value for every step
            return ()
        name = summary["TrainingJobName"]
        if name not in self._curves:
            metric = definition.objective(tuning)["MetricName"]
            pattern = regex(metric, definition.regex(tuning))
            self._curves[name] = Curve(self.platform.logs, name, pattern)
        return self._curves[name].read()

    # What to do

    @cached_property
    def search(self) -> "Search":
        """What decides; made again by every server, of what is written down."""
        # Optuna takes a second to import, and memory that a server without tuning need not have.
        from kennel.tuning.search import Search  # noqa: PLC0415

        tuning = self.record.read()
        search = Search(
            tuning["HyperParameterTuningJobConfig"],
            static=definition.static(tuning),
            parents=[launched.trial(parent) for parent in tuning[LOCAL]["Parents"]],
            name=self.record.name,
        )
        for note in search.notes:
            LOG.info("tuning job %s: %s", self.record.name, note)
        return search

    def _search_on(self, tuning: Document) -> None:
        """Stop what is not worth going on with, start what is next, or note that this is all."""
        known = summaries(self.platform.resources, tuning)
        trials = [launched.trial(one, self._seen(tuning, one)) for one in known]
        running = [trial for trial in trials if trial.running]
        limits = tuning["HyperParameterTuningJobConfig"]["ResourceLimits"]
        most = limits.get("MaxNumberOfTrainingJobs")
        self._note_convergence(tuning, trials)
        if reason := self.search.is_complete(trials, progress.runtime_s(tuning, now())):
            self._be_over(reason)
            return
        self._stop_early(trials)
        free = limits["MaxParallelTrainingJobs"] - len(running)
        left = free if most is None else min(free, most - len(trials))
        hopeless = completion.is_hopeless(trials)
        values = [] if hopeless or left <= 0 else self.search.suggest(trials, left)
        for one in values:
            self._launch(tuning, one)
        if not values and not running:
            self._be_over("none has succeeded" if hopeless else "nothing is left to try")

    def _seen(self, tuning: Document, summary: Document) -> Sequence[float]:
        return () if "Curve" in summary else self._curve(tuning, summary)

    def _note_convergence(self, tuning: Document, trials: Sequence[Trial]) -> None:
        """Write down when no better objective was to be expected any more."""
        if "ConvergedAt" in tuning[LOCAL]:
            return
        if completion.has_converged(trials, maximize=definition.is_maximised(tuning)):
            self.record.change(lambda tuning: progress.converged(tuning, now()))

    def _stop_early(self, trials: Sequence[Trial]) -> None:
        """Stop the trials that the search gives up, each asked about once for every value."""
        for trial in trials:
            # Of a trial that an earlier server has started, that one has judged what there is.
            seen = self._judged.setdefault(trial.name, len(trial.curve))
            if trial.running and len(trial.curve) > seen:
                self._judged[trial.name] = len(trial.curve)
                if self.search.should_stop(trials, trial.name, seen):
                    self._stop(trial.name)

    def _stop(self, name: str) -> None:
        with suppress(ApiError):  # it has ended by itself meanwhile
            self.jobs.stop({"TrainingJobName": name})

    def _launch(self, tuning: Document, values: Mapping[str, str]) -> None:
        """Start a training job with these values, unless the tuning job is being stopped."""
        number = len(launched.entries(self.record.read())) + 1
        name = definition.trial_name(self.record.name, number, secrets.token_hex(UNIQUE_BYTES))
        tags = self.tags.of(TUNING_JOB, self.record.name)
        request = definition.request(tuning, name, values, tags)
        self.jobs.check(request)
        self._judged[name] = 0
        with self.platform.resources.database.transaction():
            if progress.ending(self.record.read()):  # somebody has stopped it meanwhile
                return
            self.record.change(lambda tuning: launched.with_entry(tuning, name, values))
            self.jobs.add(request, TuningJobArn=tuning["HyperParameterTuningJobArn"])
        self.jobs.driver.start(name)

    # The end

    def _be_over(self, reason: str) -> None:
        LOG.info("tuning job %s starts no more training jobs: %s", self.record.name, reason)
        self.record.change(lambda tuning: progress.about_to_end(tuning, "Completed"))

    def _fail(self, reason: str) -> None:
        self.record.change(lambda tuning: progress.about_to_end(tuning, "Failed", reason))

    def _end(self, tuning: Document) -> bool:
        """Stop the training jobs that still run; return whether there were none any more."""
        known = summaries(self.platform.resources, tuning)
        for one in known:
            if one["TrainingJobStatus"] == "InProgress":
                self._stop(one["TrainingJobName"])
        if launched.unsettled(tuning):
            return False
        self.record.change(lambda tuning: progress.ended(tuning, known, now()))
        return True
