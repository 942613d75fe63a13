"""Pictures of every mode are shown as a viewer shows them: deep ones scaled, transparent ones on white."""

import io
import struct
import zlib

import av
import numpy as np
import pytest
from PIL import Image, ImageCms, ImageDraw

from earwise.data.colours import DEEP, SEVERAL, TRANSPARENT
from earwise.data.media import decode_image, load_image
from earwise.data.video import FrameChoice, read_frames
from earwise.errors import InputError

PAGE, SQUARE = 40_000, 9_000
"""Grey of a light page and of a dark square on it, of 65,535."""


def page(dtype=np.uint16, page=PAGE, square=SQUARE):
    samples = np.full((16, 16), page, dtype)
    samples[4:12, 4:12] = square
    return samples


def grey(path):
    """What is shown of page and square; the three channels are the same."""
    shown = np.asarray(load_image(path))
    assert (shown == shown[..., :1]).all()
    return int(shown[0, 0, 0]), int(shown[8, 8, 0])


def notes(path):
    found = []
    decode_image(path, path, found)
    return found


def mode(path):
    with Image.open(path) as image:
        return image.mode


@pytest.mark.parametrize(
    ("name", "samples", "shown"),
    [
        ("full.png", page(), (156, 35)),  # 40,000 / 257 and 9,000 / 257
        ("full.tif", page(), (156, 35)),
        ("wide.tif", page(np.int32), (156, 35)),
        ("share.tif", (page() / 65_535).astype(np.float32), (156, 35)),
        ("bytes.tif", (page() / 257).astype(np.float32), (156, 35)),
        ("float16bits.tif", page(np.float32), (156, 35)),
        ("12bits.png", page(page=4_095, square=1_365), (255, 85)),
        ("10bits.png", page(page=1_023, square=341), (255, 85)),
        ("8bits.png", page(page=255, square=85), (255, 85)),
        ("mask.png", page(page=1, square=0), (255, 0)),
        ("dark.png", page(page=5_140, square=257), (20, 1)),
        ("black.png", page(page=0, square=0), (0, 0)),
        ("hounsfield.tif", page(np.int32, page=3_000, square=-1_000), (255, 0)),
        ("huge.tif", page(np.int32, page=1_000_000, square=0), (255, 0)),
    ],
)
def test_deep_grey_is_scaled_by_its_range(tmp_path, name, samples, shown):
    Image.fromarray(samples).save(tmp_path / name)
    assert grey(tmp_path / name) == shown
    assert notes(tmp_path / name) == [DEEP]


def test_a_deep_picture_in_the_other_byte_order_is_the_same(tmp_path):
    Image.frombytes("I;16B", (16, 16), page().astype(">u2").tobytes()).save(tmp_path / "motorola.tif")
    assert mode(tmp_path / "motorola.tif") == "I;16B"
    assert grey(tmp_path / "motorola.tif") == (156, 35)


def test_samples_that_are_not_finite_are_refused(tmp_path):
    Image.fromarray(page(np.float32, square=np.nan)).save(tmp_path / "nan.tif")
    with pytest.raises(InputError, match=r"nan\.tif: the picture holds samples that are NaN or infinite"):
        load_image(tmp_path / "nan.tif")


def test_a_deep_picture_with_a_transparent_value_is_shown_on_white(tmp_path):
    Image.fromarray(page()).save(tmp_path / "t.png", transparency=PAGE)
    assert grey(tmp_path / "t.png") == (255, 35)
    assert notes(tmp_path / "t.png") == [DEEP, TRANSPARENT]


def chart(mode, clear, ink):
    """A black bar on a clear ground, whose colour is black as well."""
    picture = Image.new(mode, (16, 16), clear)
    ImageDraw.Draw(picture).rectangle([4, 4, 11, 11], fill=ink)
    return picture


def palette(entries):
    picture = chart("P", 0, 1)
    picture.putpalette(entries)
    return picture


@pytest.mark.parametrize(
    ("name", "picture", "options"),
    [
        ("rgba.png", chart("RGBA", (0, 0, 0, 0), (0, 0, 0, 255)), {}),
        ("la.png", chart("LA", (0, 0), (0, 255)), {}),
        ("rgba.webp", chart("RGBA", (0, 0, 0, 0), (0, 0, 0, 255)), {"lossless": True, "exact": True}),
        ("index.png", palette([0, 0, 0, 0, 0, 0]), {"transparency": 0}),
        ("table.png", palette([0, 0, 0, 0, 0, 0]), {"transparency": b"\x00\xff"}),
        ("rgb.png", chart("RGB", (1, 0, 0), (0, 0, 0)), {"transparency": (1, 0, 0)}),
        ("l.png", chart("L", 1, 0), {"transparency": 1}),
        ("bit.png", chart("1", 1, 0), {"transparency": 1}),
        ("index.gif", palette([9, 0, 0, 0, 0, 0]), {"transparency": 0}),
    ],
)
def test_transparent_ground_is_white_and_its_ink_stays(tmp_path, name, picture, options):
    picture.save(tmp_path / name, **options)
    assert grey(tmp_path / name) == (255, 0)
    assert notes(tmp_path / name) == [TRANSPARENT]


def test_half_transparent_ink_is_half_way_to_white(tmp_path):
    chart("RGBA", (0, 0, 0, 0), (200, 0, 0, 128)).save(tmp_path / "half.png")
    shown = np.asarray(load_image(tmp_path / "half.png"))
    assert shown[8, 8] == pytest.approx([255 - 55 * 128 / 255, 127, 127], abs=1)


def test_a_picture_with_alpha_that_is_opaque_everywhere_is_left_as_it_is(tmp_path):
    chart("RGBA", (9, 8, 7, 255), (0, 0, 0, 255)).save(tmp_path / "opaque.png")
    assert np.asarray(load_image(tmp_path / "opaque.png"))[0, 0].tolist() == [9, 8, 7]
    assert notes(tmp_path / "opaque.png") == []


def test_the_other_modes_show_their_colour(tmp_path):
    red = Image.new("RGB", (16, 16), (200, 30, 40))
    red.convert("CMYK").save(tmp_path / "cmyk.tif")
    red.convert("CMYK").save(tmp_path / "cmyk.jpg", quality=100)  # Adobe's: stored inverted
    red.convert("YCbCr").save(tmp_path / "ycbcr.jpg", quality=100)
    red.convert("P", palette=Image.Palette.ADAPTIVE).save(tmp_path / "p.png")
    lab = ImageCms.profileToProfile(
        red, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    lab.save(tmp_path / "lab.tif")
    for name in ("cmyk.tif", "cmyk.jpg", "ycbcr.jpg", "p.png", "lab.tif"):
        assert np.asarray(load_image(tmp_path / name))[8, 8] == pytest.approx([200, 30, 40], abs=3), name
        assert notes(tmp_path / name) == []
    assert mode(tmp_path / "lab.tif") == "LAB"


def test_a_profile_of_another_colour_space_is_no_reason_to_refuse_a_picture(tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
    Image.new("RGB", (4, 4), (1, 2, 3)).save(tmp_path / "icc.png", icc_profile=profile)
    Image.new("RGB", (4, 4), (1, 2, 3)).save(tmp_path / "broken.png", icc_profile=b"no profile at all")
    assert load_image(tmp_path / "icc.png").getpixel((0, 0)) == (1, 2, 3)
    assert load_image(tmp_path / "broken.png").getpixel((0, 0)) == (1, 2, 3)


def test_deep_and_transparent_pictures_are_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter
    samples = np.zeros((8, 16), np.uint16)
    samples[:, :8] = 65_535
    Image.fromarray(samples).save(tmp_path / "deep.png", exif=exif)
    clear = Image.new("RGBA", (16, 8), (0, 0, 0, 255))
    clear.paste((0, 0, 0, 0), (0, 0, 8, 8))
    clear.save(tmp_path / "clear.png", exif=exif)
    for name in ("deep.png", "clear.png"):
        shown = load_image(tmp_path / name)
        assert shown.size == (8, 16)
        assert [shown.getpixel((4, y))[0] for y in (2, 13)] == [255, 0], name


@pytest.mark.parametrize("name", ["a.gif", "a.png", "a.webp", "a.tif"])
def test_of_several_frames_the_first_is_shown_and_that_is_said(tmp_path, name):
    first, second = (Image.new("RGB", (16, 16), colour) for colour in ((255, 0, 0), (0, 0, 255)))
    first.save(tmp_path / name, save_all=True, append_images=[second])
    assert load_image(tmp_path / name).getpixel((8, 8))[0] > 200
    assert notes(tmp_path / name) == [SEVERAL]


def test_frames_of_a_video_with_alpha_are_shown_on_white(tmp_path):
    samples = np.zeros((32, 32, 4), np.uint8)
    samples[8:24, 8:24, 3] = 255
    with av.open(str(tmp_path / "v.mov"), "w") as container:
        stream = container.add_stream("qtrle", rate=4)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "argb"
        for _ in range(4):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(samples, format="rgba").reformat(format="argb")))
        container.mux(stream.encode())
    (shown,) = read_frames(tmp_path / "v.mov", FrameChoice(count=1))
    assert shown.getpixel((1, 1)) == (255, 255, 255)
    assert shown.getpixel((16, 16)) == (0, 0, 0)


def test_bytes_in_memory_are_shown_like_files(tmp_path):
    stream = io.BytesIO()
    Image.fromarray(page()).save(stream, format="PNG")
    assert decode_image(stream, tmp_path / "a.tsv").getpixel((0, 0)) == (156, 156, 156)


def test_the_transparent_colour_of_16_bits_a_channel_is_found(tmp_path):
    """A PNG of two pixels, written by hand: a ground of 40,000 each, named as transparent, and black."""
    clear, black = struct.pack(">3H", PAGE, PAGE, PAGE), bytes(6)
    parts = {
        b"IHDR": struct.pack(">2I5B", 2, 1, 16, 2, 0, 0, 0),
        b"tRNS": clear,
        b"IDAT": zlib.compress(b"\0" + clear + black),
        b"IEND": b"",
    }
    chunks = [
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in parts.items()
    ]
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
    shown = load_image(tmp_path / "a.png")
    assert [shown.getpixel((x, 0)) for x in (0, 1)] == [(255, 255, 255), (0, 0, 0)]
