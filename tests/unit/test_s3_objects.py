"""The object store: plain files that mirror the keys, rows that agree with them."""

import random
import threading
from itertools import chain
from pathlib import Path

import pytest

from kennel.errors import DataError
from kennel.local.database import Database
from kennel.local.s3 import mounts, recovery
from kennel.local.s3.files import copy_bytes, md5_hex
from kennel.local.s3.listing import Listing, parse_token, token
from kennel.local.s3.objects import Attributes, Objects
from kennel.local.wire.errors import ApiError

ODD_KEYS = ["../../etc/x", "a//b", "folder/", "x" * 300, "./a", "nul\0", "é" * 200, "a/.."]


@pytest.fixture
def database(tmp_path):
    """The rows."""
    database = Database(tmp_path / "kennel.db")
    yield database
    database.close()


@pytest.fixture
def objects(tmp_path, database):
    """A store with a bucket."""
    objects = Objects(tmp_path / "s3", database)
    objects.create_bucket("bucket")
    return objects


def put(objects, *keys):
    for key in keys:
        objects.put_bytes("bucket", key, key.encode())


def read(objects, key):
    stored, file = objects.open("bucket", key)
    with file:
        content = file.read()
    assert (stored.size, stored.etag) == (len(content), md5_hex(content))
    return content


def files_below(folder):
    return sorted(str(p.relative_to(folder)) for p in Path(folder).rglob("*") if p.is_file())


def test_objects_are_plain_files_that_mirror_their_keys(objects, tmp_path):
    """
    Whoever looks into the state folder finds the data.
    """
    put(objects, "train/cat/1.jpg", "a b/ü+%2F")

    assert files_below(tmp_path / "s3" / "bucket") == ["a b/ü+%2F", "train/cat/1.jpg"]
    assert objects.path("bucket", "train/cat/1.jpg").read_bytes() == b"train/cat/1.jpg"


@pytest.mark.parametrize("key", ODD_KEYS)
def test_keys_that_are_no_paths_are_kept_all_the_same(objects, tmp_path, key):
    """
    They read back, list, and leave nothing outside the store; deleting leaves nothing at all.
    """
    put(objects, key)

    assert read(objects, key) == key.encode()
    assert objects.keys("bucket") == [key]
    assert {path.name for path in tmp_path.iterdir()} <= {
        *("s3", "kennel.db", "kennel.db-wal", "kennel.db-shm")
    }
    objects.delete("bucket", [key])
    assert files_below(tmp_path / "s3") == []


@pytest.mark.parametrize("order", [["a", "a/b", "a/b/c"], ["a/b/c", "a/b", "a"]])
def test_a_key_may_be_the_folder_of_another(objects, order):
    """
    In either order, and each goes on its own.
    """
    put(objects, *order)
    assert [read(objects, key) for key in order] == [key.encode() for key in order]

    objects.delete("bucket", ["a/b"])

    assert objects.keys("bucket") == ["a", "a/b/c"]
    assert read(objects, "a") == b"a"
    assert read(objects, "a/b/c") == b"a/b/c"


def test_an_object_moves_into_the_tree_when_its_place_becomes_free(objects, tmp_path):
    """
    Written again after its obstacle is gone, it is a plain file; no second copy stays.
    """
    put(objects, "a", "a/b")
    objects.delete("bucket", ["a"])

    put(objects, "a/b")

    assert files_below(tmp_path / "s3") == ["bucket/a/b"]


def test_deleting_leaves_no_empty_folders(objects, tmp_path):
    """
    A folder goes with its last object, the bucket's own stays.
    """
    put(objects, "a/b/c", "a/d")

    objects.delete("bucket", ["a/b/c", "no such key"])
    assert not (tmp_path / "s3/bucket/a/b").exists()
    objects.delete("bucket", ["a/d"])

    assert list((tmp_path / "s3" / "bucket").iterdir()) == []


def test_a_bucket_goes_only_when_it_is_empty(objects, tmp_path):
    """
    With S3's code; an empty one leaves no folder.
    """
    put(objects, "a")
    with pytest.raises(ApiError, match="BucketNotEmpty"):
        objects.delete_bucket("bucket")

    objects.delete("bucket", ["a"])
    objects.delete_bucket("bucket")

    assert not (tmp_path / "s3" / "bucket").exists()
    with pytest.raises(ApiError, match="NoSuchBucket"):
        put(objects, "a")
    assert files_below(tmp_path / "s3") == []


def test_readers_never_see_a_torn_object(objects):
    """
    While two threads replace it, every read is one whole version with its own ETag.
    """
    done = threading.Event()

    def write(draw):
        while not done.is_set():
            objects.put_bytes("bucket", "k", draw.choice((b"a", b"b")) * draw.randint(1, 5000))

    put(objects, "k")
    draws = (random.Random(seed) for seed in range(2))  # noqa: S311 - contents
    writers = [threading.Thread(target=write, args=(draw,)) for draw in draws]
    for writer in writers:
        writer.start()
    try:
        versions = {read(objects, "k")[:1] for _ in range(300)}
    finally:
        done.set()
        for writer in writers:
            writer.join()

    assert versions <= {b"a", b"b", b"k"}
    assert len(versions) > 1


def test_a_copy_of_an_object_being_replaced_is_one_of_its_versions(objects):
    """
    Bytes, ETag and what its writer said of it, all of the same one.
    """
    done = threading.Event()

    def write(letter):
        said = Attributes(tags={"letter": letter.decode()})
        while not done.is_set():
            objects.put_bytes("bucket", "k", letter * random.randint(1, 9), said)  # noqa: S311

    objects.put_bytes("bucket", "k", b"k", Attributes(tags={"letter": "k"}))
    writers = [threading.Thread(target=write, args=(letter,)) for letter in (b"a", b"b")]
    for writer in writers:
        writer.start()
    try:
        for _ in range(200):
            copy = objects.copy(
                *(("bucket", "k"), "bucket", "copy"),
                decide=lambda source: Attributes(tags=source.tags),
            )
            assert read(objects, "copy")[:1].decode() == copy.tags["letter"]
    finally:
        done.set()
        for writer in writers:
            writer.join()


def test_a_copy_that_is_refused_leaves_nothing(objects, tmp_path):
    """
    Not even the link that it was looked at through.
    """
    put(objects, "k")

    def refuse(source):
        raise ApiError("PreconditionFailed", source.key)

    with pytest.raises(ApiError, match="PreconditionFailed"):
        objects.copy(("bucket", "k"), "bucket", "copy", decide=refuse)

    assert files_below(tmp_path / "s3") == ["bucket/k"]


def test_an_open_object_stays_what_it_was(objects):
    """
    Replacing and deleting do not reach who reads already.
    """
    put(objects, "k")
    _, file = objects.open("bucket", "k")
    objects.put_bytes("bucket", "k", b"new")
    objects.delete("bucket", ["k"])

    with file:
        assert file.read() == b"k"


@pytest.mark.parametrize("move", [True, False])
def test_a_file_becomes_an_object_without_http(objects, tmp_path, move):
    """
    Moved, it is gone; copied, the original may change without changing the object.
    """
    source = tmp_path / "model.tar.gz"
    source.write_bytes(b"model")

    stored = objects.put_file(
        "bucket", "out/model.tar.gz", source, content_type="application/x-tar", move=move
    )

    assert stored.headers == {"content-type": "application/x-tar"}
    assert source.exists() is not move
    if not move:
        source.write_bytes(b"other")
    assert read(objects, "out/model.tar.gz") == b"model"


def test_a_file_of_no_type_is_binary(objects, tmp_path):
    """
    S3's default, for what the server itself writes, too: checkpoints and outputs.
    """
    (tmp_path / "file").write_bytes(b"output")

    stored = objects.put_file("bucket", "k", tmp_path / "file")

    assert stored.headers == {"content-type": "binary/octet-stream"}


def test_only_the_bytes_asked_for_are_copied(tmp_path):
    """
    From where the source is, with their own ETag; what is behind them is not even read.
    """
    (tmp_path / "source").write_bytes(bytes(range(256)) * 20_000)

    with (tmp_path / "source").open("rb") as source, (tmp_path / "part").open("wb") as part:
        source.seek(256)
        etag = copy_bytes(source, part, 3_000_000)
        assert source.tell() == 3_000_256

    copied = (tmp_path / "part").read_bytes()
    assert copied == (bytes(range(256)) * 20_000)[256:3_000_256]
    assert etag == md5_hex(copied)


# What SageMaker downloads


def test_a_whole_folder_is_mounted(objects, tmp_path):
    """
    The folder on disk holds the objects below a prefix and no others, so nothing is copied.
    """
    put(objects, "train/cat/1.jpg", "train/dog/2.jpg", "train/", "trainee/cat/3.jpg")

    found = mounts.source(objects, "bucket", "train/")

    assert found == tmp_path / "s3" / "bucket" / "train"
    assert files_below(found) == ["cat/1.jpg", "dog/2.jpg"]
    assert mounts.source(objects, "bucket", "") == tmp_path / "s3" / "bucket"


@pytest.mark.parametrize(
    ("keys", "prefix", "expected"),
    [
        pytest.param(["train/1", "train2/2"], "train", ["1", "train2/2"], id="prefix takes both"),
        pytest.param(["d/part_1", "d/part_2", "d/x"], "d/part_", ["part_1", "part_2"], id="parts"),
        pytest.param(["d/one.csv"], "d/one.csv", ["one.csv"], id="one object"),
    ],
)
def test_other_prefixes_are_folders_of_links(objects, tmp_path, keys, prefix, expected):
    """
    Hard links, named as SageMaker names the files.
    """
    put(objects, *keys)

    mounts.link_all(objects, "bucket", prefix, tmp_path / "channel")

    assert not (tmp_path / "channel").is_symlink()
    assert files_below(tmp_path / "channel") == sorted(expected)
    assert mounts.source(objects, "bucket", prefix) is None


def test_shards_share_the_objects_out(objects, tmp_path):
    """
    Each host gets its own, together they are all.
    """
    put(objects, *[f"t/{n}" for n in range(7)])

    counts = [
        mounts.link_all(objects, "bucket", "t", tmp_path / str(host), shard=(host, 3))
        for host in range(3)
    ]

    found = [files_below(tmp_path / str(host)) for host in range(3)]
    assert counts == [3, 2, 2]
    assert sorted(chain.from_iterable(found)) == [str(n) for n in range(7)]


def test_a_prefix_without_objects_makes_nothing(objects, tmp_path):
    """
    Zero, for the caller to say what is wrong; folder markers are not objects.
    """
    put(objects, "train/")

    assert mounts.link_all(objects, "bucket", "train", tmp_path / "channel") == 0
    assert not (tmp_path / "channel").exists()


@pytest.mark.parametrize("odd", ["t/a/b", "t//b", "t/" + "x" * 300])
def test_an_object_that_cannot_be_a_file_is_a_data_error(objects, tmp_path, odd):
    """
    A key that has another for its folder, or that no file can be called, is not left out silently.
    """
    put(objects, "t/a", odd)

    with pytest.raises(DataError, match=odd):
        mounts.link_all(objects, "bucket", "t", tmp_path / "channel")


# After a crash


def test_what_a_crash_left_is_put_right(objects, database, tmp_path):
    """
    A file without its row is an object, a row without its file none, a newer file is re-read.
    """
    put(objects, "kept", "lost", "newer")
    folder = tmp_path / "s3" / "bucket"
    (folder / "lost").unlink()
    (folder / "newer").unlink()
    (folder / "newer").write_bytes(b"written, not committed")
    (folder / "extra").write_bytes(b"moved in, not committed")
    (tmp_path / "s3" / ".incoming" / "torn").write_bytes(b"half")

    again = Objects(tmp_path / "s3", database)
    recovery.recover(again)

    assert again.keys("bucket") == ["extra", "kept", "newer"]
    assert read(again, "newer") == b"written, not committed"
    assert read(again, "extra") == b"moved in, not committed"
    assert list((tmp_path / "s3" / ".incoming").iterdir()) == []


def test_new_bytes_do_not_inherit_what_was_said_of_the_old(objects, database, tmp_path):
    """
    The crash came between a file and its row: type, metadata and tags of the row are the old ones.
    """
    said = Attributes({"content-type": "image/png", "x-amz-meta-a": "1"}, {}, {"tag": "1"})
    old = objects.put_bytes("bucket", "k", b"old", said)
    file = tmp_path / "s3/bucket/k"
    file.unlink()
    file.write_bytes(b"moved in, not committed")

    recovery.recover(Objects(tmp_path / "s3", database))

    new = objects.head("bucket", "k")
    assert (new.headers, new.tags) == ({"content-type": "binary/octet-stream"}, {})
    assert new.modified_ns > old.modified_ns


def test_a_reader_puts_right_what_it_finds_wrong(objects, tmp_path):
    """
    Without a restart too: an object whose file is gone is gone.
    """
    put(objects, "k", "n")
    (tmp_path / "s3/bucket/k").unlink()
    file = tmp_path / "s3/bucket/n"
    file.chmod(0o644)
    file.write_bytes(b"edited")

    with pytest.raises(ApiError, match="NoSuchKey"):
        read(objects, "k")
    assert read(objects, "n") == b"edited"
    assert objects.keys("bucket") == ["n"]


def test_objects_are_read_only_files(objects, tmp_path):
    """
    A job that gets them linked into a channel must not write into the store by accident.
    """
    put(objects, "k")

    assert (tmp_path / "s3/bucket/k").stat().st_mode & 0o222 == 0


# Listing


def naive_listing(keys, prefix, delimiter):
    entries = set()
    for key in keys:
        if key.startswith(prefix):
            end = key.find(delimiter, len(prefix)) if delimiter else -1
            entries.add(key if end < 0 else key[: end + len(delimiter)])
    return sorted(entries)


@pytest.mark.parametrize("seed", range(30))
def test_pages_join_to_the_whole_listing(objects, seed):
    """
    Whatever the prefix, the delimiter and the size of the pages, each entry comes once, in order.
    """
    draw = random.Random(seed)  # noqa: S311 - keys
    keys = {"".join(draw.choices("ab/é", k=draw.randint(1, 5))) for _ in range(40)}
    put(objects, *keys)
    prefix, delimiter = draw.choice(["", "a", "a/", "b/a"]), draw.choice(["", "/", "a", "/a"])
    listing = Listing("bucket", prefix, delimiter, draw.randint(1, 7))

    entries, start = [], ""
    while start is not None:
        with objects.database.reading() as connection:
            page = listing.page(connection, start)
        assert len(page) <= listing.limit
        entries += sorted([stored.key for stored in page.objects] + page.prefixes)
        start = None if page.start is None else parse_token(token(page.start))

    assert entries == naive_listing(keys, prefix, delimiter)
