"""Keys: where they may lie as files, their order, and what SageMaker makes of them."""

import random

import pytest

from kennel.local.s3.keys import (
    check_bucket_name,
    next_key,
    relative,
    tree_path,
    upper_bound,
)
from kennel.local.wire.errors import ApiError

LETTERS = ["a", "b", "/", "\0", "é", "\ud7ff", "\ue000", "\U0010ffff"]


@pytest.mark.parametrize(
    "key",
    ["", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/./b", "a\0b", "x" * 256],
)
def test_odd_keys_have_no_place_in_the_tree(key):
    """
    What would leave the bucket's folder, or cannot be a file's name, is kept elsewhere.
    """
    assert tree_path(key) is None


@pytest.mark.parametrize(
    "key", ["a", "a/b.jpg", "...", "a b/ü+%2F", ".hidden", "x" * 255, "~", "-"]
)
def test_other_keys_are_paths(key):
    """
    The tree mirrors the keys.
    """
    assert str(tree_path(key)) == key


@pytest.mark.parametrize("seed", range(200))
def test_bounds_enclose_just_the_keys_of_a_prefix(seed):
    """
    A key has the prefix if and only if it lies between the prefix and its upper bound.
    """
    draw = random.Random(seed)  # noqa: S311 - keys
    prefix, key = ("".join(draw.choices(LETTERS, k=draw.randint(0, 3))) for _ in range(2))
    bound = upper_bound(prefix)

    inside = key >= prefix and (bound is None or key < bound)

    assert inside == key.startswith(prefix)


def test_a_bound_is_text_that_can_be_stored():
    """
    The code points of surrogates, which no encoding has, are left out.
    """
    assert upper_bound("a\ud7ff") == "a\ue000"


def test_nothing_lies_between_a_key_and_the_next():
    """
    Paging goes on at the least text above the last key.
    """
    assert "a" < next_key("a") <= "a\0"


@pytest.mark.parametrize(
    ("key", "prefix", "expected"),
    [
        ("train/cat/1.jpg", "train", "cat/1.jpg"),
        ("train/cat/1.jpg", "train/", "cat/1.jpg"),
        ("data/train_1.csv", "data/train_", "train_1.csv"),
        ("data/train.csv", "data/train.csv", "train.csv"),
        ("a/b", "", "a/b"),
        ("train/", "train", None),
        ("train/cat/", "train/", None),
    ],
)
def test_a_channel_names_objects_as_sagemaker_does(key, prefix, expected):
    """
    Below a folder its paths; else from the last slash of the prefix; never the folder markers.
    """
    assert relative(key, prefix) == expected


@pytest.mark.parametrize(
    "name", ["ab", "A-b", "a_b", "-ab", "ab-", "a..b", "1.2.3.4", "x" * 64, ".s3"]
)
def test_bad_bucket_names_are_refused(name):
    """
    As S3 refuses them; they would be bad folders too.
    """
    with pytest.raises(ApiError, match="InvalidBucketName"):
        check_bucket_name(name)


@pytest.mark.parametrize("name", ["abc", "a-b", "a.b", "123", "x" * 63])
def test_good_bucket_names_pass(name):
    """
    As S3 takes them.
    """
    check_bucket_name(name)
