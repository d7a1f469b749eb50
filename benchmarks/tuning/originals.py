"""
One trial as the published projects train it: every picture decoded and passed through the frozen
backbone again in each epoch of each trial, no worker processes, no normalisation, BatchNorm left in
training mode, gradients on in evaluation, and what is tuned on looked at after every epoch.

They differ in the network and the data; here both are this benchmark's, a MobileNetV2 and a folder
with train and validation folders of classes. ``whole`` runs a search of ten such trials, as long
as it takes, for the accuracy that it ends with: benchmarks/tuning/originals.json.

    python benchmarks/tuning/originals.py DATA WEIGHTS --lr 0.01 --batch-size 32 --momentum 0.9
    taskset -c 0,1 python benchmarks/tuning/originals.py DATA WEIGHTS --whole
"""

import argparse
import json
import math
import random
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader
from torchvision import datasets, models, transforms

EPOCHS = 3
TRIALS = 10
BATCH_SIZES = (32, 64, 128, 256, 512)
SIDE_PX = 224
RESULT = Path(__file__).with_name("originals.json")


def main() -> None:
    """Run one trial, or the whole search, and print its epochs."""
    args = parser().parse_args()
    if not args.whole:
        values = {name: getattr(args, name) for name in ("lr", "batch_size", "momentum")}
        for epoch in trial(args.data, args.weights, values, args.epochs):
            print(json.dumps(epoch), flush=True)
        return
    draw = random.Random(0)  # noqa: S311 # the original had no seed at all
    trials = []
    for _ in range(TRIALS):
        values = {
            "lr": math.exp(draw.uniform(math.log(0.001), math.log(0.1))),
            "batch_size": draw.choice(BATCH_SIZES),
            "momentum": draw.uniform(0.5, 0.9),
        }
        epochs = list(trial(args.data, args.weights, values))
        trials.append({**values, "epochs": epochs})
        print(json.dumps(trials[-1]), flush=True)
    best = max(one["epochs"][-1]["validation_accuracy"] for one in trials)
    RESULT.write_text(
        json.dumps({"best_validation_accuracy": best, "trials": trials}, indent=2) + "\n"
    )


def parser() -> argparse.ArgumentParser:
    """Describe the options."""
    options = argparse.ArgumentParser(description="A trial as the published projects train it.")
    options.add_argument("data", type=Path, help="with train and validation folders of classes")
    options.add_argument("weights", type=Path, help="of torchvision's mobilenet_v2")
    options.add_argument("--lr", type=float, default=0.01)
    options.add_argument("--batch-size", type=int, default=32)
    options.add_argument("--momentum", type=float, default=0.9)
    options.add_argument("--epochs", type=int, default=EPOCHS)
    options.add_argument("--whole", action="store_true", help="ten random trials of three epochs")
    return options


def trial(
    data: Path, weights: Path, values: Mapping[str, float], epochs: int = EPOCHS
) -> Iterator[dict[str, float]]:
    """Yield each epoch's seconds (of a wall clock) and its validation accuracy."""
    torch.manual_seed(0)
    train, valid = loaders(data, int(values["batch_size"]))
    model = network(weights, len(train.dataset.classes))
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(
        model.classifier.parameters(), lr=values["lr"], momentum=values["momentum"]
    )
    for _ in range(epochs):
        started = time.perf_counter()
        model.train()
        for images, labels in train:
            optimizer.zero_grad()
            loss = criterion(model(images), labels)
            loss.backward()
            optimizer.step()
        accuracy = evaluated(model, valid)
        yield {"seconds": time.perf_counter() - started, "validation_accuracy": accuracy}


def loaders(data: Path, batch_size: int) -> tuple[DataLoader, DataLoader]:
    """Return the training and the validation loader, in this process."""
    augmented = transforms.Compose(
        [
            transforms.RandomResizedCrop(SIDE_PX),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
        ]
    )
    plain = transforms.Compose([transforms.Resize((SIDE_PX, SIDE_PX)), transforms.ToTensor()])
    train = datasets.ImageFolder(str(data / "train"), transform=augmented)
    valid = datasets.ImageFolder(str(data / "validation"), transform=plain)
    return (
        DataLoader(train, batch_size=batch_size, shuffle=True),
        DataLoader(valid, batch_size=batch_size),
    )


def network(weights: Path, classes: int) -> nn.Module:
    """Return the frozen backbone with a new head."""
    model = models.mobilenet_v2()
    model.load_state_dict(torch.load(weights, weights_only=True))
    for parameter in model.parameters():
        parameter.requires_grad = False
    model.classifier[1] = nn.Linear(model.last_channel, classes)
    return model


def evaluated(model: nn.Module, loader: DataLoader) -> float:
    """Return the share that is right; gradients stay on, as they were."""
    model.eval()
    right = 0
    for images, labels in loader:
        right += int((model(images).argmax(1) == labels).sum())
    return right / len(loader.dataset)


if __name__ == "__main__":
    main()
