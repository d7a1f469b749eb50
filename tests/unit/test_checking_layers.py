"""All layers of an image are read from the stream of docker save, whatever its form."""

import gzip
import io
import json
import tarfile

import pytest

from kennel.checking import layers

KEY = b"-----BEGIN PRIVATE KEY-----\n" + b"M" * 64 + b"\n"
FILES = {
    "root/.ssh/id_rsa": KEY,
    "usr/local/bin/train": b"#!/bin/sh\n",
    "usr/local/cuda-12.4/compat/libcuda.so.1": b"",
    "opt/torch/version.py": b"cuda = '12.8'\n",
}


def packed(files):
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        for path, content in files.items():
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(content), 0o755
            archive.addfile(member, io.BytesIO(content))
    return target.getvalue()


def chunks(data, size=1000):
    return (data[start : start + size] for start in range(0, len(data), size))


MANIFEST = json.dumps([{"Layers": ["x"]}]).encode()
FORMS = {
    "docker 20": {"abc/layer.tar": packed(FILES), "abc/json": b"{}", "manifest.json": MANIFEST},
    "docker 25": {"blobs/sha256/1": packed(FILES), "blobs/sha256/2": b"{}", "index.json": MANIFEST},
    "containerd": {"blobs/sha256/1": gzip.compress(packed(FILES)), "index.json": MANIFEST},
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_saved_image_is_read(form):
    """
    Layers as tar files, as blobs among documents, and compressed.
    """
    found = layers.read(chunks(packed(FORMS[form])), limit_s=60)

    assert [str(leak) for leak in found.leaks] == ["a private key in /root/.ssh/id_rsa"]
    assert found.programs == {"train"}
    assert found.has_compat
    assert {str(sign) for sign in found.signs} == {"12.8", "12.4"}
    assert (found.files, found.unread) == (4, "")


def test_a_layer_that_a_later_one_hides_is_read():
    """
    A whiteout deletes nothing from the layer below.
    """
    image = packed(
        {
            "a/layer.tar": packed({"root/.ssh/id_rsa": KEY}),
            "b/layer.tar": packed({"root/.ssh/.wh.id_rsa": b""}),
        }
    )

    assert len(layers.read(chunks(image), limit_s=60).leaks) == 1


def test_reading_ends_at_its_limit_and_says_so():
    """
    What was found by then is kept.
    """
    found = layers.read(chunks(packed(FORMS["docker 20"])), limit_s=0)

    assert found.unread == "not all layers were read within 0 s"


def test_a_stream_that_breaks_off_is_said():
    """
    Half an image is not an image without credentials.
    """
    image = packed(FORMS["docker 20"])

    found = layers.read(chunks(image[: len(image) // 3]), limit_s=60)

    assert found.unread
