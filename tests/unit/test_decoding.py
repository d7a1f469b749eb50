"""Bodies become tensors, or a 4xx that says what to send; none is ever believed or executed."""

import base64
import io
import json
import pickle
import zlib

import numpy as np
import pytest
from PIL import Image

from kennel.errors import RequestError
from kennel.serving.decoding import MAX_INSTANCES, MAX_PIXELS, decode
from kennel.vision.preprocessing import Preprocessing

SIZE = 16
PREPROCESSING = Preprocessing.for_size(SIZE)
BLANK = np.zeros((3, SIZE, SIZE)).tolist()  # preprocessed
JSON, NPY = "application/json", "application/x-npy"


@pytest.fixture(scope="module")
def picture():
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def encoded(image, kind="PNG"):
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


def b64(image):
    return base64.b64encode(encoded(image)).decode()


def npy(array, **options):
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


def images_in(body, content_type):
    return decode(body, content_type, PREPROCESSING).images


@pytest.mark.parametrize(
    ("content_type", "kind"),
    [
        ("image/jpeg", "JPEG"),
        ("image/png", "PNG"),
        ("image/webp", "WEBP"),
        ("application/x-image", "PNG"),
        ("application/x-image", "JPEG"),
        ("IMAGE/PNG; name=a.png", "PNG"),
    ],
)
def test_an_encoded_picture_is_preprocessed_as_in_training(picture, content_type, kind):
    """
    The array is the preprocessing's own of the same bytes.
    """
    body = encoded(picture, kind)

    images = images_in(body, content_type)

    assert np.array_equal(images[0], PREPROCESSING(PREPROCESSING.read(body)))
    assert images.shape == (1, 3, SIZE, SIZE)


def test_an_array_of_pixels_is_a_picture(picture):
    """
    (H, W, 3) uint8 is preprocessed like the same picture in a file; so is each of (N, H, W, 3).
    """
    pixels = np.asarray(picture)
    expected = PREPROCESSING(picture)

    one, many = images_in(npy(pixels), NPY), images_in(npy(np.stack([pixels, 255 - pixels])), NPY)

    assert np.array_equal(one[0], expected)
    assert np.array_equal(many[0], expected)
    assert many.shape == (2, 3, SIZE, SIZE)
    assert not np.array_equal(many[1], expected)


@pytest.mark.parametrize("dtype", ["float32", "float64", ">f4", "float16"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_preprocessed_array_is_taken_as_it_is(dtype, order):
    """
    Any float type, byte order and memory order; with or without the batch dimension.
    """
    values = np.random.default_rng(0).normal(size=(2, 3, SIZE, SIZE)).astype(dtype)

    batch = images_in(npy(np.asarray(values, order=order)), NPY)
    single = images_in(npy(np.asarray(values[0], order=order)), NPY)

    assert batch.dtype == np.float32
    assert batch.flags.c_contiguous
    assert np.array_equal(batch, values.astype(np.float32))
    assert np.array_equal(single[0], batch[0])


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(lambda p: {"image": b64(p)}, id="image"),
        pytest.param(lambda p: {"image": {"b64": b64(p)}}, id="image-b64"),
        pytest.param(lambda p: {"instances": [b64(p)]}, id="strings"),
        pytest.param(lambda p: {"instances": [{"b64": b64(p)}]}, id="b64"),
        pytest.param(lambda p: {"image": "data:image/png;base64," + b64(p)}, id="data-url"),
        pytest.param(lambda p: {"image": "\n".join(b64(p))}, id="wrapped-lines"),
        pytest.param(lambda p: {"instances": [PREPROCESSING(p).tolist()]}, id="numbers"),
    ],
)
@pytest.mark.parametrize("content_type", [JSON, "application/json; charset=utf-8"])
def test_json_carries_pictures_in_base64_or_numbers(picture, document, content_type):
    """
    However it is written, it is the same picture.
    """
    images = images_in(json.dumps(document(picture)).encode(), content_type)

    assert np.allclose(images, PREPROCESSING(picture)[None])


def test_instances_keep_their_order(picture):
    """
    The n-th answer is the n-th picture's.
    """
    other = Image.new("RGB", (20, 20), "red")
    document = {"instances": [b64(picture), b64(other), {"b64": b64(picture)}], "top_k": 2}

    decoded = decode(json.dumps(document).encode(), JSON, PREPROCESSING)

    assert decoded.top_k == 2
    assert np.array_equal(decoded.images[0], decoded.images[2])
    assert np.array_equal(decoded.images[1], PREPROCESSING(other))


class Evil:
    def __reduce__(self):
        return print, ("unpickled!",)


def claims(shape, descr="<f4", data=b""):
    """An .npy whose header claims more than there is."""
    file = io.BytesIO()
    header = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue() + data


def archive():
    file = io.BytesIO()
    np.savez(file, a=np.zeros(3))
    return file.getvalue()


@pytest.mark.parametrize(
    ("body", "says"),
    [
        pytest.param(b"hello", "not an .npy array", id="text"),
        pytest.param(b"\x93NUMPY", "not an .npy array", id="torn-header"),
        pytest.param(archive(), "not an .npy array", id="npz"),
        pytest.param(pickle.dumps(Evil()), "not an .npy array", id="pickle"),
        pytest.param(
            npy(np.array([Evil()], object), allow_pickle=True), "Python objects", id="objects"
        ),
        pytest.param(claims((1000, 1000, 1000, 1000)), "has 0 bytes", id="terabytes"),
        pytest.param(claims((3, SIZE, SIZE), data=b"\0" * 9), "has 9 bytes", id="torn-data"),
        pytest.param(claims((-1, -3, 1), data=b"\0" * 12), "shape (-1, -3, 1)", id="negative"),
        pytest.param(claims((0, 3, SIZE, SIZE)), "shape (0, 3", id="no-pictures"),
        pytest.param(claims((True, 1, 3), "|u1", b"\0" * 3), "shape (True, 1", id="bool-side"),
        pytest.param(claims((1,) * 40, "|u1", b"\0"), "shape (1, 1", id="40-dimensions"),
        pytest.param(claims((10**4000, 10**4000, 3)), "has 0 bytes", id="astronomical"),
        pytest.param(claims((2, 2, 3), "|S0"), "dtype bytes", id="empty-strings"),
        pytest.param(claims((2, 2, 3), "|V0"), "dtype void", id="empty-void"),
        pytest.param(claims((2, 2), ("|u1", (3,)), b"\0" * 12), "dtype void24", id="sub-array"),
        pytest.param(claims((2, 2, 3), [("a" * 900, "|u1")]), "dtype void8", id="record"),
        pytest.param(npy(np.zeros((3, SIZE, SIZE), "int64")), "dtype int64", id="int64"),
        pytest.param(npy(np.zeros((3, SIZE, SIZE), "complex64")), "dtype complex64", id="complex"),
        pytest.param(npy(np.zeros((3, SIZE, SIZE + 1), "f4")), "(3, 16, 17)", id="wrong-size"),
        pytest.param(npy(np.zeros((SIZE, SIZE, 3), "f4")), "(16, 16, 3)", id="float-hwc"),
        pytest.param(npy(np.zeros((3, SIZE, SIZE), "u1")), "(3, 16, 16)", id="uint8-chw"),
        pytest.param(npy(np.zeros((SIZE, SIZE), "u1")), "(16, 16)", id="grey"),
        pytest.param(npy(np.zeros((0, 4, 3), "u1")), "(0, 4, 3)", id="no-pixels"),
        pytest.param(npy(np.float32(3)), "shape ()", id="scalar"),
        pytest.param(npy(np.full((3, SIZE, SIZE), np.nan, "f4")), "NaN", id="nan"),
        pytest.param(npy(np.full((3, SIZE, SIZE), 1e300)), "infinity", id="overflow"),
        pytest.param(
            npy(np.zeros((MAX_INSTANCES + 1, 1, 1, 3), "u1")), "65 pictures", id="too-many"
        ),
        pytest.param(
            npy(np.zeros((MAX_INSTANCES + 1, 3, SIZE, SIZE), "f2")),
            "65 pictures",
            id="too-many-floats",
        ),
    ],
)
def test_a_wrong_array_is_a_400_that_says_why(body, says, capfd):
    """
    Shapes, types and sizes are checked; a header is not believed; nothing is unpickled.
    """
    with pytest.raises(RequestError) as caught:
        images_in(body, NPY)

    assert caught.value.status == 400
    assert says in caught.value.problem
    assert len(str(caught.value)) < 400
    assert "unpickled" not in capfd.readouterr().out


@pytest.mark.parametrize(
    ("document", "says"),
    [
        pytest.param(b"{", "not JSON", id="torn"),
        pytest.param(b"\xff\xfe\xfa", "not JSON", id="no-utf8"),
        pytest.param(b"[" * 100_000, "not JSON", id="deep"),
        pytest.param(b'{"top_k": ' + b"9" * 5000 + b"}", "not JSON", id="long-number"),
        pytest.param([1], "no object", id="list"),
        pytest.param({}, "nothing", id="nothing"),
        pytest.param({"data": 1}, "but 'data'", id="other-keys"),
        pytest.param({"instances": []}, "neither", id="no-instances"),
        pytest.param({"instances": "abc"}, "neither", id="no-list"),
        pytest.param({"url": "http://169.254.169.254/"}, "not fetched", id="url"),
        pytest.param({"instances": [{"url": "http://a/"}]}, "not fetched", id="instance-url"),
        pytest.param({"image": "%%%"}, "not base64", id="no-base64"),
        pytest.param({"image": "abc"}, "not base64", id="torn-base64"),
        pytest.param({"image": "aé"}, "not base64", id="no-ascii"),
        pytest.param({"image": "aGVsbG8="}, "instance 0 is not a picture", id="no-picture"),
        pytest.param({"image": ""}, "empty", id="empty"),
        pytest.param({"image": None}, "NoneType", id="null"),
        pytest.param({"instances": [3]}, "instance 0 is int", id="number"),
        pytest.param({"instances": [[[1, 2], [3]]]}, "no regular array", id="ragged"),
        pytest.param({"instances": [["a"]]}, "no regular array", id="strings"),
        pytest.param({"instances": [[1.0, 2.0]]}, "shape (2,)", id="flat"),
        pytest.param({"instances": [[[[1.0]]]]}, "shape (1, 1, 1)", id="small"),
        pytest.param({"instances": ["aGVsbG8="] * 65}, "65 pictures", id="too-many"),
    ],
)
def test_a_wrong_document_is_a_400_that_says_why(document, says):
    """
    Whatever is in the body, the client learns what was wrong with it; a URL is never fetched.
    """
    body = document if isinstance(document, bytes) else json.dumps(document).encode()

    with pytest.raises(RequestError) as caught:
        images_in(body, JSON)

    assert caught.value.status == 400
    assert says in caught.value.problem


def bomb(width, height):
    """A PNG that claims a size, and holds no pixel."""
    file = io.BytesIO()
    Image.new("L", (1, 1)).save(file, "PNG")
    header = b"IHDR" + width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 0, 0, 0, 0])
    good = bytearray(file.getvalue())
    good[12:33] = header + zlib.crc32(header).to_bytes(4, "big")
    return base64.b64encode(good).decode()


def test_the_pictures_of_a_request_have_a_limit_together():
    """
    Judged by their headers, and so before a single one is decoded.
    """
    pixels = MAX_PIXELS // 4 + 1
    body = json.dumps({"instances": [bomb(pixels, 1)] * 4}).encode()

    with pytest.raises(RequestError, match=f"have {4 * pixels} pixels together") as caught:
        images_in(body, JSON)

    assert caught.value.status == 400
    assert caught.value.remedy


def test_pictures_below_the_limit_are_decoded():
    """
    Three of the four are few enough: what is said is that the first of them is torn.
    """
    body = json.dumps({"instances": [bomb(MAX_PIXELS // 4 + 1, 1)] * 3}).encode()

    with pytest.raises(RequestError, match="instance 0 is corrupt"):
        images_in(body, JSON)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (json.dumps({"image": BLANK, "top_k": "9" * 100_000 + "x"}).encode(), JSON),
        (json.dumps({"image": BLANK, "top_k": [["x" * 999] * 999] * 9}).encode(), JSON),
        (json.dumps({"k" * 100_000: 1}).encode(), JSON),
        (b"x", "text/" + "x" * 100_000),
    ],
    ids=["text", "nested", "key", "content-type"],
)
def test_an_error_is_short_however_long_the_request_is(body, content_type):
    """
    What was found is said by its beginning.
    """
    with pytest.raises(RequestError) as caught:
        images_in(body, content_type)

    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("top_k", [0, -1, 1.5, "all", True, [3]])
def test_a_wrong_top_k_is_a_400(picture, top_k):
    """
    A whole number above 0, and nothing that only looks like one.
    """
    body = json.dumps({"image": b64(picture), "top_k": top_k}).encode()

    with pytest.raises(RequestError, match="top_k is") as caught:
        images_in(body, JSON)

    assert caught.value.status == 400


@pytest.mark.parametrize(
    "content_type",
    ["", "text/csv", "application/x-www-form-urlencoded", "multipart/form-data", "image/svg+xml"],
)
def test_an_unknown_content_type_is_a_415_with_the_known(content_type):
    """
    The list is in the answer.
    """
    with pytest.raises(RequestError) as caught:
        images_in(b"x", content_type)

    assert caught.value.status == 415
    assert "image/jpeg" in caught.value.expected
    assert "application/x-npy" in caught.value.expected


@pytest.mark.parametrize("content_type", ["image/jpeg", NPY, JSON])
def test_an_empty_body_is_a_400(content_type):
    """
    It says that there was nothing.
    """
    with pytest.raises(RequestError, match="the body is empty") as caught:
        images_in(b"", content_type)

    assert caught.value.status == 400


def test_random_bodies_never_raise_anything_else(picture):
    """
    Damaged bodies of every type give pictures or a RequestError.
    """
    random = np.random.default_rng(0)
    bodies = {
        "image/png": encoded(picture),
        NPY: npy(np.asarray(picture)),
        JSON: json.dumps({"instances": [b64(picture)], "top_k": 3}).encode(),
    }
    outcomes = set()
    for content_type, good in bodies.items():
        for _ in range(150):
            bad = np.frombuffer(good, np.uint8).copy()
            bad[random.integers(0, min(len(bad), 150), 3)] = random.integers(0, 256, 3)
            try:
                images_in(bad.tobytes(), content_type)
                outcomes.add("decoded")
            except RequestError as error:
                outcomes.add(int(error.status))

    assert outcomes == {"decoded", 400}
