"""From a job's files to its pictures and features: computed in one pass, kept, and taken again."""

import json
import shutil

import pytest
import torch
from PIL import Image

from kennel.contract import ContainerPaths
from kennel.errors import DataError, HyperparameterError
from kennel.training import backbone, channels, feature_cache
from kennel.training.channels import Rules
from kennel.training.hyperparameters import parse
from kennel.training.main import main
from kennel.training.prepare import begin
from kennel.training.stopping import Stop, Stopped
from kennel.vision import trained

QUICK = {
    "model": "shufflenet_v2_x0_5",
    "weights": "none",
    "freeze": "true",
    "image-size": "32",
    "batch-size": "5",
    "lr": "0.05",
    "augment": "flip",
    "epochs": "3",
    "workers": "0",
}
COUNTS = {"train": 8, "valid": 6, "test": 5}
TAKEN = "no picture passes through the backbone"
COMPUTED = "pictures pass through it once"


@pytest.fixture(scope="module")
def dataset(noisy_pictures):
    return noisy_pictures(COUNTS, size_px=32, noise=200, shift=20)


@pytest.fixture
def lay_out(tmp_path, dataset):
    """Return ``lay_out(name, features=…, **hyperparameters)``, which makes a job's /opt/ml."""

    def make(name, *, features=None, data=dataset, **changes):
        paths = ContainerPaths(tmp_path / name)
        paths.config.mkdir(parents=True)
        shutil.copytree(data, paths.channel("pictures"))
        if features:
            shutil.copytree(features.checkpoints / "features", paths.channel("features"))
        paths.hyperparameters.write_text(json.dumps(QUICK | changes))
        names = ["pictures", "features"] if features else ["pictures"]
        paths.input_data_config.write_text(json.dumps({key: {} for key in names}))
        return paths

    return make


def read(paths, stop=None):
    """Read a job's material, without training."""
    return begin(paths, parse(json.loads(paths.hyperparameters.read_text())), stop or Stop())[1]


def test_a_later_job_trains_on_the_features_of_an_earlier_one(lay_out, capsys):
    """
    It says so, computes none, and comes to the same model and the same figures.
    """
    first = lay_out("first")
    main(first, Stop())
    assert COMPUTED in capsys.readouterr().out
    second = lay_out("second", features=first)
    main(second, Stop())
    output = capsys.readouterr().out

    assert TAKEN in output
    assert COMPUTED not in output
    models = [trained.load(paths.model)[0].state_dict() for paths in (first, second)]
    torch.testing.assert_close(*models, rtol=0, atol=0)
    figures = [json.loads((p.output_data / "metrics.json").read_text()) for p in (first, second)]
    assert figures[0]["test_loss"] == figures[1]["test_loss"]
    assert not (second.checkpoints / "features").exists(), "they are in the channel already"


def test_features_that_are_taken_are_not_computed(lay_out):
    """
    Other numbers in the cache, well described, are what comes out.
    """
    first = lay_out("first")
    read(first)
    folder = first.checkpoints / "features"
    document = json.loads((folder / "features.json").read_text())
    kept = feature_cache.read(
        folder,
        feature_cache.Identity(**document["identity"]),
        first.data,
        lambda: document["pictures"],
    )
    values = {split: part * 0 + 7 for split, part in kept.values.items()}
    identity = feature_cache.Identity(**document["identity"])
    other = feature_cache.Kept(values, ())
    feature_cache.write(folder, identity, document["pictures"], other, first.data)

    assert torch.all(read(lay_out("second", features=first)).features.values["train"] == 7)


def test_features_serve_other_hyperparameters_of_the_head(lay_out, capsys):
    """
    Learning rate, batch size and epochs are none of the backbone's.
    """
    first = lay_out("first")
    read(first)
    second = lay_out("second", features=first, lr="0.2", epochs="7", **{"batch-size": "16"})
    read(second)

    assert TAKEN in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model": "shufflenet_v2_x1_0"}, "other weights, model=shufflenet_v2_x0_5"),
        ({"image-size": "48"}, "another preprocessing"),
        ({"augment": "none"}, "augment=flip"),
        ({"amp": "bf16"}, "precision f32"),
    ],
)
def test_stale_features_are_said_and_computed_again(lay_out, capsys, changes, words):
    """
    Those that are computed then are kept where the platform syncs them.
    """
    first = lay_out("first", weights="none", amp="off")
    read(first)
    capsys.readouterr()
    second = lay_out("second", features=first, **changes)
    read(second)
    output = capsys.readouterr().out

    assert words in output
    assert "they are computed again" in output
    assert COMPUTED in output
    assert read(second).features.values.keys() == COUNTS.keys()
    assert f"taken from {second.checkpoints}" in capsys.readouterr().out


def test_a_picture_that_has_changed_makes_features_stale(lay_out, capsys):
    """
    Under the same name, of the same size.
    """
    first = lay_out("first")
    read(first)
    second = lay_out("second", features=first)
    picture = next(second.channel("pictures").rglob("*.png"))
    contents = bytearray(picture.read_bytes())
    contents[-1] ^= 1  # within the checksum of the end, which no decoder minds
    picture.write_bytes(contents)
    read(second)

    assert "of pictures that have changed: they are computed again" in capsys.readouterr().out


def test_torn_features_are_said_and_computed_again(lay_out, capsys):
    """
    As where S3 was synced in the middle of a write.
    """
    first = lay_out("first")
    wanted = read(first).features.values
    path = first.checkpoints / "features" / "train.npy"
    path.write_bytes(path.read_bytes()[:-100])
    found = read(first).features.values

    assert "are torn: train.npy is not what was written" in capsys.readouterr().out
    for split, values in wanted.items():
        assert torch.equal(found[split], values)


@pytest.fixture
def with_bad_files(tmp_path, dataset):
    """The pictures, and two files that are none."""
    folder = tmp_path / "with-bad-files"
    shutil.copytree(dataset, folder)
    (folder / "train" / "dark" / "aaa.jpg").write_bytes(b"no picture at all")
    (folder / "test" / "light" / "3x.png").write_bytes(b"")
    return folder


def test_the_one_pass_skips_what_the_verification_skips(lay_out, with_bad_files):
    """
    The same files for the same reasons; and so it is when the features are taken from the disk.
    """
    paths = lay_out("run", data=with_bad_files, **{"max-bad-share": "0.1"})
    wanted = channels.read(paths, Rules(0.1, 0.1, 0.1, 0), Stop())
    computed, taken = read(paths), read(paths)

    assert len(wanted.skipped) == 2
    assert computed.data == taken.data == wanted
    for job in (computed, taken):
        assert {name: len(part) for name, part in job.features.values.items()} == wanted.counts()
        labels = [sample.label for sample in wanted.train]
        assert job.features.labels["train"].tolist() == labels
    assert bool(computed.features.values["train"].any(dim=2).all()), "a bad file's row was kept"


@pytest.mark.parametrize("batch", [1, 5, 32])
def test_a_bad_file_moves_no_features_to_other_pictures(
    lay_out, with_bad_files, dataset, monkeypatch, batch
):
    """
    The pictures beside it have the features that they have without it, however many are computed
    together.
    """
    clean = read(lay_out("clean", data=dataset)).features.values
    monkeypatch.setattr(backbone.TorchEngine, "batch", batch)
    soiled = read(lay_out("soiled", data=with_bad_files, **{"max-bad-share": "0.1"}))

    for split, values in clean.items():
        torch.testing.assert_close(soiled.features.values[split], values, rtol=0, atol=1e-5)


def test_too_many_bad_files_end_the_pass(lay_out, with_bad_files):
    """
    By the rules of the verification, with its words.
    """
    with pytest.raises(DataError, match=r"of 40 files cannot be read as pictures: .*aaa\.jpg"):
        read(lay_out("run", data=with_bad_files, **{"max-bad-share": "0.01"}))


def test_what_is_held_out_is_what_the_verification_holds_out(lay_out, with_bad_files):
    """
    Which pictures those are depends on which can be read.
    """
    paths = lay_out("run", data=with_bad_files / "train", **{"max-bad-share": "0.1"})
    wanted = channels.read(paths, Rules(0.1, 0.1, 0.1, 0), Stop())
    computed, taken = read(paths), read(paths)

    assert wanted.valid
    assert computed.data == taken.data == wanted
    counts = {name: len(part) for name, part in taken.features.values.items()}
    assert counts == wanted.counts()


def test_another_division_makes_features_stale(lay_out, capsys, dataset):
    """
    Another seed holds out other pictures, which have the views of evaluation.
    """
    first = lay_out("first", data=dataset / "train")
    read(first)
    read(lay_out("second", features=first, data=dataset / "train", seed="1"))

    assert "another division into splits" in capsys.readouterr().out


def test_features_only_leaves_features_and_no_model(lay_out, capsys):
    """
    For a tuning job, whose trials find them in their channel.
    """
    paths = lay_out("run", **{"features-only": "true"})
    main(paths, Stop())

    assert (paths.checkpoints / "features" / "features.json").exists()
    assert not paths.model.exists()
    assert not list(paths.checkpoints.glob("*.pt"))
    main(lay_out("trial", features=paths), Stop())
    assert TAKEN in capsys.readouterr().out


def test_features_only_of_a_model_that_has_none_ends_well(lay_out, capsys):
    """
    SqueezeNet's trials are trained on pictures; the job that was to help them is no failure.
    """
    paths = lay_out("run", model="squeezenet1_1", **{"features-only": "true"})
    main(paths, Stop())

    assert not (paths.checkpoints / "features").exists()
    assert "features-only=true" in capsys.readouterr().out


@pytest.mark.parametrize("changes", [{"freeze": "false"}, {"feature-views": "0"}])
def test_features_only_without_features_is_an_error(changes):
    """
    It is said before anything is read.
    """
    with pytest.raises(HyperparameterError, match="there are no features to compute"):
        parse(QUICK | {"features-only": "true"} | changes)


def test_features_that_cannot_be_kept_cost_a_warning(lay_out, capsys):
    """
    They are in memory, and the training goes on.
    """
    paths = lay_out("run")
    paths.checkpoints.mkdir()
    (paths.checkpoints / "features").write_text("in the way")

    assert read(paths).features
    assert "WARNING: cannot keep the features" in capsys.readouterr().out


def test_a_stop_during_the_pass_is_heard(lay_out):
    """
    Nothing half done is left.
    """
    paths, stop = lay_out("run"), Stop()
    stop()

    with pytest.raises(Stopped):
        read(paths, stop)
    assert not (paths.checkpoints / "features").exists()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_number_of_workers_changes_no_feature(lay_out, workers):
    """
    Views are drawn for each picture, wherever it is read.
    """
    alone = read(lay_out("alone", augment="color")).features.values["train"]
    shared = read(lay_out("shared", augment="color", workers=workers)).features.values["train"]

    assert alone.shape[1] == 4
    assert torch.equal(alone, shared)


def test_a_picture_of_16_bits_has_its_features(lay_out, tmp_path, dataset):
    """
    It is read as everywhere else: by the preprocessing.
    """
    folder = tmp_path / "odd"
    shutil.copytree(dataset, folder)
    Image.new("I;16", (40, 30), 40_000).save(folder / "train" / "dark" / "grey.png")

    assert len(read(lay_out("run", data=folder)).features.values["train"]) == 17
