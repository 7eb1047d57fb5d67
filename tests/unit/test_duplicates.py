"""Copies: which are found and joined, which are reported instead, and in what words."""

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image, ImageDraw

from make import blob, put, samples_of
from segrecord.checks.mask_values import Reading
from segrecord.duplicates import near, search
from segrecord.duplicates.copy_findings import duplicate_findings, floored
from segrecord.executors import EngineFailure, InlineEngine, LocalEngine
from segrecord.images import exif, image, perceptual, png
from segrecord.images.mask import ValueMap
from segrecord.scanning import facts
from segrecord.scanning.checkpoint import KEPT, KeptScan

DATA = Path(__file__).parents[2].parent / "shared" / "data"
READING = Reading(ValueMap(((0, 0), (255, 1)), 1), ("background", "foreground"), ())


def photo(number, side=80):
    """(side, side) uint8: a smooth random picture, another for every number."""
    cells = np.random.default_rng(number).integers(20, 220, (7, 7), dtype=np.uint8)
    return np.asarray(Image.fromarray(cells).resize((side, side), Image.Resampling.BICUBIC))


def changed(pixels, count=9):
    """Nearly the same: some pixels are others."""
    other = pixels.copy()
    other.reshape(-1)[:count] ^= 64
    return other


def halved(pixels):
    return np.asarray(Image.fromarray(pixels).resize((pixels.shape[1] // 2, pixels.shape[0] // 2)))


def greyed(pixels):
    return np.asarray(Image.fromarray(pixels).convert("L"))


def jpeg(pixels, quality=70):
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=quality)
    return out.getvalue()


class Source:
    """Samples on disk with what is found of them."""

    def __init__(self, folder):
        self.folder, self.rows, self.splits = folder, [], []

    def add(self, data, *, label=(), split=None, mask=None):
        """A sample with this image (pixels or a file's bytes)."""
        number = len(self.rows)
        data = data if isinstance(data, bytes) else png.encode(data)
        path = put(self.folder / f"{number}.img", data)
        planes = mask if isinstance(mask, list) else [] if mask is None else [mask]
        masks = [
            str(put(self.folder / f"{number}-{part}.png", png.encode(plane)))
            for part, plane in enumerate(planes)
        ]
        self.rows.append((f"k{number:03d}", str(path), tuple(masks), tuple(label)))
        self.splits.append(split)

    def scan(self, checks="full"):
        place = samples_of(self.rows).schema.get_field_index("split")
        self.samples = samples_of(self.rows).set_column(
            place, "split", pa.array(self.splits, pa.string())
        )
        kept = KeptScan(self.folder / f"scan-{checks}", None)
        with InlineEngine() as engine:
            self.facts = facts.scan(
                self.samples, engine, checks, kept, KEPT.empty_table(), lambda _: None
            )
        kept.close()

    def find(self, mode="group", engine=None, progress=lambda _: None):
        with engine or InlineEngine() as running:
            return search.find(self.samples, self.facts, running, mode, progress)

    def findings(self, found, mode="group", reading=READING):
        return duplicate_findings(self.samples, self.facts, found, reading, mode)

    def told(self, mode="group", reading=READING):
        """The findings of all, scanned now."""
        self.scan()
        return self.findings(self.find(mode), mode, reading)


@pytest.fixture
def source(tmp_path):
    return Source(tmp_path)


def filled(source, *pictures, **options):
    for picture in pictures:
        source.add(picture, **options)
    source.scan()
    return source


def pairs_of(pairs):
    return list(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True))


def by_code(findings, code):
    return [finding for finding in findings if finding.code == code]


# What is found.


def test_equal_pixels_are_one_set_whatever_the_file(source):
    filled(source, photo(0), photo(1), png.encode(photo(0), photo=True) + b"tail", photo(0))
    found = source.find()
    assert found.exact == ((0, 2, 3),)
    assert found.numbers.tolist() == [0, 1, 0, 0]
    assert pairs_of(found.pairs) == []


def test_pictures_of_one_colour_and_several_sizes_are_no_copies(source):
    filled(source, np.full((4, 6), 9, np.uint8), np.full((6, 4), 9, np.uint8))
    assert source.find().exact == ()


def test_distinct_pictures_stand_alone(source):
    filled(source, *map(photo, range(12)))
    found = source.find()
    assert found.exact == found.crowds == ()
    assert pairs_of(found.pairs) == pairs_of(found.unsure) == []
    assert found.numbers.tolist() == list(range(12))


NEAR = {
    "a JPEG of it": jpeg,
    "half of its size": halved,
    "in three channels": lambda pixels: np.repeat(pixels[:, :, None], 3, axis=2),
    **{
        f"orientation {number}": lambda pixels, number=number: exif.turn(pixels, number)
        for number in range(2, 9)
    },
}


@pytest.mark.parametrize("change", NEAR)
def test_a_near_copy_is_confirmed_and_joined(source, change):
    filled(source, photo(0), photo(1), NEAR[change](photo(0)))
    found = source.find()
    assert pairs_of(found.pairs) == [(0, 2)]
    assert found.pairs.correlation[0] >= 0.98
    assert found.numbers.tolist() == [0, 1, 0]


def test_near_and_exact_copies_are_joined_in_a_chain(source):
    filled(source, photo(0), changed(photo(0)), photo(5), changed(photo(0)), photo(0), photo(5))
    found = source.find()
    assert found.exact == ((0, 4), (1, 3), (2, 5))
    assert pairs_of(found.pairs) == [(0, 1)]
    assert found.numbers.tolist() == [0, 0, 2, 0, 0, 2]


def test_warn_confirms_and_does_not_join_and_off_does_not_look(source):
    filled(source, photo(0), jpeg(photo(0)), photo(0))
    warned, off = source.find("warn"), source.find("off")
    assert pairs_of(warned.pairs) == [(0, 1)]
    assert warned.numbers.tolist() == off.numbers.tolist() == [0, 1, 0]
    assert pairs_of(off.pairs) == []
    assert warned.exact == off.exact == ((0, 2),)


def test_flat_and_constant_pictures_are_never_near(source):
    flat = np.full((64, 64), 100, np.uint8)
    filled(source, flat, changed(flat), flat + photo(0, 64) // 64, flat + photo(0, 64) // 63)
    found = source.find()
    assert pairs_of(found.pairs) == pairs_of(found.unsure) == []


def test_what_full_checks_have_not_seen_takes_part_in_nothing(source):
    filled(source, photo(0), photo(0), b"no image", b"no image", photo(0))
    assert source.find().exact == ((0, 1, 4),)
    source.scan("basic")
    found = source.find()
    assert found.exact == ()
    assert found.numbers.tolist() == [0, 1, 2, 3, 4]


def test_no_samples_have_no_copies(source):
    source.scan()
    found = source.find()
    assert len(found.numbers) == 0
    assert source.findings(found) == []
    assert len(found.only(np.zeros(0, np.bool_)).numbers) == 0


def fake_hashes(source, hashes):
    """As if the pictures had these hashes."""
    place = source.facts.schema.get_field_index("phash")
    source.facts = source.facts.set_column(place, "phash", pa.array(hashes, pa.uint64()))


@pytest.fixture
def no_floor(monkeypatch):
    """Pairs are listed however little they are alike: drawn pictures are."""
    monkeypatch.setattr(search, "ALIKE", -1.0)


@pytest.mark.usefixtures("no_floor")
def test_a_pair_whose_pictures_differ_is_not_confirmed_but_listed(source):
    filled(source, photo(0), photo(1), photo(2))
    fake_hashes(source, [5, 4, 2**40 - 1])
    found = source.find()
    assert pairs_of(found.pairs) == []
    assert pairs_of(found.unsure) == [(0, 1)]
    assert found.numbers.tolist() == [0, 1, 2]


@pytest.mark.usefixtures("no_floor")
def test_only_the_best_unconfirmed_pairs_are_listed(source, monkeypatch):
    filled(source, *map(photo, range(6)))
    fake_hashes(source, [5] * 6)
    monkeypatch.setattr(search, "UNSURE", 4)
    found = source.find().unsure
    assert len(found.first) == 4
    assert found.correlation.tolist() == sorted(found.correlation.tolist(), reverse=True)


@pytest.mark.usefixtures("no_floor")
def test_a_pair_is_compared_in_the_turn_that_suits_it_best(source):
    filled(source, photo(0), exif.turn(photo(0), 2))
    fake_hashes(source, [0, 0])  # near under two turns
    assert len(near.search(np.zeros(2, np.uint64)).first) == 2
    found = source.find().unsure
    assert pairs_of(found) == [(0, 1)]
    thumbs = [perceptual.thumbnail(pixels)[None] for pixels in (photo(0), exif.turn(photo(0), 2))]
    others = [perceptual.turned(thumbs[1], turn) for turn in (0, 4)]
    best = max(perceptual.likeness(thumbs[0], other).correlation[0] for other in others)
    assert found.correlation.tolist() == [best]


def mixed(share):
    """Two pictures mixed: so many of 32 parts of the second."""
    return (photo(0).astype(int) * (32 - share) // 32 + photo(1).astype(int) * share // 32).astype(
        np.uint8
    )


@pytest.mark.usefixtures("no_floor")
def test_an_unconfirmed_pair_that_others_join_is_not_listed(source):
    shares = (0, 5, 10)
    filled(source, *map(mixed, shares))
    fake_hashes(source, [5, 5, 5])
    found = source.find()
    assert pairs_of(found.pairs) == [(0, 1), (1, 2)]
    assert pairs_of(found.unsure) == []
    source.samples, source.facts = source.samples.take([0, 2]), source.facts.take([0, 2])
    assert pairs_of(source.find().unsure) == [(0, 1)]


def test_only_what_is_more_alike_than_strangers_are_resembles(source):
    """Of random pairs of real pictures the most alike correlate at 0.94: below that "it resembles"
    says nothing."""
    filled(source, mixed(0), mixed(8), photo(2), photo(3))
    fake_hashes(source, [5, 5, 2**40, 2**40])
    found = source.find().unsure
    assert pairs_of(found) == [(0, 1)]
    assert search.ALIKE <= found.correlation[0] < 0.98


@pytest.mark.parametrize("fate", ["gone", "changed"])
def test_a_file_that_is_no_longer_what_was_scanned_is_not_confirmed(source, fate):
    filled(source, photo(0), jpeg(photo(0)), photo(1), jpeg(photo(1)))
    if fate == "gone":
        (source.folder / "1.img").unlink()
    else:
        put(source.folder / "1.img", jpeg(photo(0), 71))
    found = source.find()
    assert pairs_of(found.pairs) == [(2, 3)]
    assert pairs_of(found.unsure) == []


class LosesTasks(InlineEngine):
    def run(self, function, tasks):
        for number, task in enumerate(tasks):
            yield number, EngineFailure(number, "worker died", "") if number else function(task)


def test_what_a_worker_does_not_survive_is_not_confirmed(source, monkeypatch):
    filled(source, photo(0), jpeg(photo(0)), photo(1), jpeg(photo(1)))
    monkeypatch.setattr("segrecord.duplicates.search._FILES", 2)
    assert pairs_of(source.find(engine=LosesTasks()).pairs) == [(0, 1)]


def test_each_picture_is_read_again_once_and_only_if_nominated(source):
    filled(source, photo(0), *map(photo, range(10, 30)), *(jpeg(photo(0), q) for q in (60, 80)))
    read = []
    source.find(progress=read.append)
    assert read[-1] == 3 + 20  # and a sample of the others, which tells how alike the set is
    assert source.find(progress=read.append).pairs.first.tolist() == [0, 0, 21]


def test_the_sample_of_the_others_is_small_and_none_is_read_where_no_pair_is_near(source):
    filled(source, *map(photo, range(50)))
    read = []
    source.find(progress=read.append)
    assert read == []
    source.add(jpeg(photo(0)))
    source.scan()
    source.find(progress=read.append)
    assert 1 + search.SAMPLE <= read[-1] <= 2 + search.SAMPLE


def test_copies_are_found_where_most_of_the_set_are_copies_or_equal_hashes(source, monkeypatch):
    monkeypatch.setattr(near, "limit", lambda _: 12)
    copies = [changed(photo(1), 5 * n) for n in range(1, 16)]
    filled(source, photo(0), jpeg(photo(0)), *map(photo, range(2, 5)), *copies)
    assert pairs_of(source.find().pairs) == [(0, 1)]


def test_workers_find_the_same(source):
    filled(source, photo(0), jpeg(photo(0)), photo(1))
    found = source.find(engine=LocalEngine(1))
    assert pairs_of(found.pairs) == [(0, 1)]


# Crowds.


def chain(source, count, others=0):
    """Near copies of one picture, and other pictures."""
    filled(source, *(changed(photo(0), 5 * n) for n in range(count)), *map(photo, range(1, others)))
    return source


def test_twenty_near_copies_are_joined_and_one_more_makes_a_crowd(source):
    assert chain(source, 20).find().numbers.tolist() == [0] * 20
    source.add(changed(photo(0), 200))
    source.scan()
    found = source.find()
    assert found.crowds == (tuple(range(21)),)
    assert pairs_of(found.pairs) == []
    assert found.numbers.tolist() == list(range(21))


def test_one_per_cent_of_a_large_set_may_be_joined():
    from segrecord.duplicates.search import is_large

    pairs = search.NO_PAIRS._replace(first=np.array([0]), second=np.array([1]))
    parts = np.arange(2500)
    parts[:25] = 0
    assert not is_large(parts, pairs).any()
    parts[25] = 0
    assert np.flatnonzero(is_large(parts, pairs)).tolist() == [0]
    assert not is_large(parts, search.NO_PAIRS).any()  # exact copies alone are no crowd


def test_exact_copies_in_a_crowd_stay_joined(source):
    chain(source, 22)
    source.add(changed(photo(0), 5))
    source.scan()
    found = source.find()
    assert found.crowds == (tuple(range(23)),)
    assert found.exact == ((1, 22),)
    assert found.numbers.tolist() == [*range(22), 1]


def test_hashes_that_very_many_have_are_a_crowd_with_their_exact_copies(source, monkeypatch):
    filled(source, *map(photo, range(8)), photo(3), jpeg(photo(20)), photo(20))
    fake_hashes(source, [5] * 9 + source.facts["phash"].to_pylist()[9:])
    monkeypatch.setattr(near, "limit", lambda _: 5)
    found = source.find()
    assert found.crowds == (tuple(range(9)),)
    assert found.numbers.tolist() == [*range(8), 3, 9, 9]


# Of a part of the samples.


def test_of_the_kept_samples_rows_and_sets_are_those_among_them(source):
    pictures = (photo(0), photo(0), photo(5), photo(0), photo(5), jpeg(photo(0)), photo(9))
    found = filled(source, *pictures).find()
    kept = found.only(np.array([False, True, True, True, False, True, True]))
    assert kept.exact == ((0, 2),)
    assert pairs_of(kept.pairs) == [(0, 3)]
    assert kept.numbers.tolist() == [0, 1, 0, 0, 2]


def test_a_pair_whose_first_sample_is_gone_passes_to_its_copy_with_the_turn_the_other_way(source):
    turned = exif.turn(photo(0), 6)
    found = filled(source, photo(0), turned, photo(0)).find()
    kept = found.only(np.array([False, True, True]))
    assert pairs_of(kept.pairs) == [(0, 1)]
    thumbs = [perceptual.thumbnail(pixels)[None] for pixels in (turned, photo(0))]
    aligned = perceptual.turned(thumbs[1], int(kept.pairs.turn[0]))
    assert perceptual.likeness(thumbs[0], aligned).same[0]


def test_of_crowds_and_unsure_pairs_the_kept_are_left(source):
    chain(source, 21)
    keep = np.arange(21) != 3
    assert source.find().only(keep).crowds == (tuple(range(20)),)
    assert source.find().only(np.arange(21) < 1).crowds == ()


@pytest.mark.usefixtures("no_floor")
def test_an_unsure_pair_is_left_where_both_are_kept(source):
    filled(source, photo(0), photo(1), photo(2))
    fake_hashes(source, [2**40 - 1, 5, 4])
    found = source.find()
    assert pairs_of(found.only(np.array([False, True, True])).unsure) == [(0, 1)]
    assert pairs_of(found.only(np.array([True, True, False])).unsure) == []


# What is said of it.


def test_each_copy_names_the_first(source):
    told = filled(source, photo(0), photo(0), photo(1), photo(0)).told()
    assert [(f.level, f.code, f.key, f.path) for f in told] == [
        ("warning", "duplicate", "k001", source.rows[1][1]),
        ("warning", "duplicate", "k003", source.rows[3][1]),
    ]
    assert all("'k000'" in finding.message for finding in told)
    assert "--keep-duplicates one" in told[0].fix


def test_sound_samples_are_not_spoken_of(source):
    for number in range(6):
        source.add(photo(number), label="a", split="train", mask=blob(number, 80, 80))
    assert source.told() == []


def test_copies_in_two_splits_are_an_error_for_all_of_the_set(source):
    for split in ("train", "train", "test", None):
        source.add(photo(0), split=split)
    told = by_code(source.told(), "duplicate-split")
    assert [(f.level, f.key) for f in told] == [("error", f"k{n:03d}") for n in range(3)]
    assert "'train'" in told[0].message
    assert "'test'" in told[0].message
    assert "'k002'" in told[0].message
    assert "'k000'" in told[2].message


def test_copies_in_one_split_are_no_error(source):
    for split in ("train", "train", None):
        source.add(photo(0), split=split)
    assert {finding.code for finding in source.told()} == {"duplicate"}


def test_copies_with_other_labels_are_an_error(source):
    for label in (["a"], [], ["b"], ["a"]):
        source.add(photo(0), label=label)
    told = by_code(source.told(), "duplicate-label")
    assert [(f.level, f.key) for f in told] == [("error", key) for key in ("k000", "k002", "k003")]
    assert "'a'" in told[0].message
    assert "'b'" in told[0].message
    assert "'k002'" in told[0].message


def test_the_order_of_labels_does_not_matter(source):
    for label in (["a", "b"], ["b", "a"]):
        source.add(photo(0), label=label)
    assert {finding.code for finding in source.told()} == {"duplicate"}


def moved(plane):
    return np.roll(plane, 1, axis=1)


@pytest.mark.parametrize(
    ("one", "other", "differ"),
    {
        "the same": (blob(0, 80, 80), blob(0, 80, 80), False),
        "moved, as large": (blob(0, 80, 80), moved(blob(0, 80, 80)), True),
        "larger": (blob(0, 80, 80), blob(1, 80, 80), True),
        "of another size": (blob(0, 80, 80), blob(1, 40, 40), False),
        "none": (blob(0, 80, 80), None, False),
        "two parts": (blob(0, 80, 80), [blob(0, 80, 80), blob(1, 80, 80)], False),
    }.values(),
)
def test_copies_with_other_masks_are_an_error_where_that_is_certain(source, one, other, differ):
    source.add(photo(0), mask=one)
    source.add(photo(0), mask=other)
    told = by_code(source.told(), "duplicate-mask")
    assert [(f.level, f.key, f.path) for f in told] == [
        ("error", key, str(source.folder / f"{number}-0.png"))
        for number, key in enumerate(("k000", "k001"))
        if differ
    ]
    assert by_code(source.told(reading=None), "duplicate-mask") == []


IDS = ValueMap(((0, 0), (1, 1), (2, 1), (255, 255)), 1)


@pytest.mark.parametrize(("value", "differ"), [(2, False), (255, True)])
def test_values_of_one_class_are_one_in_masks_of_copies(source, value, differ):
    plane = blob(0, 80, 80, high=1)
    source.add(photo(0), mask=plane)
    source.add(photo(0), mask=np.where(plane == 1, value, 0).astype(np.uint8))
    told = source.told(reading=Reading(IDS, ("a", "b"), ()))
    assert bool(by_code(told, "duplicate-mask")) == differ


def test_where_two_values_mean_one_class_an_equal_share_is_no_proof(source):
    plane = blob(0, 80, 80, high=1)
    plane[10, 10:20] = 2
    other = plane.copy()
    other[10, 10:20], other[11, 10:20] = 1, 2
    source.add(photo(0), mask=plane)
    source.add(photo(0), mask=other)
    told = source.told(reading=Reading(IDS, ("a", "b"), ()))
    assert by_code(told, "duplicate-mask") == []


def bilevel(plane):
    out = io.BytesIO()
    Image.fromarray(plane).convert("1").save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize(("number", "differ"), [(0, False), (1, True)])
def test_a_bilevel_mask_is_compared_by_what_its_white_means(source, number, differ):
    source.add(photo(0), mask=blob(0, 80, 80))
    source.add(photo(0), mask=blob(0, 80, 80))
    put(source.folder / "1-0.png", bilevel(blob(number, 80, 80)))
    assert bool(by_code(source.told(), "duplicate-mask")) == differ


def test_a_near_copy_names_what_it_is_near_to_and_what_was_done(source):
    filled(source, photo(0), photo(1), exif.turn(photo(0), 3))
    (grouped,) = source.told()
    assert (grouped.level, grouped.code, grouped.key) == ("warning", "near-duplicate", "k002")
    assert "'k000'" in grouped.message
    assert "correlation 1.000, turned by 180 degrees" in grouped.message
    assert "grouped: they go to one split" in grouped.message
    assert "--near-duplicates warn" in grouped.fix
    (warned,) = source.told("warn")
    assert "not grouped" in warned.message
    assert "--near-duplicates group" in warned.fix
    assert source.told("off") == []


def test_a_copy_near_to_many_names_three(source):
    found = by_code(chain(source, 6).told(), "near-duplicate")
    assert [finding.key for finding in found] == ["k001", "k002", "k003", "k004", "k005"]
    assert found[4].message.count("correlation") == 3
    assert "and 2 more" in found[4].message


def test_near_copies_in_two_fixed_splits_are_told_and_said_not_to_be_moved(source):
    source.add(photo(0), split="train")
    source.add(jpeg(photo(0)), split="test")
    near_one, apart = source.told()
    assert (near_one.code, apart.code) == ("near-duplicate", "near-duplicate-split")
    assert "the source fixes the splits" in near_one.message
    assert (apart.level, apart.key) == ("warning", "k001")
    for word in ("'train'", "'test'", "'k000'"):
        assert word in apart.message


def test_a_crowd_is_one_finding_that_names_some_and_the_way_out(source):
    (told,) = chain(source, 21).told()
    assert (told.level, told.code, told.key, told.path) == (
        "warning",
        "near-duplicate-crowd",
        "",
        "",
    )
    assert "21 of 21 pictures ('k000', 'k001', 'k002', ...)" in told.message
    assert "splits" not in told.message
    assert "--group-column" in told.fix


def test_a_crowd_that_stands_in_two_splits_says_so(source):
    for number in range(21):
        source.add(changed(photo(0), 5 * number), split="ab"[number % 2])
    (told,) = source.told()
    assert "in the splits 'a' and 'b'" in told.message


@pytest.mark.usefixtures("no_floor")
def test_pairs_that_were_not_confirmed_are_listed_for_a_person(source):
    filled(source, photo(0), photo(1))
    fake_hashes(source, [5, 4])
    (told,) = source.findings(source.find())
    assert (told.level, told.code, told.key) == ("info", "similar-pair", "k000")
    assert "'k001'" in told.message
    assert "0.98" in told.message


def test_a_correlation_is_never_rounded_up_to_the_limit():
    assert floored(0.97999) == "0.979"
    assert floored(0.98) == "0.980"
    assert floored(1.0) == "1.000"


# Distinct pictures are not joined, changed ones are.


def eye(number, side=192):
    """(side, side, 3) uint8: a fundus photograph. The disc is always the same."""
    random = np.random.default_rng(number)
    y, x = np.mgrid[:side, :side] / side - 0.5
    left = 1 if random.random() < 0.5 else -1
    nerve_x, nerve_y = left * 0.3 + random.normal(0, 0.01), random.normal(0, 0.01)
    tilt = random.normal(0, 12, 2)
    light = 110 + random.normal(0, 5) - 240 * (x * x + y * y) + tilt[0] * x + tilt[1] * y
    for where, height, width in ((nerve_x, 90, 0.045), (nerve_x - left * 0.32, -30, 0.05)):
        light += height * np.exp(-((x - where) ** 2 + (y - nerve_y) ** 2) / (2 * width**2))
    picture = Image.fromarray(light.clip(0, 255).astype(np.uint8))
    drawn = ImageDraw.Draw(picture)
    for upward in (-1, 1):
        for _ in range(3):
            angle, points = upward * random.uniform(1, 2), [(nerve_x, nerve_y)]
            for turn in random.normal(0, 0.12, 22):
                angle += turn
                at = points[-1]
                points.append((at[0] + 0.035 * np.cos(angle), at[1] + 0.035 * np.sin(angle)))
            drawn.line([((u + 0.5) * side, (v + 0.5) * side) for u, v in points], 60, side // 80)
    grey = np.where(x * x + y * y < 0.22, np.asarray(picture), 5)
    return (grey[:, :, None] * [1.5, 0.75, 0.4]).clip(0, 255).astype(np.uint8)


def brighter(pixels):
    return (pixels * 1.2).clip(0, 255).astype(np.uint8)


def test_different_eyes_are_not_joined_though_all_show_one_disc(source):
    filled(source, *map(eye, range(60)))
    found = source.find()
    assert pairs_of(found.pairs) == []
    alike = found.unsure.correlation >= 0.98
    assert alike.sum() >= 5  # which 0.98 alone took for copies
    told = by_code(source.findings(found), "similar-pair")
    assert "many pictures of the set are about as like" in told[0].message


@pytest.mark.parametrize("change", [jpeg, halved, greyed, brighter])
def test_changed_copies_of_eyes_are_joined_in_each_turn(source, change):
    eyes = [eye(number) for number in range(30)]
    for pixels in eyes:
        source.add(pixels)
    for number, pixels in enumerate(eyes):
        copy = change(pixels)
        copy = image.decode(copy) if isinstance(copy, bytes) else copy
        source.add(exif.turn(copy, number % 8 + 1))
    source.scan()
    assert source.find().numbers.tolist() == list(range(30)) * 2


def lesion(random):
    """(32, 32) uint8: uneven light, a blob about the middle, and some spots."""
    cells = random.integers(120, 220, (5, 5), dtype=np.uint8)
    picture = Image.fromarray(cells).resize((32, 32), Image.Resampling.BICUBIC)
    drawn = ImageDraw.Draw(picture)
    for size in (9, 3, 3, 2):
        x, y = (int(16 + value * (11 - size) // 4) for value in random.integers(-3, 4, 2))
        wide, high = (int(value) for value in random.integers(size // 2, size + 1, 2))
        grey = int(random.integers(20, 120))
        drawn.ellipse((x - wide, y - high, x + wide, y + high), fill=grey)
    return np.asarray(picture)


def test_of_ten_thousand_distinct_pictures_none_are_joined():
    random = np.random.default_rng(7)
    thumbs = np.stack([lesion(random) for _ in range(10_000)])
    hashes = [perceptual.phash(thumb) for thumb in thumbs]
    assert None not in hashes
    found = near.search(np.array(hashes, np.uint64))
    assert len(found.crowded) == 0
    for turn in range(8):
        pairs = found.turn == turn
        aligned = perceptual.turned(thumbs[found.second[pairs]], turn)
        assert not perceptual.likeness(thumbs[found.first[pairs]], aligned).same.any()


PATIENTS = (
    *("cxr-tb-parallel-folders/images/*.png", "isic2017-suffix/*.jpg"),
    "isic2017-tiny-size-mismatch/images/*.jpg",
)


@pytest.mark.real
@pytest.mark.skipif(not DATA.is_dir(), reason="no ../shared/data beside the repository")
def test_no_two_real_patients_are_joined_and_their_changed_pictures_are(source):
    paths = sorted(path for pattern in PATIENTS for path in DATA.glob(pattern))
    pictures = [path.read_bytes() for path in paths]
    count = len(pictures)
    assert count >= 24 + 8 + 40
    for data in pictures:
        source.add(data)
    for change in (lambda pixels: jpeg(pixels, 60), halved, greyed):
        for data in pictures:
            pixels = image.decode(data)
            opened = Image.fromarray(pixels)
            opened.thumbnail((600, 600))  # for the sake of time
            source.add(change(np.asarray(opened)))
    source.scan()
    found = source.find()
    assert found.crowds == ()
    assert found.numbers.tolist() == list(range(count)) * 4
