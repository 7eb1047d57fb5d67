"""Masks drawn black on white: they are told, and --mask-invert turns them around."""

import json

import numpy as np
import pytest
from PIL import Image

import segrecord
from make import encoded, picture, put, saved
from segrecord.errors import DataError, UsageError
from segrecord.images import png
from segrecord.images.mask import MaskPlane, ValueMap
from segrecord.options import Options

pytestmark = pytest.mark.usefixtures("inline")
SIDE = 48


def lesion(number, side=SIDE, *, touching=False):
    """(side, side) bool: a disc, which may cross the left border."""
    rows, columns = np.ogrid[:side, :side]
    centre = side * 0.1 if touching else side * (0.4 + 0.02 * number)
    inside: np.ndarray = (rows - side / 2) ** 2 + (columns - centre) ** 2 < (side * 0.25) ** 2
    return inside


def grey(inside, low=0, high=255):
    return png.encode(np.where(inside, high, low).astype(np.uint8))


def bits(inside):
    return encoded(np.where(inside, 255, 0).astype(np.uint8), mode="1")


def jpeg(inside):
    return saved(Image.fromarray(np.where(inside, 255, 0).astype(np.uint8)), "JPEG", quality=90)


def source(folder, masks):
    """A folder of pairs with these mask files."""
    for number, data in enumerate(masks):
        ending = "jpg" if data[:2] == b"\xff\xd8" else "png"
        put(folder / f"images/{number}.png", png.encode(picture(number, SIDE, SIDE)))
        put(folder / f"masks/{number}.{ending}", data)
    return str(folder)


def warned(folder, **options):
    found = segrecord.scan(folder, **options).findings
    return [finding for finding in found if finding.code == "inverted-masks"]


INVERTED = [~lesion(n) for n in range(4)]
FORMS = {
    "0/255": ([grey(inside) for inside in INVERTED], {}),
    "0/1": ([grey(inside, 0, 1) for inside in INVERTED], {}),
    "1-bit": ([bits(inside) for inside in INVERTED], {}),
    "1-bit among 0/255": ([*map(bits, INVERTED[:2]), *map(grey, INVERTED[2:])], {}),
    "JPEG": ([jpeg(inside) for inside in INVERTED], {"mask_threshold": 128}),
}


@pytest.mark.parametrize("form", FORMS)
def test_inverted_masks_are_told_and_the_way_out_turns_them(form, tmp_path):
    masks, options = FORMS[form]
    folder = source(tmp_path / "src", masks)
    (finding,) = warned(folder, **options)
    assert finding.level == "warning"
    assert finding.message.startswith("as in 4 of 4 masks")
    assert finding.path.endswith(("masks/0.png", "masks/0.jpg"))
    assert "pass --mask-invert" in finding.fix
    built = segrecord.build(folder, tmp_path / "out", mask_invert=True, shards=1, **options)
    assert "inverted-masks" not in {found.code for found in built.findings}
    for example in segrecord.open(tmp_path / "out"):
        assert np.array_equal(example.mask, lesion(int(example.key[-1])))
    assert segrecord.verify(tmp_path / "out", source=folder).problems == ()
    told = json.loads((tmp_path / "out/dataset.json").read_text(encoding="utf-8"))
    assert told["options"]["pixels"]["mask_invert"] is True
    assert "--mask-invert" in (tmp_path / "out/README.md").read_text(encoding="utf-8")


def test_the_option_is_told_where_it_makes_masks_inverted(tmp_path):
    folder = source(tmp_path / "src", [grey(lesion(n)) for n in range(3)])
    assert warned(folder) == []
    (finding,) = warned(folder, mask_invert=True)
    assert "leave --mask-invert out" in finding.fix
    (finding,) = warned(folder, mask_map="255=background,0=lesion")
    assert "--mask-map the other way round" in finding.fix
    assert warned(folder, mask_map="0=background,255=lesion") == []


def many_classes(number):
    plane = np.full((SIDE, SIDE), 1 + number % 2, np.uint8)
    plane[lesion(number)] = 0
    return png.encode(plane)


def framed(inside):
    """Class ids with a frame of 255 = ignore."""
    plane = np.full((SIDE, SIDE), 255, np.uint8)
    plane[4:-4, 4:-4] = inside[4:-4, 4:-4]
    return plane


SOUND = {
    "lesions that cross a border": [grey(lesion(n, touching=True)) for n in range(4)],
    "scenes of several classes": [many_classes(n) for n in range(4)],
    "full masks": [grey(np.ones((SIDE, SIDE), bool))] * 4,
    "empty masks": [grey(np.zeros((SIDE, SIDE), bool))] * 4,
    "a band from side to side": [
        grey(np.repeat(np.arange(SIDE)[:, None] < 30 + n, SIDE, axis=1)) for n in range(4)
    ],
    "a few inverted ones": [grey(lesion(n)) for n in range(3)] + [grey(~lesion(0))] * 2,
    "ignore around": [png.encode(framed(lesion(n))) for n in range(4)],
}


@pytest.mark.parametrize("kind", SOUND)
def test_masks_that_reach_the_border_rightly_are_not_told(kind, tmp_path):
    assert warned(source(tmp_path / "src", SOUND[kind])) == []


@pytest.mark.parametrize("on_error", ["stop", "quarantine"])
def test_masks_of_more_classes_cannot_be_inverted(on_error, tmp_path):
    folder = source(tmp_path / "src", [many_classes(n) for n in range(4)])
    with pytest.raises(DataError) as caught:
        segrecord.build(folder, tmp_path / "out", mask_invert=True, on_error=on_error)
    (finding,) = [f for f in caught.value.findings if f.level == "error"]
    assert finding.code == "mask-not-two-valued"
    assert "value 2, read as class 2" in finding.message
    assert "leave --mask-invert out" in finding.fix


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"mask_map": "0=a,255=b"}, "mask-invert and mask-map exclude each other"),
        ({"checks": "none"}, "mask-invert reads pixels, which checks none leaves unread"),
    ],
)
def test_it_is_refused_where_it_has_no_meaning(options, rule):
    with pytest.raises(UsageError, match=rule):
        Options.of(mask_invert=True, **options)


def test_a_kept_scan_serves_both_ways_and_the_fingerprints_differ(tmp_path):
    folder = source(tmp_path / "src", FORMS["0/255"][0])
    one = segrecord.build(folder, tmp_path / "out", shards=1)
    facts = tmp_path / "out/facts.arrow"
    two = segrecord.build(folder, tmp_path / "two", shards=1, mask_invert=True, facts=str(facts))
    assert one.manifest.fingerprint != two.manifest.fingerprint
    again = segrecord.build(folder, tmp_path / "out", shards=1, mask_invert=True, overwrite=True)
    assert again.manifest == two.manifest
    for example in segrecord.open(tmp_path / "out"):
        assert np.array_equal(example.mask, lesion(int(example.key[-1])))


def test_the_map_of_where_masks_lie_in_the_report_shows_the_foreground(tmp_path):
    from segrecord.report.distributions import heat_maps
    from segrecord.report.inputs import read

    folder = source(tmp_path / "src", FORMS["0/255"][0])
    segrecord.build(folder, tmp_path / "out", shards=1, mask_invert=True)
    (heat,) = heat_maps(read(tmp_path / "out"))
    assert heat.cells[0] == 0
    assert max(heat.cells) == 1


@pytest.mark.parametrize("values", [{0: 0, 255: 1}, {0: 0, 1: 1}, {1: 1}, {0: 0, 1: 1, 255: 255}])
def test_black_and_white_of_an_inverted_map_are_each_others_opposite(values):
    turned = ValueMap(tuple(values.items()), 1).inverted()
    assert (turned.black, turned.white) == (1, 0)
    plane = MaskPlane(np.array([[0, 1]], np.uint8), "bilevel", "png", "1")
    assert turned.apply(plane, turned.lut()).tolist() == [[1, 0]]
    assert turned.inverted().white == 1
