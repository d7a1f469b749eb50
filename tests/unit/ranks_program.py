"""
What test_training_ranks.py runs, in one process and in several: ``FOLDER RANK SIZE``.

Every case trains the same small model on the same examples, and what comes of it is written to
FOLDER. All is in float64, where a difference that is not rounding shows.
"""

import json
import sys
from pathlib import Path

import torch
from torch import nn
from torch.distributed import FileStore

from kennel.training import loop, precision
from kennel.training.features import FeatureSource
from kennel.training.group import ALONE
from kennel.training.loop import Recipe, Stage, State
from kennel.training.metrics import Totals
from kennel.training.ranks import Ranks
from kennel.training.schedule import optimizer
from kennel.training.stopping import Stop, Stopped

CPU = torch.device("cpu")
RECIPE = Recipe(epochs=3, batch_size=8, lr=0.05, scheduler="cosine", seed=3, patience=0, dtype=None)
# 8 a batch: in three parts 3, 3, 2. Of 33 examples the last batch joins the one before (9); of 34
# it has two, one fewer than there are ranks; of 37 it has five.
CASES = {
    "uneven-last-batch": {"count": 37},
    "last-batch-below-ranks": {"count": 34, "norm": False},
    "class-weights-and-smoothing": {"count": 33, "weighted": True},
    "adamw": {"count": 37, "steps": "adamw"},
    "validation-below-ranks": {"count": 24, "valid": 2},
}


def pictures(count, seed):
    """Two classes that differ by a shade: (N, 3, 6, 6), labels (N,), twice as many of the first."""
    generator = torch.Generator().manual_seed(seed)
    labels = (torch.arange(count) % 3 == 2).long()
    noise = torch.randn(count, 3, 6, 6, generator=generator, dtype=torch.float64)
    return noise + 0.7 * labels.view(-1, 1, 1, 1), labels


def small_model(norm):
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, stride=2)]
    if norm:
        layers.insert(1, nn.BatchNorm2d(8))
        layers.append(nn.BatchNorm2d(8, momentum=None))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2)).double()


def make(group, *, count, norm=True, weighted=False, steps="sgd", valid=11):  # noqa: PLR0913 - a case
    model = small_model(norm)
    steps = optimizer(steps, model.parameters(), lr=RECIPE.lr, momentum=0.9, decay=1e-4)
    state = State(model, steps, precision.scaler(CPU, None), Totals(CPU))
    weight = torch.tensor([0.5, 2.0], dtype=torch.float64) if weighted else None
    criterion = nn.CrossEntropyLoss(weight, label_smoothing=0.1 if weighted else 0.0)
    train, held_out = pictures(count, 1), pictures(valid, 2)
    in_step = group.in_step(model)
    stage = Stage(
        model,
        in_step.train,
        criterion,
        FeatureSource(*train, batch_size=4),
        FeatureSource(*held_out, batch_size=4),
        in_step,
        group,
    )
    return state, stage


def outcome(state):
    return {
        "losses": [
            [epoch.train_loss, epoch.train_accuracy, epoch.valid_loss, epoch.valid_accuracy]
            for epoch in state.history
        ],
        "weights": torch.cat(
            [tensor.flatten().double() for tensor in state.model.state_dict().values()]
        ).tolist(),
    }


def train(group, **options):
    state, stage = make(group, **options)
    loop.fit(state, stage, RECIPE, Stop(), lambda _: None)
    return outcome(state)


class StopAfter(Stop):
    """Asked for on one rank alone, at its n-th look."""

    def __init__(self, looks):
        super().__init__()
        self.left = looks

    def check(self):
        self.left -= 1
        self.requested = self.left < 0
        super().check()


def stopped_and_resumed(group, looks):
    """The last rank alone is asked to stop; all go on from what the first would save."""
    state, stage = make(group, count=37)
    stop = StopAfter(looks) if group.rank == group.size - 1 else Stop()
    try:
        loop.fit(state, stage, RECIPE, stop, lambda _: None)
    except Stopped:
        place = len(state.history), state.step
    places = group.gather(place)
    state.totals = state.totals.over(group)
    if group.rank:
        state.totals.sums.zero_()
    loop.fit(state, stage, RECIPE, Stop(), lambda _: None)
    return outcome(state) | {"places": places}


def agreements(group):
    """What the group answers, on simple questions."""
    rows = torch.arange(10.0).view(5, 2)
    return {
        "gather": group.gather([group.rank, f"rank {group.rank}"]),
        "from_first": group.from_first({"rank": group.rank}),
        "interleave": group.interleave(rows[group.rank :: group.size].clone(), 5).tolist(),
        "interleave_two": group.interleave(rows[:2][group.rank :: group.size].clone(), 2).tolist(),
    }


def run(group):
    results = {name: train(group, **options) for name, options in CASES.items()}
    for looks in (0, 3, 5, 6, 8):
        results[f"stopped-{looks}"] = stopped_and_resumed(group, looks)
    results["agreements"] = agreements(group)
    return results


def main(folder, rank, size):
    torch.set_num_threads(1)
    group = ALONE
    if size > 1:
        store = FileStore(str(folder / f"store-{size}"), size)
        group = Ranks.join(rank, size, size, store)
    results = run(group)
    (folder / f"{rank}-of-{size}.json").write_text(json.dumps(results))
    if size > 1:
        group.leave()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
