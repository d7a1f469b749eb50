"""Pictures are read as 8-bit RGB, upright, whatever made them; anything else is a clear error."""

import contextlib
import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images

from kennel.errors import ImageError
from kennel.vision.images import MAX_PIXELS, ORIENTATION_TAG, read_image, size_of

POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"
WHITE, BLACK, RED = (255, 255, 255), (0, 0, 0), (255, 0, 0)


def encoded(image, kind="PNG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def near(colour, other, tolerance=4):
    return all(abs(a - b) <= tolerance for a, b in zip(colour, other, strict=True))


@pytest.fixture(scope="module")
def photograph():
    return Image.fromarray(load_sample_images().images[0])  # 640 x 427


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF"])
def test_every_format_is_read(kind):
    """
    Each of the formats we name gives an RGB picture of the same size and colour.
    """
    image = read_image(encoded(Image.new("RGB", (8, 6), RED), kind))

    assert (image.mode, image.size) == ("RGB", (8, 6))
    assert near(image.getpixel((0, 0)), RED)


@pytest.mark.parametrize(
    ("picture", "kind", "colour"),
    [
        pytest.param(Image.new("L", (4, 4), 128), "PNG", (128, 128, 128), id="grey"),
        pytest.param(Image.new("1", (4, 4), 1), "PNG", WHITE, id="bilevel"),
        pytest.param(Image.new("CMYK", (4, 4), (0, 255, 255, 0)), "JPEG", RED, id="cmyk"),
        pytest.param(Image.new("RGB", (4, 4), RED).quantize(), "PNG", RED, id="palette"),
        pytest.param(Image.new("RGBA", (4, 4), (*BLACK, 0)), "PNG", WHITE, id="transparent"),
        pytest.param(Image.new("LA", (4, 4), (0, 0)), "PNG", WHITE, id="transparent-grey"),
        pytest.param(Image.new("RGBA", (4, 4), (*RED, 255)), "PNG", RED, id="opaque"),
    ],
)
def test_every_mode_becomes_rgb(picture, kind, colour):
    """
    Grey, bilevel, CMYK and palettes keep their colour; what is transparent lies over white.
    """
    image = read_image(encoded(picture, kind))

    assert image.mode == "RGB"
    assert near(image.getpixel((1, 1)), colour)


def test_a_transparent_palette_colour_lies_over_white():
    """
    A GIF or PNG that names one colour of its palette as transparent shows white there.
    """
    picture = Image.new("P", (4, 4), 0)
    picture.putpalette([*BLACK, *RED])

    assert read_image(encoded(picture, transparency=0)).getpixel((0, 0)) == WHITE


def test_16_bit_grey_keeps_its_high_byte():
    """
    Pillow's own conversion would clip all but the darkest 256 levels to white.
    """
    levels = np.array([[0, 0x0100, 0x8000, 0xFFFF]], dtype=np.uint16)

    image = read_image(encoded(Image.fromarray(levels)))

    assert [image.getpixel((x, 0))[0] for x in range(4)] == [0, 1, 0x80, 0xFF]


@pytest.mark.parametrize(
    "picture",
    [
        pytest.param(lambda p: p, id="rgba"),
        pytest.param(lambda p: p.convert("LA"), id="la"),
        pytest.param(lambda p: p.quantize(), id="palette-with-alpha"),
        pytest.param(lambda p: p.convert("CMYK"), id="cmyk"),
        pytest.param(
            lambda p: Image.fromarray(np.asarray(p.convert("L")).astype(np.uint16) * 257), id="16"
        ),
    ],
)
def test_a_large_picture_is_converted_as_its_parts_are(picture):
    """
    Some rows at a time, to the last one: each part is what it would be as a picture alone.
    """
    height, width = 1300, 2001  # more than two strips, and no multiple of one
    ramp = np.linspace(0, 255, height * width * 4).astype(np.uint8).reshape(height, width, 4)
    whole = picture(Image.fromarray(ramp[:, :, ::-1].copy(), "RGBA"))
    kind = "TIFF" if whole.mode == "CMYK" else "PNG"

    read = np.asarray(read_image(encoded(whole, kind)))

    for top in (0, 400, 900):
        part = whole.crop((0, top, width, top + 400))
        assert np.array_equal(read[top : top + 400], np.asarray(read_image(encoded(part, kind))))


def test_the_size_is_known_from_the_header():
    """
    Without any pixel data.
    """
    assert size_of(png_of_size(300, 200)) == (300, 200)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_undone(orientation):
    """
    However the camera was held, red is in the upper left corner.
    """
    upright = Image.new("RGB", (32, 16), BLACK)
    upright.paste(RED, (0, 0, 8, 8))
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # orientation -> what the camera did to it
    stored = upright.transpose(undo[orientation]) if orientation in undo else upright
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = orientation

    image = read_image(encoded(stored, "JPEG", exif=exif, quality=100, subsampling=0))

    assert image.size == (32, 16)
    assert near(image.getpixel((3, 3)), RED, 8)
    assert near(image.getpixel((28, 12)), BLACK, 8)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")  # Pillow says so, and goes on
def test_broken_exif_is_passed_over():
    """
    A good picture with a torn EXIF block is still a good picture.
    """
    data = encoded(Image.new("RGB", (8, 8), RED), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff")

    assert read_image(data).size == (8, 8)


def test_an_animation_gives_its_first_frame():
    """
    The model sees one picture.
    """
    first, second = Image.new("RGB", (4, 4), RED), Image.new("RGB", (4, 4), BLACK)

    image = read_image(encoded(first, "GIF", save_all=True, append_images=[second]))

    assert near(image.getpixel((0, 0)), RED)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        pytest.param(b"", "empty: 0 bytes", id="empty"),
        pytest.param(
            b"hello, world", "not a picture: 12 bytes beginning with b'hello, w'", id="text"
        ),
        pytest.param(POSTSCRIPT, "not a picture", id="postscript"),
        pytest.param(b"P6 1 1 255\n\0\0\0", "not a picture", id="a-format-we-do-not-name"),
        pytest.param(
            b"\x89PNG\r\n\x1a\n" + b"\0" * 40, "corrupt|not a picture", id="torn-png-header"
        ),
        pytest.param(
            b"\xff\xd8\xff\xe0" + b"\0" * 40, "corrupt|not a picture", id="torn-jpeg-header"
        ),
    ],
)
def test_what_is_no_picture_is_an_image_error(data, says):
    """
    The text says what was found; PostScript is never given to an interpreter.
    """
    with pytest.raises(ImageError, match=says):
        read_image(data)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_truncated_picture_is_an_image_error(kind, photograph):
    """
    Half a file is not shown half grey.
    """
    data = encoded(photograph, kind)

    with pytest.raises(ImageError):
        read_image(data[: len(data) // 2])


def test_random_damage_never_raises_anything_else(photograph):
    """
    Whatever a bit flip does to a decoder, the result is a picture or an ImageError.
    """
    random = np.random.default_rng(0)
    small = photograph.resize((64, 48))
    for kind in ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP"):
        good = np.frombuffer(encoded(small, kind), np.uint8)
        for _ in range(60):
            bad = good.copy()
            bad[random.integers(0, len(bad), 8)] = random.integers(0, 256, 8)
            with contextlib.suppress(ImageError):
                assert read_image(bad.tobytes()).mode == "RGB"


def png_of_size(width, height):
    """A PNG that claims a size, with next to no data."""

    def chunk(name, data):
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + data


@pytest.mark.parametrize("side", [10_000, 50_000])
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")  # as in a job
def test_a_decompression_bomb_is_refused_by_its_header(side):
    """
    A few bytes that claim gigabytes of pixels are refused before any memory is taken.
    """
    assert side * side > MAX_PIXELS

    with pytest.raises(ImageError, match="too large"):
        read_image(png_of_size(side, side))


def test_files_and_bytes_are_the_same(tmp_path):
    """
    A path is read like the bytes in it, and what the system says is told.
    """
    path = tmp_path / "a.png"
    path.write_bytes(encoded(Image.new("RGB", (5, 5), RED)))

    assert read_image(path).getpixel((0, 0)) == RED
    with pytest.raises(ImageError, match="No such file"):
        read_image(tmp_path / "b.png")


def test_a_large_jpeg_is_decoded_smaller_but_never_too_small(photograph):
    """
    With a least size given, the shorter side stays at or above it, and the picture the same.
    """
    data = encoded(photograph, "JPEG", quality=95)

    small = read_image(data, at_least_px=100)

    assert small.size == (160, 107)
    assert read_image(data, at_least_px=500).size == photograph.size
    difference = np.asarray(small, float) - np.asarray(photograph.resize((160, 107)), float)
    assert abs(difference).mean() < 4
