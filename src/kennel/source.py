"""
What the images are made from, as one short digest: whether an image has this tree's code.

``scripts/build_image.sh`` runs this file and puts what it prints into the image's label;
kennel.cli.outdated compares. A commit cannot tell: it has no word for changes that are in none.
"""

import hashlib
from pathlib import Path

LABEL = "kennel.source"
DIGITS = 12
# The root of the repository; of a kennel that was installed as a wheel, no such thing.
TREE = Path(__file__).parents[2]
MADE_FROM = ("pyproject.toml", "src/kennel/**/*", "docker/*.sh", "docker/train/*", "docker/serve/*")


def digest(tree: Path = TREE) -> str | None:
    """Return the digest of what the images are made from, None where *tree* is no repository."""
    if not (tree / "docker").is_dir():
        return None
    whole = hashlib.sha256()
    for path in sorted({path for pattern in MADE_FROM for path in tree.glob(pattern)}):
        if path.is_file() and "__pycache__" not in path.parts:
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            whole.update(f"{path.relative_to(tree).as_posix()} {content}\n".encode())
    return whole.hexdigest()[:DIGITS]


if __name__ == "__main__":
    print(digest())  # noqa: T201 - the result
