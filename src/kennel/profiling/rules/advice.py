"""What to change, in sentences with numbers from the run, and as hyperparameters."""

import math
from collections.abc import Mapping

from kennel.profiling import timeline
from kennel.profiling.evidence import Evidence
from kennel.profiling.rules import loading
from kennel.profiling.rules.loading import Loading

Advice = tuple[str, Mapping[str, str]]  # a sentence, and the hyperparameters that it means

WAITS = 0.1  # of the steps' time: what is worth telling of
ROOM = 80  # per cent of a GPU's memory that a larger batch may come to
MOST_TIMES = 8  # a batch this many times as large trains differently
BUSY = 0.75  # of the cores: so many are taken, whatever takes them
LARGER = 2  # times the side that is trained on: enough for a stored picture
WORTH_SHRINKING = 1.5  # times as many pixels
VIEWS = {"none": 1, "flip": 2}  # augmentations that have so many outcomes
DRAWN_VIEWS = 4  # of the others, as the hyperparameter feature-views has it
GB = 1e9


def for_waiting(found: Loading, evidence: Evidence) -> Advice:
    """Return what makes a loop that waits for its pictures wait less."""
    again = for_a_backbone_again(evidence)
    if again:
        return again[1], again[2]
    now, wanted = found.workers or 0, found.wanted
    gain = found.speedup(wanted)
    if wanted > now and gain >= loading.WORTH_IT:
        return (
            f"set workers to {wanted}: about {gain:.1f} times as fast",
            {"workers": str(wanted)},
        )
    smaller, cores = _smaller_pictures(evidence), found.cores or 0
    if found.busy and found.busy > BUSY * cores:
        why = f"{found.busy:.1f} of {cores:g} cores are busy"
    elif wanted > now and not found.on_gpu:
        why = f"the model computes on the same {cores:g} cores"
    else:
        return f"look at the disk or the network that the pictures come from; {smaller}", {}
    return f"{why}, so more workers would hold it up: {smaller}; or take more cores", {}


def _smaller_pictures(evidence: Evidence) -> str:
    """Return what to do about decoding, with the pictures' size where it is known."""
    run = evidence.run
    width, height, side = run.picture_width, run.picture_height, run.image_size
    if not (width and height and side):
        return "store the pictures at about the size that is trained on"
    enough = LARGER * side
    times = (min(width, height) / enough) ** 2
    if times < WORTH_SHRINKING:
        return f"pictures of {width} x {height} px are small enough for {side} px already"
    return (
        f"pictures of {width} x {height} px are decoded for {side} px: stored with a shorter side "
        f"of {enough} px they have {times:.0f} times fewer pixels to decode"
    )


def for_an_idle_gpu(evidence: Evidence) -> Advice:
    """Return what would keep a machine busy: data where it waits for data, else more at once."""
    found = loading.of(evidence)
    if found and found.share >= WAITS:
        text, settings = for_waiting(found, evidence)
        return f"the loop waits {found.share:.0%} of its time for data: {text}", settings
    batch = evidence.run.batch_size
    larger = f"a larger batch than {batch}" if batch else "a larger batch"
    return f"more work at once ({larger}, a larger model or image-size), or a smaller instance", {}


def for_a_small_batch(evidence: Evidence, used: float) -> Advice:
    """
    Return the batch size that a GPU's memory has room for.

    Args:
        used: Per cent of its memory. What of it does not grow with the batch makes the estimate
            too careful, never too bold.
    """
    batch, pictures = evidence.run.batch_size, evidence.run.train
    times = min(MOST_TIMES, 2 ** int(math.log2(max(1.0, ROOM / max(used, 1e-9)))))
    while batch and pictures and times > 1 and batch * times > pictures:
        times //= 2
    if batch is None:
        return f"{times} times the batch would fit, or take a smaller instance", {}
    if times == 1:
        return "a smaller instance: there is no room, or no data, for twice the batch", {}
    return (
        f"batch-size={batch * times} would fit (with an lr to go with it), or a smaller instance",
        {"batch-size": str(batch * times)},
    )


def of_memory(used: float, capacity: int | None) -> str:
    """Return e.g. ``3.0 of 16 GB``, or per cent of what is not known."""
    if not capacity:
        return f"{used:.0f} % of the memory"
    return f"{used / 100 * capacity / GB:.1f} of {capacity / GB:.0f} GB"


def for_a_backbone_again(
    evidence: Evidence,
) -> tuple[str, str, Mapping[str, str], float] | None:
    """
    Return what is lost where a frozen backbone sees the same pictures in every epoch.

    Returns:
        Problem, advice, hyperparameters, and the seconds that are lost; None: it does not, or
        there is little to gain.
    """
    run, found = evidence.run, evidence.timeline
    epochs = run.epochs_done or run.epochs or 0
    if found is None or not run.freeze or run.features or epochs < 2 or not run.train:  # noqa: PLR2004 - the same pictures again
        return None
    totals = found.totals()
    steps = loading.of(evidence)
    forward_s = totals.get(timeline.FORWARD, 0.0) / epochs  # of the training split, once
    if steps is None or not forward_s:
        return None
    views = VIEWS.get(run.augment or "", min(DRAWN_VIEWS, epochs))
    others = ((run.valid or 0) + (run.test or 0)) / run.train
    read_s = (run.read_s or 0.0) * run.train * (1 + others) / max(1.0, run.cores or 1.0)
    now_s = steps.stepped_s + totals.get(timeline.EVALUATION, 0.0)
    pass_s = forward_s * (views + others) + read_s
    gain = now_s / pass_s
    if gain < loading.WORTH_IT:
        return None
    problem = f"the frozen backbone saw the same {run.train:,} pictures in each of {epochs} epochs"
    text = (
        f"feature-views={views} has it see each {_times(views)}, and the head is trained on what "
        f"it made of them: at least {gain:.1f} times as fast at this run's pace"
    )
    return problem, text, {"feature-views": str(views), "workers": "auto"}, now_s - pass_s


def _times(views: int) -> str:
    return {1: "once", 2: "twice"}.get(views, f"{views} times")


def for_a_slow_start(parts: Mapping[str, float]) -> str:
    """Return what shortens the time before the training; *parts* are its phases in seconds."""
    longest = max(parts, key=parts.__getitem__, default=timeline.INITIALISATION)
    texts = {
        timeline.INITIALISATION: "imports, model and weights weigh less in a longer run; many "
        "trials in one job share one start",
        timeline.READING: "every picture is verified first: fewer or smaller files are read faster",
        timeline.FEATURES: "the frozen backbone sees the pictures first: a channel of features, "
        "made once, saves later jobs the pass",
    }
    seconds = ", ".join(f"{name} {value:.1f} s" for name, value in parts.items() if value >= 0.1)  # noqa: PLR2004 - what is shown
    text = texts.get(longest, texts[timeline.INITIALISATION])
    return f"{text} ({seconds})" if seconds else text


def for_a_slow_end(parts: Mapping[str, float]) -> str:
    """Return what shortens the time after the training; *parts* are its phases in seconds."""
    seconds = ", ".join(f"{name} {value:.1f} s" for name, value in parts.items())
    return f"they weigh less in a longer run ({seconds})"


def for_a_report(parts: Mapping[str, float]) -> str:
    """Return how to do without what the profiler itself takes; *parts* as above."""
    return f"without --profile this goes ({sum(parts.values()):.1f} s)"


def for_evaluation(evidence: Evidence, ratio: float) -> str:
    """Return what makes evaluations shorter; *ratio* is their time to the training's."""
    run = evidence.run
    measured = (run.valid or 0) * (run.epochs_done or run.epochs or 0) + (run.test or 0)
    if run.valid and run.train and measured:
        fewer = max(1, int(run.valid / ratio / 2))
        return (
            f"{run.valid:,} pictures are measured after each epoch on {run.train:,}: "
            f"a validation split of {fewer:,} would take half as long as the training"
        )
    return "a smaller validation split"


def for_slow_steps(phase: str, opening: int) -> str:
    """Return what to look at; *opening* of the slow steps are the first of their epochs."""
    if opening and phase == timeline.DATA:
        return (
            f"{opening} of them are the first of their epochs, when readers begin anew: larger "
            "splits or more workers hide it"
        )
    texts = {
        timeline.DATA: "readers are held up: look for very large pictures, a slow disk or network",
        timeline.COPY: "batches reach the device slowly: look for other programs that use its bus",
        timeline.EXCHANGE: "a rank waits for another: look at the slowest host",
    }
    return texts.get(
        phase, "the step itself is held up: look for other programs on the same machine"
    )
