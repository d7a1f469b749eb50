"""From channels to splits: every layout that people have, and a clear error for every other."""

import json

import pytest
from PIL import Image

from kennel.contract import ContainerPaths
from kennel.errors import DataError
from kennel.training import channels
from kennel.training.channels import Rules
from kennel.training.stopping import Stop, Stopped

RULES = Rules(max_bad_share=0.25, valid_share=0.2, test_share=0.2, seed=0)


@pytest.fixture
def paths(tmp_path):
    return ContainerPaths(tmp_path)


def fill(folder, classes=("cat", "dog"), count=3):
    """Write *count* small pictures of each class."""
    for label, name in enumerate(classes):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            colour = (40 * label, 20 * number, 99)
            Image.new("RGB", (8, 8), colour).save(folder / name / f"{number:03}.png")


def declare(paths, *names):
    """Write what the platform writes of the job's channels."""
    paths.config.mkdir(parents=True)
    document = {name: {"TrainingInputMode": "File"} for name in names}
    paths.input_data_config.write_text(json.dumps(document))


def read(paths, rules=RULES):
    return channels.read(paths, rules, Stop())


def counts(data):
    return (len(data.train), len(data.valid), len(data.test))


@pytest.mark.parametrize("valid", ["valid", "validation", "val", "Validation"])
@pytest.mark.parametrize("train", ["train", "training"])
def test_every_spelling_of_a_channel_is_understood(paths, train, valid):
    """
    SageMaker's examples, torchvision's and the originals' name their folders differently.
    """
    for name, count in [(train, 4), (valid, 2), ("test", 1)]:
        fill(paths.channel(name), count=count)
    declare(paths, train, valid, "test")

    data = read(paths)

    assert counts(data) == (8, 4, 2)
    assert data.class_names == ("cat", "dog")


def test_labels_are_the_places_of_the_class_names(paths):
    """
    A picture's label is the place of its folder in class_names.
    """
    fill(paths.channel("train"), classes=("zebra", "ant", "cow"))
    data = read(paths, Rules(0, 0.34, 0.34, 0))

    assert data.class_names == ("ant", "cow", "zebra")
    for sample in (*data.train, *data.valid, *data.test):
        assert data.class_names[sample.label] == sample.path.parent.name


@pytest.mark.parametrize("channel", ["train", "training", "images"])
def test_a_single_channel_is_split_by_class(paths, channel):
    """
    The same shares of every class, nothing twice, and the same way each time.
    """
    fill(paths.channel(channel), count=10)
    declare(paths, channel)

    data = read(paths)

    assert counts(data) == (12, 4, 4)
    assert len({sample.path for sample in (*data.train, *data.valid, *data.test)}) == 20
    assert [sample.label for sample in data.test] == [0, 0, 1, 1]
    assert read(paths) == data
    assert read(paths, Rules(0, 0.2, 0.2, seed=1)).test != data.test


def test_a_single_channel_may_hold_split_folders(paths):
    """
    A whole dataset as it was downloaded, in one channel.
    """
    for name, count in [("train", 4), ("val", 2), ("test", 1)]:
        fill(paths.channel("dogImages") / name, count=count)
    declare(paths, "dogImages", "weights")

    assert counts(read(paths)) == (8, 4, 2)


def test_without_validation_it_is_held_out_of_train(paths):
    """
    A given test split is never used for anything but the test.
    """
    fill(paths.channel("train"), count=10)
    fill(paths.channel("test"), count=3)
    data = read(paths)

    assert counts(data) == (16, 4, 6)
    assert all(sample.path.is_relative_to(paths.channel("test")) for sample in data.test)


def test_without_a_test_split_none_is_made_up(paths):
    """
    Who gives train and validation has kept the test for himself.
    """
    fill(paths.channel("train"))
    fill(paths.channel("valid"))

    assert counts(read(paths)) == (6, 6, 0)


def test_the_weights_channel_is_no_data(paths):
    """
    A channel called weights beside one with pictures leaves that one the only one.
    """
    fill(paths.channel("everything"), count=5)
    paths.channel("weights").mkdir()
    (paths.channel("weights") / "resnet.pth").write_bytes(b"weights")
    declare(paths, "everything", "weights")

    assert counts(read(paths)) == (6, 2, 2)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"no picture at all", id="text"),
        pytest.param(b"\xff\xd8\xff\xe0" + bytes(50), id="corrupt"),
    ],
)
def test_unreadable_files_are_skipped_and_listed(paths, content):
    """
    They are left out, and named with the reason.
    """
    fill(paths.channel("train"))
    fill(paths.channel("valid"))
    bad = paths.channel("train") / "cat" / "999.jpg"
    bad.write_bytes(content)

    data = read(paths)

    assert counts(data) == (6, 6, 0)
    assert [path for path, _ in data.skipped] == [bad]
    assert data.skipped[0].reason


def test_too_many_unreadable_files_are_an_error(paths):
    """
    One in thirteen is more than one in twenty.
    """
    fill(paths.channel("train"))
    fill(paths.channel("valid"))
    (paths.channel("train") / "cat" / "999.jpg").write_bytes(b"no picture")

    with pytest.raises(DataError, match=r"1 of 13 files cannot be read .*999\.jpg") as caught:
        read(paths, Rules(0.05, 0.2, 0.2, 0))
    assert "max-bad-share" in str(caught.value)


def test_a_class_left_without_pictures_is_an_error(paths):
    """
    Also when it had files, and none of them is a picture.
    """
    fill(paths.channel("train"), count=4)
    fill(paths.channel("valid"), count=4)
    (paths.channel("train") / "cow").mkdir()
    (paths.channel("train") / "cow" / "moo.jpg").write_bytes(b"moo")
    fill(paths.channel("valid"), classes=("cow",))

    with pytest.raises(DataError, match="class 'cow' has no pictures in train"):
        read(paths)


def test_a_class_of_only_one_split_is_an_error(paths):
    """
    It is named, with where it is and where it is not.
    """
    fill(paths.channel("train"))
    fill(paths.channel("valid"), classes=("cat", "dog", "emu"))

    with pytest.raises(DataError, match="class 'emu' is in valid but not in train"):
        read(paths)


def test_a_single_class_is_an_error(paths):
    """
    There is nothing to tell apart.
    """
    fill(paths.channel("train"), classes=("cat",), count=9)

    with pytest.raises(DataError, match="only one class, 'cat'"):
        read(paths)


def test_an_empty_channel_is_an_error(paths):
    """
    Whether it has no folders at all, or folders without files.
    """
    fill(paths.channel("valid"))
    paths.channel("train").mkdir()
    with pytest.raises(DataError, match=r"no class folders in .*train: it holds 0 files"):
        read(paths)

    for name in ("cat", "dog"):
        (paths.channel("train") / name).mkdir()
    with pytest.raises(DataError, match="train split has no images: the 2 class folders"):
        read(paths)


def test_a_channel_that_says_nothing_is_an_error(paths):
    """
    Beside others, a channel's name has to say what it is for.
    """
    fill(paths.channel("train"))
    fill(paths.channel("pictures"))

    with pytest.raises(DataError, match="what the channel 'pictures' is for"):
        read(paths)


def test_two_channels_for_the_same_split_are_an_error(paths):
    """
    Neither of them is ignored silently.
    """
    for name in ("train", "val", "validation"):
        fill(paths.channel(name))

    with pytest.raises(DataError, match="'validation' is for"):
        read(paths)


@pytest.mark.parametrize("given", [(), ("test",), ("valid", "test"), ("weights",)])
def test_a_job_without_training_pictures_is_an_error(paths, given):
    """
    It says which channels there are.
    """
    for name in given:
        fill(paths.channel(name))

    with pytest.raises(DataError, match="no channel with training pictures"):
        read(paths)


def test_a_stop_is_heard_while_pictures_are_verified(paths):
    """
    A large set takes minutes to verify, and a stop is not to wait for it.
    """
    fill(paths.channel("train"), count=9)
    stop = Stop()
    stop()

    with pytest.raises(Stopped):
        channels.read(paths, RULES, stop)
