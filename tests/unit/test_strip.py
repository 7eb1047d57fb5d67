"""Files are stored without what they hold beside pixels, and with every pixel as it was."""

import hashlib
import io
import struct

import numpy as np
import pytest
import simplejpeg
from PIL import Image

import make
import planted_metadata
import segrecord
from planted_metadata import PLANTED, chunk, segment
from segrecord.errors import PixelError
from segrecord.format import example, schemas, tfrecord
from segrecord.images import image, jpeg, mask, metadata, png
from segrecord.images.metadata import stripped
from segrecord.verification.source_compare import CompareRow, CompareTask, compare_rows
from segrecord.write.shard_writer import ShardRow, ShardTask, WriteOptions, write_shard

JPEGS, PNGS = planted_metadata.jpegs(), planted_metadata.pngs()
CASES = [("jpeg", name) for name in JPEGS] + [("png", name) for name in PNGS]
PLAIN = {"jpeg": planted_metadata.PLAIN_JPEGS, "png": planted_metadata.PLAIN_PNGS}


def case(form, name):
    return (JPEGS if form == "jpeg" else PNGS)[name]


def pillows(data):
    with Image.open(io.BytesIO(data)) as opened:
        return opened.mode, opened.info.get("transparency"), np.asarray(opened).tolist()


def scans(data):
    """The entropy-coded data of a JPEG."""
    found, at = [], 0
    for code, start, end in jpeg.segments(data):
        if at:
            found.append(data[at : start - (2 if code == 0xD9 else 4)].rstrip(b"\xff"))
        at = end if code == 0xDA else 0
    return found


@pytest.mark.parametrize(("form", "name"), CASES)
def test_planted_metadata_file_becomes_byte_by_byte_what_it_is_without_its_burden(form, name):
    data, expected = case(form, name)
    found = stripped(data, form, profile=False)
    assert found == expected
    assert PLANTED not in found
    assert metadata.held(found, form) == ()


@pytest.mark.parametrize(("form", "name"), CASES)
def test_pillow_reads_the_same_pixels_before_and_after(form, name):
    data, expected = case(form, name)
    assert pillows(data) == pillows(expected)


@pytest.mark.parametrize("name", JPEGS)
def test_strict_decoder_reads_the_same_pixels_and_entropy_coded_data_are_the_same(name):
    data, expected = JPEGS[name]
    colour = {1: "GRAY", 3: "RGB", 4: "CMYK"}[jpeg.walk(data).components]
    data = data[: jpeg.markers(data).end]
    before, after = (simplejpeg.decode_jpeg(one, colour, strict=True) for one in (data, expected))
    assert np.array_equal(before, after)
    assert scans(data) == scans(expected) != []


@pytest.mark.parametrize(("form", "name"), [(form, name) for form in PLAIN for name in PLAIN[form]])
def test_file_without_a_burden_comes_back_as_the_same_object(form, name):
    data = PLAIN[form][name]
    assert stripped(data, form, profile=False) is data
    assert stripped(data, form, profile=True) is data


@pytest.mark.parametrize(("form", "name"), CASES)
def test_second_stripping_takes_nothing_out(form, name):
    for profile in (False, True):
        once = stripped(case(form, name)[0], form, profile=profile)
        assert stripped(once, form, profile=profile) is once


@pytest.mark.parametrize("marker", [0xEE, 0xE0])
def test_markers_that_stay_decide_about_colours(marker):
    """What this module keeps, it keeps for a reason: without it the pixels are others."""
    name = "Adobe RGB, numbered" if marker == 0xEE else "RGB"
    data = planted_metadata.PLAIN_JPEGS[name]
    if marker == 0xE0:  # Adobe says RGB, JFIF before it says YCbCr: JFIF wins
        data = planted_metadata.with_segments(data, segment(0xEE, b"Adobe\0d\0\0\0\0\0"))
    assert stripped(data, "jpeg", profile=False) is data
    assert pillows(planted_metadata.without(data, marker)) != pillows(data)


def test_profile_stays_alone_where_it_is_asked_for():
    profile = planted_metadata.SEGMENTS["profile in three"]
    plain = planted_metadata.PLAIN_JPEGS["RGB"]
    data = planted_metadata.with_segments(plain, *planted_metadata.SEGMENTS.values())
    expected = planted_metadata.with_segments(plain, profile)
    assert stripped(data, "jpeg", profile=True) == expected
    assert stripped(expected, "jpeg", profile=True) is expected
    assert stripped(expected, "jpeg", profile=False) == plain


@pytest.mark.parametrize("name", planted_metadata.PROFILES)
def test_png_profile_stays_alone_where_it_is_asked_for(name):
    profile, plain = planted_metadata.PROFILES[name], planted_metadata.PLAIN_PNGS["RGB"]
    data = planted_metadata.with_chunks(plain, profile, *planted_metadata.CHUNKS.values())
    expected = planted_metadata.with_chunks(plain, profile)
    assert stripped(data, "png", profile=True) == expected
    assert stripped(data, "png", profile=False) == plain
    assert pillows(expected) == pillows(plain)


@pytest.mark.parametrize("kind", planted_metadata.NUMBERS)
def test_png_chunk_of_numbers_stays_unless_it_is_longer_than_its_numbers(kind):
    plain = planted_metadata.PLAIN_PNGS["RGB"]
    sound = planted_metadata.with_chunks(plain, planted_metadata.NUMBERS[kind])
    assert stripped(sound, "png", profile=False) is sound
    body = planted_metadata.NUMBERS[kind][8:-4]
    longer = planted_metadata.with_chunks(plain, chunk(kind.encode(), body + PLANTED))
    assert stripped(longer, "png", profile=False) == plain


RGB, PNG = planted_metadata.PLAIN_JPEGS["RGB"], planted_metadata.PLAIN_PNGS["RGB"]
TURNED = b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, 6, 0, 0)
TEXT = chunk(b"tEXt", b"Author\0" + PLANTED)
PIECES = planted_metadata.in_pieces(PNG, 900)
SECOND = PIECES.rindex(b"IDAT") - 4
AMID = PIECES[:SECOND] + TEXT + PIECES[SECOND:]
BAD = {
    "no jpeg": ("jpeg", PNG, "not-an-image"),
    "no png": ("png", RGB, "not-an-image"),
    "segment over the end": ("jpeg", b"\xff\xd8\xff\xe1\x7f\xff" + PLANTED, "jpeg-truncated"),
    "no EOI": ("jpeg", RGB[:-2], "jpeg-truncated"),
    "comment without an end after a scan": (
        *("jpeg", RGB[:-2] + segment(0xFE, PLANTED)[:-3], "jpeg-truncated"),
    ),
    "text between segments": ("jpeg", RGB[:20] + PLANTED + RGB[20:], "jpeg-marker"),
    "length 1": ("jpeg", RGB[:2] + b"\xff\xfe\0\1" + RGB[2:], "jpeg-marker"),
    "reserved marker": ("jpeg", RGB[:2] + segment(0xF3, PLANTED) + RGB[2:], "jpeg-marker"),
    "DNL": ("jpeg", RGB[:-2] + segment(0xDC, b"\0\x18") + RGB[-2:], "jpeg-marker"),
    "turned jpeg": (
        *("jpeg", RGB[:2] + segment(0xE1, b"Exif\0\0" + TURNED) + RGB[2:], "header-not-enough"),
    ),
    "turned png": (
        *("png", planted_metadata.with_chunks(PNG, chunk(b"eXIf", TURNED), before=b"IEND")),
        "header-not-enough",
    ),
    "no IEND": ("png", PNG[:-12], "png-truncated"),
    "text over the end": ("png", PNG[:-12] + TEXT[:-5], "png-truncated"),
    "damaged text": (
        "png",
        planted_metadata.with_chunks(PNG, TEXT[:-5] + b"!" + TEXT[-4:]),
        "png-crc",
    ),
    "critical chunk": (
        "png",
        planted_metadata.with_chunks(PNG, chunk(b"CgBI", PLANTED)),
        "png-chunk",
    ),
    "text amid the pixels": ("png", AMID, "png-chunk"),
}


@pytest.mark.parametrize("name", BAD)
def test_broken_rule_is_refused_and_nothing_is_passed_on(name):
    form, data, code = BAD[name]
    with pytest.raises(PixelError) as caught:
        stripped(data, form, profile=False)
    assert caught.value.code == code


@pytest.mark.parametrize("form", PLAIN)
def test_file_cut_anywhere_is_refused(form):
    data = JPEGS["RGB, all"][0] if form == "jpeg" else PNGS["RGB, all"][0]
    for length in range(0, len(data) - 1, 7):
        with pytest.raises(PixelError):
            stripped(data[:length], form, profile=False)


# --- what is stored


PASSED = [one for one in CASES if image.examine(case(*one)[0])[0].handling != "encode"]


@pytest.mark.parametrize(("form", "name"), PASSED)
def test_store_strips_and_trims_and_keeps_all_where_asked(form, name):
    data, expected = case(form, name)
    facts, _ = image.examine(data)
    end = jpeg.markers(data).end if form == "jpeg" else png.parse(data)[0].end
    assert image.store(data, facts)[0] == expected
    assert image.store(data, facts, keep="all")[0] == data[:end]
    assert image.store(expected, image.examine(expected)[0])[0] is expected


def test_store_keeps_the_profile_alone_where_asked():
    profile = planted_metadata.SEGMENTS["profile in three"]
    data = planted_metadata.with_segments(RGB, profile, planted_metadata.SEGMENTS["comment"])
    facts, _ = image.examine(data)
    stored = image.store(data, facts, keep="profile")[0]
    assert stored == planted_metadata.with_segments(RGB, profile)


@pytest.mark.parametrize("keep", ["nothing", "profile", "all"])
@pytest.mark.parametrize("size", [None, (11, 13)])
def test_image_that_is_encoded_anew_holds_no_metadata(keep, size):
    comment, profile = (
        planted_metadata.SEGMENTS["comment"],
        planted_metadata.SEGMENTS["profile in three"],
    )
    turned = planted_metadata.with_segments(
        RGB, segment(0xE1, b"Exif\0\0" + TURNED + PLANTED), comment, profile
    )
    cmyk = planted_metadata.with_segments(planted_metadata.PLAIN_JPEGS["CMYK"], comment, profile)
    palette = planted_metadata.with_chunks(planted_metadata.PLAIN_PNGS["P"], TEXT, before=b"PLTE")
    tiff = make.saved(planted_metadata.photo(), "TIFF", tiffinfo={315: PLANTED.decode()})
    for data in (turned, cmyk, palette, tiff):
        facts, _ = image.examine(data)
        assert facts.handling == "encode"
        stored = image.store(data, facts, size, keep=keep)[0]
        kinds = {kind for kind, _, _ in png.chunks(stored, 8)}
        assert kinds == {b"IHDR", b"IDAT", b"IEND"}


def rules(*, checked=True, keep_metadata=False, keep_profile=False):
    return WriteOptions(
        layout=schemas.Layout("deeplab", masks=True, classes=False, keep_columns=()),
        compression="none",
        missing_mask="ignore",
        num_classes=2,
        map=mask.ValueMap(((0, 0), (255, 1)), 1) if checked else None,
        size=None,
        resume_fingerprint="",
        keep_metadata=keep_metadata,
        keep_profile=keep_profile,
    )


def written(folder, data, drawn, how):
    """What the record of this image and mask holds, and its row of the index; or the problem."""
    files = [make.put(folder / "a.file", data), make.put(folder / "m.png", drawn)]
    checked = how.map is not None
    facts = image.examine(data)[0] if checked else image.examine_header(data)
    row = ShardRow(
        key="a",
        image=str(files[0]),
        masks=(str(files[1]),),
        label=None,
        class_name="",
        meta=(),
        facts=facts,
        image_bytes=len(data),
        image_sha256=hashlib.sha256(data).digest() if checked else None,
        mask_sha256s=(hashlib.sha256(drawn).digest() if checked else None,),
        mask_bytes=(len(drawn),),
        draft=None,
    )
    result = write_shard(ShardTask(str(folder), "train-0", (row,), how))
    if result.problems:
        return result.problems[0]
    with tfrecord.open_shard(str(folder / "train-0"), "none") as stream:
        ((_, payload),) = tfrecord.read_records(stream, "train-0")
    index = (folder / "train-0.json").read_text()
    return schemas.stored_of(how.layout, example.decode(payload)), index


@pytest.mark.parametrize("checked", [True, False])
@pytest.mark.parametrize("form", PLAIN)
def test_record_holds_neither_metadata_of_the_image_nor_of_a_mask_copied_unread(
    tmp_path, form, checked
):
    data, expected = case(form, "RGB, all")
    plain = png.encode(
        make.blob(height=planted_metadata.HEIGHT, width=planted_metadata.WIDTH, high=1)
    )
    drawn = planted_metadata.with_chunks(plain, *planted_metadata.CHUNKS.values())
    found, index = written(tmp_path, data, drawn, rules(checked=checked))
    digest = hashlib.sha256(expected).hexdigest()
    assert (found.image, found.image_sha256) == (expected, digest)
    assert digest in index
    assert PLANTED not in (tmp_path / "train-0").read_bytes()
    if not checked:
        assert found.mask == plain


@pytest.mark.parametrize("checked", [True, False])
def test_record_holds_the_file_as_it_is_where_metadata_are_kept(tmp_path, checked):
    data, _ = case("jpeg", "RGB, all")
    drawn = planted_metadata.with_chunks(png.encode(make.blob(height=24, width=40, high=1)), TEXT)
    how = rules(checked=checked, keep_metadata=True)
    found, index = written(tmp_path, data, drawn, how)
    assert found.image == data
    assert hashlib.sha256(data).hexdigest() in index
    assert checked or found.mask == drawn


def test_record_of_a_file_with_nothing_to_take_out_has_the_files_own_hash(tmp_path):
    drawn = png.encode(make.blob(height=24, width=40))
    found, _ = written(tmp_path, RGB, drawn, rules())
    assert found.image_sha256 == hashlib.sha256(RGB).hexdigest()


@pytest.mark.parametrize("name", ["no EOI", "turned png", "damaged text", "text amid the pixels"])
def test_unread_image_that_shows_its_damage_on_stripping_is_a_problem_of_its_row(tmp_path, name):
    _, data, code = BAD[name]
    drawn = png.encode(make.blob(height=24, width=40, high=1))
    if name == "damaged text":  # its header would show it
        data = PNG[:-12] + TEXT[:-5] + b"!" + TEXT[-4:] + PNG[-12:]
    assert written(tmp_path, data, drawn, rules(checked=False)).code == code
    if data.startswith(png.SIGNATURE):
        grey = planted_metadata.PLAIN_PNGS["L"]
        damaged = grey[:-12] + TEXT[:-5] + b"!" + TEXT[-4:] + grey[-12:]
        assert written(tmp_path, PNG, damaged, rules(checked=False)).code == "png-crc"


# --- what `verify --source` compares

ROW = {"number": 0, "key": "a", "label": None, "class_name": "", "meta": ()}


def compared(folder, how, **change):
    """What differs between the record written last and its files."""
    options = {"keep_metadata": how.keep_metadata, "keep_profile": how.keep_profile}
    task = CompareTask(
        path=str(folder / "train-0"),
        name="train-0",
        layout=how.layout,
        compression="none",
        mask_classes=how.num_classes,
        map=how.map,
        size=None,
        rows=(CompareRow(**ROW, image=str(folder / "a.file"), masks=(str(folder / "m.png"),)),),
        **options | change,
    )
    return [problem.rule for problem in compare_rows(task)]


@pytest.mark.parametrize("checked", [True, False])
@pytest.mark.parametrize("how", [{}, {"keep_profile": True}, {"keep_metadata": True}])
@pytest.mark.parametrize("form", PLAIN)
def test_stripped_record_is_equal_to_the_files_it_was_made_from(tmp_path, form, how, checked):
    data, _ = case(form, "RGB, all")
    drawn = planted_metadata.with_chunks(png.encode(make.blob(height=24, width=40, high=1)), TEXT)
    written(tmp_path, data, drawn, rules(checked=checked, **how))
    assert compared(tmp_path, rules(checked=checked, **how)) == []


def test_record_that_holds_what_was_to_be_left_out_is_told_by_its_names(tmp_path):
    drawn = planted_metadata.with_chunks(png.encode(make.blob(height=24, width=40, high=1)), TEXT)
    how = rules(checked=False, keep_metadata=True)
    data = planted_metadata.with_segments(RGB, planted_metadata.SEGMENTS["comment"])
    written(tmp_path, data, drawn, how)
    assert compared(tmp_path, how, keep_metadata=False) == [
        "the image holds JPEG comment, which this dataset was to leave out",
        "the mask holds PNG text Author, which this dataset was to leave out",
    ]


def test_record_that_holds_a_profile_that_was_to_be_left_out_is_told(tmp_path):
    data = planted_metadata.with_segments(RGB, planted_metadata.SEGMENTS["profile in three"])
    how = rules(keep_profile=True)
    written(tmp_path, data, png.encode(make.blob(height=24, width=40)), how)
    (rule,) = compared(tmp_path, how, keep_profile=False)
    assert rule.startswith("the image holds data beside its pixels")


@pytest.mark.parametrize("keep_metadata", [True, False])
def test_unread_mask_with_another_pixel_is_told(tmp_path, keep_metadata):
    how = rules(checked=False, keep_metadata=keep_metadata)
    ids = make.blob(height=24, width=40, high=1)
    written(tmp_path, RGB, png.encode(ids), how)
    ids[3, 3] ^= 1
    make.put(tmp_path / "m.png", planted_metadata.with_chunks(png.encode(ids), TEXT))
    (rule,) = compared(tmp_path, how)
    assert rule.startswith("the mask's bytes are not those of")


def test_unread_mask_kept_whole_is_compared_byte_by_byte(tmp_path):
    how = rules(checked=False, keep_metadata=True)
    drawn = png.encode(make.blob(height=24, width=40, high=1))
    written(tmp_path, RGB, drawn, how)
    make.put(tmp_path / "m.png", planted_metadata.with_chunks(drawn, TEXT))
    assert len(compared(tmp_path, how)) == 1
    assert compared(tmp_path, how, keep_metadata=False) == []


@pytest.mark.parametrize("checks", ["none", "basic", "full"])
@pytest.mark.parametrize("how", [{}, {"keep_metadata": True}, {"keep_profile": True}])
def test_build_strips_as_its_options_say_and_verify_holds(tmp_path, inline, checks, how):
    ids = make.blob(height=24, width=40, high=1)
    for number, (form, files) in enumerate((("jpeg", JPEGS), ("png", PNGS))):
        make.put(tmp_path / "source" / "images" / f"{number}.{form}", files["RGB, all"][0])
        drawn = planted_metadata.with_chunks(png.encode(ids), TEXT)
        make.put(tmp_path / "source" / "masks" / f"{number}.png", drawn)
    segrecord.build(tmp_path / "source", tmp_path / "out", checks=checks, workers=1, **how)
    shards = b"".join(path.read_bytes() for path in (tmp_path / "out").glob("train-*.tfrecord"))
    assert (PLANTED in shards) == bool(how)
    assert (b"ICC_PROFILE" in shards) == bool(how)
    assert (b"Exif" in shards) == ("keep_metadata" in how)
    report = segrecord.verify(tmp_path / "out", source=tmp_path / "source", workers=1)
    assert report.problems == ()
