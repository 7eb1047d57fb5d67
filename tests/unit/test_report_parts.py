"""The parts of the report: who is chosen, what is counted, how it is drawn."""

import base64
import io
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from PIL import Image

import datasets
import make
import segrecord
from segrecord.export import sidecars
from segrecord.findings import Finding, Related
from segrecord.images import png
from segrecord.images.overlay import PALETTE
from segrecord.report import charts, distributions, gallery, inputs, thumbnails


def read(folder):
    return inputs.read(folder)


def test_the_extreme_masks_are_the_smallest_and_the_largest(tmp_path, inline):
    shares = [0, 0, 0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1]
    for number, share in enumerate(shares):
        mask = np.zeros((10, 10), np.uint8)
        mask.ravel()[: round(100 * share)] = 255
        make.put(tmp_path / "s" / "masks" / f"{number:02}.png", png.encode(mask))
        image = png.encode(make.picture(number, 10, 10))
        make.put(tmp_path / "s" / "images" / f"{number:02}.png", image)
    found = read(segrecord.build(tmp_path / "s", tmp_path / "set").path)
    choice = gallery.choose(found)
    share = dict(zip(found.masks.row.tolist(), distributions.foreground(found.masks), strict=True))
    assert [share[row] for row in choice.smallest] == [0, 0, 0.1, 0.2, 0.3, 0.4]
    assert [share[row] for row in choice.largest] == [1, 0.9, 0.8, 0.7, 0.6, 0.5]
    assert len(set(choice.random)) == 12


def test_few_samples_are_shown_once_in_each_part(tmp_path):
    choice = gallery.choose(read(datasets.make(tmp_path / "set", {"train": (2,)})))
    assert choice.random == (0, 1)
    assert not set(choice.smallest) & set(choice.largest)


def test_of_suspicious_samples_every_code_has_some(tmp_path):
    folder = datasets.make(tmp_path / "set")
    with (folder / "findings.csv").open("a") as file:
        for code, keys in {"a": (0, 1, 2), "b": (7,), "c": (8, 0)}.items():
            file.writelines(f"warning,{code},set/{key:03d},,,,m,f\n" for key in keys)
        file.write("info,d,set/005,,,,m,f\nwarning,e,,,,,m,f\nwarning,f,unknown,,,,m,f\n")
    assert gallery.choose(read(folder)).suspicious == (0, 7, 8, 1, 2)


@pytest.mark.parametrize("code", sorted(inputs.PAIR_CODES))
@pytest.mark.parametrize(
    "name", ["b", "it's", 'say "it\'s"', "a, that of 'x'", "back\\slash", "日本", "line\nbreak"]
)
def test_the_other_sample_of_a_pair_is_the_first_related_one(tmp_path, code, name):
    related = (Related(name, "b.png"), Related("third"))
    finding = Finding(code, "a", "a.png", related, {"message": "m", "fix": ""}, "warning")
    folder = datasets.make(tmp_path / "set")
    (folder / "findings.csv").write_bytes(sidecars.findings_csv([finding]))
    assert list(map(gallery.other_key, gallery.choose_pairs(read(folder)))) == [name]


def test_the_findings_of_a_real_build_name_the_other_sample(tmp_path, inline):
    source = make.source(tmp_path / "source", 6, classes=("it's",))
    copied = (source / "it's" / "images" / "0.png").read_bytes()
    make.put(source / "it's" / "images" / "copy.png", copied)
    built = segrecord.build(source, tmp_path / "set", ignore="duplicate-mask")
    (found,) = gallery.choose_pairs(read(built.path))
    assert {found.key, gallery.other_key(found)} == {"it's/images/0", "it's/images/copy"}


def with_findings(folder, *findings):
    """The tables of a dataset whose list holds these."""
    (folder / "findings.csv").write_bytes(sidecars.findings_csv(findings))
    return read(folder)


def test_a_finding_that_names_nobody_gives_no_other_sample(tmp_path):
    said = {"message": "no two pictures have the same pixels", "fix": ""}
    finding = Finding("duplicate", "a", values=said)
    found = with_findings(datasets.make(tmp_path / "set"), finding, finding)
    assert list(map(gallery.other_key, gallery.choose_pairs(found))) == [""]


def test_two_findings_about_two_samples_are_one_pair(tmp_path):
    said = {"message": "m", "fix": ""}
    one = Finding("duplicate", "a", "", (Related("b"),), said)
    two = Finding("duplicate-label", "b", "", (Related("a"),), said, "warning")
    other = Finding("dark-image", "c", "", (Related("d"),), said)
    found = with_findings(datasets.make(tmp_path / "set"), one, two, other)
    assert [pair.key for pair in gallery.choose_pairs(found)] == ["a"]


def test_coverage_counts_every_mask_once(tmp_path):
    folder = datasets.make(tmp_path / "set")
    found = distributions.coverage(read(folder))
    made = [datasets.sample(number).mask for number in range(9)]
    shares = [100 * ((mask > 0) & (mask < 255)).mean() for mask in made if mask is not None]
    assert sum(found.histogram.counts) == found.masks == len(shares)
    assert found.median == pytest.approx(np.median(shares))
    assert found.histogram.counts == tuple(np.histogram(shares, 25, (0, 100))[0])


def test_few_sizes_are_named_and_many_are_binned(tmp_path):
    few = read(datasets.make(tmp_path / "few"))
    assert distributions.sizes(few).common == (("8 x 7", 3), ("9 x 7", 3), ("10 x 7", 3))
    folder = datasets.make(tmp_path / "many", {"train": (40,)})
    for row in range(40):
        datasets.edit_index(folder, row, height=100 + 13 * row)
    many = distributions.sizes(read(folder))
    assert (many.common, many.different) == ((), 40)
    assert sum(many.heights.counts) == 40
    assert many.heights.edges[0] == 100
    assert many.heights.edges[-1] > 100 + 13 * 39
    assert sum(many.widths.counts) == 40


def test_intensities_are_those_of_the_pictures(tmp_path, inline):
    for number, (label, level) in enumerate((("dark", 3), ("dark", 4), ("light", 250))):
        pixels = np.full((20, 20), level, np.uint8)
        pixels[0, number] = 100
        make.put(tmp_path / "s" / label / f"{number}.png", png.encode(pixels))
    built = segrecord.build(tmp_path / "s", tmp_path / "set")
    found = distributions.intensities(read(built.path))
    assert found.images == 3
    assert found.by_class["dark"][0] == pytest.approx(99.75, abs=0.01)
    assert found.by_class["light"][31] == pytest.approx(99.75, abs=0.01)
    assert found.all[12] == pytest.approx(0.25, abs=0.01)
    assert sum(found.all) == pytest.approx(100, abs=0.1)


def test_the_map_shows_where_the_masks_lie(tmp_path, inline):
    for number, label in enumerate(("left", "left", "top")):
        mask = np.zeros((32, 64), np.uint8)
        mask[:, :16] = 255 * (label == "left")
        mask[:8] |= 255 * (label == "top")
        image = png.encode(make.picture(number, 32, 64))
        make.put(tmp_path / "s" / label / "images" / f"{number}.png", image)
        make.put(tmp_path / "s" / label / "masks" / f"{number}.png", png.encode(mask))
    built = segrecord.build(tmp_path / "s", tmp_path / "set")
    maps = {one.name: one for one in distributions.heat_maps(read(built.path))}
    left = np.reshape(maps["left"].cells, (16, 16))
    assert maps["left"].masks == 2
    assert (left[:, :4] == 1).all()
    assert (left[:, 4:] == 0).all()
    assert np.reshape(maps["top"].cells, (16, 16))[:4].all()
    together = np.reshape(maps["all masks"].cells, (16, 16))
    assert together[15, 0] == pytest.approx(2 / 3)


def test_without_facts_there_are_no_intensities_and_no_maps(tmp_path):
    found = read(datasets.make(tmp_path / "set"))
    assert distributions.intensities(found) is None
    assert distributions.heat_maps(found) == []


def decoded(uri):
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


def test_fill_and_outline_are_the_mask_in_its_colours():
    ids = np.zeros((40, 50), np.uint8)
    ids[10:30, 10:30] = 2
    ids[10:30, 35:45] = 255
    fill, outline = (np.asarray(decoded(uri).convert("RGBA")) for uri in thumbnails.layers(ids))
    assert fill.shape == (40, 50, 4)
    assert (fill[:, :, 3] > 0).tolist() == (ids > 0).tolist()
    assert fill[20, 20].tolist() == [*PALETTE[1], 255]
    assert fill[20, 40, :3].tolist() == [150, 150, 150]
    drawn = outline[:, :, 3] > 0
    assert drawn[10:12, 10:30].all()
    assert not drawn[12:28, 12:28].any()
    assert not drawn[ids == 0].any()
    assert thumbnails.layers(np.zeros((4, 4), np.uint8)) == ("", "")


def test_the_layers_of_a_record_have_one_size(tmp_path):
    folder = datasets.make(tmp_path / "set")
    taken = thumbnails.take(folder, [(0, 400), (0, 4)])
    for side, size in ((400, (7, 8)), (4, (4, 4))):
        found = taken.pictures[0, side]
        assert (found.width, found.height) == size
        assert {decoded(uri).size for uri in (found.photo, found.fill, found.outline)} == {size}
    assert taken.damage == {}


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 100, [0, 20, 40, 60, 80, 100]),
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0, 7, [0, 2, 4, 6]),
        (130, 1400, [500, 1000]),
        (5, 5, [5]),
    ],
)
def test_ticks_are_round_numbers(low, high, expected):
    assert charts.ticks(low, high)[: len(expected)] == expected


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0, "0"),
        (0.5, "0.5"),
        (999, "999"),
        (1000, "1k"),
        (1500, "1.5k"),
        (25000, "25k"),
        (3e6, "3M"),
    ],
)
def test_numbers_of_axes_are_short(value, said):
    assert charts.short(value) == said


def parsed(markup):
    root = ET.fromstring(str(markup))
    assert root.find("title").text
    assert root.find("desc").text
    return root


def test_charts_are_drawings_with_a_name_a_description_and_units():
    root = parsed(
        charts.histogram("T<b>", distributions.Histogram((0, 1, 2), (3, 0)), "u & v", "things")
    )
    texts = [text.text for text in root.iter("text")]
    assert {"u & v", "things"} <= set(texts)
    bars = list(root.iter("rect"))
    assert len(bars) == 1
    assert bars[0].find("title").text == "0 to 1: 3 things"
    for chart in (
        charts.named_bars("T", (("8 x 7", 3), ("9 x 7", 1)), "images"),
        charts.intensities(
            distributions.Intensities(1, (1.0,) * 32, {"a": (1.0,) * 32, "b": (2.0,) * 32})
        ),
        charts.heat_map(distributions.Heat("<x>", 1, (0.0,) * 255 + (1.0,)), 1.0),
        charts.shade_key(0.5),
    ):
        parsed(chart)


def test_marks_are_escaped():
    assert str(charts.tag("text", "<a>&\"'", class_='"')) == (
        '<text class="&#34;">&lt;a&gt;&amp;&#34;&#39;</text>'
    )
