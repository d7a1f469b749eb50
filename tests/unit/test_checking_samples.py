"""What is put into a container is what SageMaker would put there."""

import io
import json
import tarfile

import pytest
from PIL import Image

from kennel.checking import samples
from kennel.datasets import folders
from kennel.errors import DataError


def unpacked(archive):
    with archive, tarfile.open(fileobj=archive) as members:
        return {m.name: (members.extractfile(m).read() if m.isfile() else None) for m in members}


def test_pictures_are_pictures():
    """
    Pillow reads the PNGs, and two classes can be told apart.
    """
    bright, dark = (
        Image.open(io.BytesIO(samples.picture(1, bright=bright))) for bright in (True, False)
    )

    assert (bright.mode, bright.size) == ("RGB", (64, 64))
    assert min(low for low, _ in bright.getextrema()) > max(high for _, high in dark.getextrema())


def test_the_generated_set_is_one_that_kennel_trains_on(tmp_path):
    """
    Both channels have both classes, and no picture twice.
    """
    content = samples.pictures()
    for path, data in content.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(data)

    assert len(set(content.values())) == 32
    assert folders.scan(tmp_path / "train").class_names == ("bright", "dark")
    assert folders.scan(tmp_path / "validation").counts() == {"bright": 4, "dark": 4}


def test_a_job_s_files_are_laid_out_below_opt_ml():
    """
    Configuration, channels, and folders for what comes out.
    """
    files = unpacked(samples.job({"train/a/1.png": b"x"}, {"epochs": "1"}))

    assert json.loads(files["input/config/hyperparameters.json"]) == {"epochs": "1"}
    assert list(json.loads(files["input/config/inputdataconfig.json"])) == ["train"]
    assert json.loads(files["input/config/resourceconfig.json"])["hosts"] == ["algo-1"]
    assert files["input/data/train/a/1.png"] == b"x"
    assert {"model", "output/data", "checkpoints"} <= files.keys()


def test_folders_are_open_to_any_user():
    """
    Whoever the container runs as writes there.
    """
    with samples.job({}, {}) as archive, tarfile.open(fileobj=archive) as members:
        modes = {member.mode for member in members if member.isdir()}

    assert modes == {0o1777}


def test_given_data_are_channels(tmp_path):
    """
    Folders are channels; files beside them make one channel of all.
    """
    (tmp_path / "train" / "cat").mkdir(parents=True)
    (tmp_path / "train" / "cat" / "1.png").write_bytes(b"x")

    assert samples.channels(samples.data(tmp_path)) == ["train"]
    assert list(samples.data(tmp_path)) == ["train/cat/1.png"]

    (tmp_path / "labels.csv").write_text("a")

    assert list(samples.data(tmp_path)) == ["train/labels.csv", "train/train/cat/1.png"]


def test_no_data_is_an_error_before_anything_runs(tmp_path):
    """
    A folder without files, or none.
    """
    with pytest.raises(DataError, match="holds no files"):
        samples.data(tmp_path)
    with pytest.raises(DataError, match="there is no folder"):
        samples.data(tmp_path / "none")
