"""
Compute the table that ``search.py`` searches: validation accuracy of heads on frozen features.

Every head starts from the same weights and sees the same order of pictures, so the table holds one
number for each combination; rates and schedule are kennel.training's.

    OMP_NUM_THREADS=2 python benchmarks/tuning/search_table.py DATA WEIGHTS

DATA holds a folder for each of train and validation with a folder for each class; WEIGHTS are
torchvision's mobilenet_v2 of ImageNet.
"""

import argparse
import itertools
import json
import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from kennel.training import schedule
from kennel.vision import models
from kennel.vision.preprocessing import Preprocessing

LRS = [round(10 ** (-3 + step / 6), 6) for step in range(13)]  # 0.001 to 0.1
BATCH_SIZES = [16, 32, 64, 128, 256, 512]
MOMENTA = [0.5, 0.6, 0.7, 0.8, 0.9]
EPOCHS = 3
SIZE_PX = 224
CHUNK = 32
TABLE = Path(__file__).with_name("search_table.json")


def main() -> None:
    """Compute the table and write it beside this file."""
    parser = argparse.ArgumentParser(description="Compute the table that search.py searches.")
    parser.add_argument("data", type=Path)
    parser.add_argument("weights", type=Path)
    args = parser.parse_args()
    class_names = sorted(path.name for path in (args.data / "train").iterdir())
    backbone = models.build("mobilenet_v2", len(class_names))
    models.load_pretrained(backbone, models.read_state_dict(args.weights))
    seen: list[Tensor] = []
    models.head(backbone).register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    train, valid = (
        features(backbone.eval(), seen, args.data / split, class_names)
        for split in ("train", "validation")
    )
    grid = itertools.product(LRS, BATCH_SIZES, MOMENTA)
    accuracy = [round(head_accuracy(train, valid, *point), 5) for point in grid]
    document = {
        "of": "validation accuracy of a linear head on frozen mobilenet_v2 features, sgd, cosine, "
        f"{EPOCHS} epochs, of {len(train[1])} and {len(valid[1])} photographs in "
        f"{len(class_names)} classes; lr slowest, momentum fastest",
        "lr": LRS,
        "batch-size": BATCH_SIZES,
        "momentum": MOMENTA,
        "valid_accuracy": accuracy,
    }
    TABLE.write_text(json.dumps(document) + "\n")
    print(f"{len(accuracy)} heads: {min(accuracy)} to {max(accuracy)}, in {TABLE}")


@torch.inference_mode()
def features(
    backbone: nn.Module, seen: list[Tensor], folder: Path, class_names: list[str]
) -> tuple[Tensor, Tensor]:
    """Return what the head is given for each picture of a split, (N, D), and the labels, (N,)."""
    prepared = Preprocessing.for_size(SIZE_PX)
    found = [
        (path, label)
        for label, name in enumerate(class_names)
        for path in sorted((folder / name).iterdir())
    ]
    for start in range(0, len(found), CHUNK):
        chunk = found[start : start + CHUNK]
        pictures = [prepared(prepared.read(path)) for path, _ in chunk]
        backbone(torch.from_numpy(np.stack(pictures)))
    made = torch.cat(seen)
    seen.clear()
    return made, torch.tensor([label for _, label in found])


def head_accuracy(
    train: tuple[Tensor, Tensor],
    valid: tuple[Tensor, Tensor],
    lr: float,
    batch_size: int,
    momentum: float,
) -> float:
    """Train a head on features and return its accuracy on the validation split."""
    torch.manual_seed(0)
    inputs, labels = train[0].clone(), train[1].clone()  # inference mode's cannot take part
    head = nn.Linear(inputs.shape[1], int(labels.max()) + 1)
    optimizer = schedule.optimizer("sgd", head.parameters(), lr=lr, momentum=momentum, decay=1e-4)
    steps = EPOCHS * math.ceil(len(labels) / batch_size)
    step = 0
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(labels)).split(batch_size):
            schedule.set_lr(optimizer, lr * schedule.factor("cosine", step, steps))
            optimizer.zero_grad()
            nn.functional.cross_entropy(head(inputs[batch]), labels[batch]).backward()
            optimizer.step()
            step += 1
    with torch.inference_mode():
        return float((head(valid[0]).argmax(1) == valid[1]).float().mean())


if __name__ == "__main__":
    main()
