"""
Save the tensors of a training: as many steps of ResNet-18 as wanted, as the hook saves them.

    python benchmarks/profiling/tensors.py FOLDER [--steps 1000]

Every step is saved in full, as debug-save-interval=1 would: reductions of all weights, biases and
gradients, what the optimizer changed, what the ReLUs did, losses, labels and predictions. The
training is a real one, of few small pictures, so that most of the time is the hook's. What the
rules take for it is measured with

    time python -m kennel.debugging evaluate FOLDER --configurations RULES.json --output OUTPUT
"""

import argparse
import time
from pathlib import Path

import torch
from torch import nn
from torchvision.models import resnet18

from kennel.debugging import hook_config
from kennel.debugging.hook import Recorder
from kennel.training.hyperparameters import Hyperparameters

BATCH, SIZE_PX, CLASSES = 4, 32, 10
EPOCH = 40  # steps


def main() -> None:
    """Train, and say what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=1000)
    options = parser.parse_args()
    pace = hook_config.Pace(every=1, often=1, evaluation=1)
    chosen = Hyperparameters()
    saving = hook_config.asked(chosen.debug_collections, chosen.debug_include, pace)
    began = time.perf_counter()
    recorder = Recorder(saving, options.folder)
    train(recorder, options.steps)
    recorder.close()
    seconds = time.perf_counter() - began
    size = sum(path.stat().st_size for path in options.folder.rglob("*") if path.is_file())
    print(f"{options.steps} steps in {seconds:.1f} s, {size / 1e6:.0f} MB")


def train(recorder: Recorder, steps: int) -> None:
    """Take steps on noise that a label is added to, with an evaluation now and then."""
    torch.manual_seed(0)
    model = resnet18(num_classes=CLASSES)
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    recorder.training(model, criterion)
    for number in range(steps):
        pictures, labels = batch()
        model.train()
        with recorder.step(number):
            logits = model(pictures)
            loss = criterion(logits, labels)
            optimizer.zero_grad()
            loss.backward()
            recorder.learnt(loss, logits, labels)
            optimizer.step()
        if number % EPOCH == EPOCH - 1:
            evaluate(recorder, model)


@torch.no_grad()
def evaluate(recorder: Recorder, model: nn.Module) -> None:
    """Measure the model on one batch."""
    model.eval()
    recorder.evaluating(model)
    pictures, labels = batch()
    recorder.evaluated(model(pictures), labels)


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    """Return pictures (N, 3, H, W) and their labels, which are as bright as they are high."""
    labels = torch.randint(CLASSES, (BATCH,))
    noise = torch.randn(BATCH, 3, SIZE_PX, SIZE_PX)
    return noise + labels.view(-1, 1, 1, 1), labels


if __name__ == "__main__":
    main()
