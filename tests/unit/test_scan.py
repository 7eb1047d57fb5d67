"""The scan: what is used again, what a dead worker costs, and drafts against the long way."""

import os

import numpy as np
import pyarrow as pa
import pytest

import segrecord
from make import (
    blob,
    encoded,
    files,
    listing,
    palette_image,
    picture,
    put,
    samples_of,
    saved,
    source,
)
from scanned import finding_of
from segrecord.errors import DataError, UsageError
from segrecord.executors import EngineFailure, InlineEngine
from segrecord.images import png
from segrecord.pipeline import build_dataset, scan_source
from segrecord.scanning import facts
from segrecord.scanning import worker as scanning_rows
from segrecord.scanning.checkpoint import KEPT, KeptScan
from segrecord.scanning.worker import DraftRule
from segrecord.write import assemble, shard_writer


def scan(samples, folder, checks="full", *, earlier=(), rule=None, engine=None):
    kept = KeptScan(folder, rule)
    known = [kept.earlier(), *earlier]
    with engine or InlineEngine() as running:
        found = facts.scan(samples, running, checks, kept, pa.concat_tables(known), lambda _: None)
    kept.close()
    return found


@pytest.fixture
def samples(tmp_path):
    rows = []
    for number in range(5):
        image = put(tmp_path / f"{number}.png", png.encode(picture(number)))
        mask = put(tmp_path / f"{number}-mask.png", png.encode(blob(number)))
        rows.append((f"k{number}", str(image), (str(mask),)))
    return samples_of(rows)


@pytest.fixture
def examined(monkeypatch):
    """The files that were really looked at."""
    calls = []
    examine = scanning_rows.image.examine

    def counted(data, **wanted):
        calls.append(data)
        return examine(data, **wanted)

    monkeypatch.setattr(scanning_rows.image, "examine", counted)
    return calls


def test_a_second_scan_looks_at_no_file_again(samples, tmp_path, examined):
    first = scan(samples, tmp_path / "scan")
    assert len(examined) == 5
    assert scan(samples, tmp_path / "scan").equals(first)
    assert len(examined) == 5


def test_a_changed_image_and_a_changed_mask_are_looked_at_again(samples, tmp_path, examined):
    scan(samples, tmp_path / "scan")
    put(tmp_path / "1.png", png.encode(picture(77)))
    put(tmp_path / "3-mask.png", png.encode(blob(1)))
    examined.clear()
    second = scan(samples, tmp_path / "scan")
    assert len(examined) == 2
    assert second.equals(scan(samples, tmp_path / "other"))


def test_equal_time_and_size_do_not_hide_a_change(samples, tmp_path):
    first = scan(samples, tmp_path / "scan")
    path = tmp_path / "1.png"
    before = path.stat()
    put(path, png.encode(picture(1)[::-1].copy()))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    second = scan(samples, tmp_path / "scan")
    assert second["image_sha256"][1] != first["image_sha256"][1]


def test_a_closer_look_is_not_replaced_by_an_earlier_lighter_one(samples, tmp_path, examined):
    scan(samples, tmp_path / "scan", "basic")
    full = scan(samples, tmp_path / "scan", "full")
    assert len(examined) == 10
    assert full["mean"].null_count == 0


def test_facts_of_a_closer_look_come_out_as_the_lighter_one_would_have_found_them(
    samples, tmp_path, examined
):
    scan(samples, tmp_path / "scan", "full")
    reused = scan(samples, tmp_path / "scan", "basic")
    assert len(examined) == 5
    assert reused.equals(scan(samples, tmp_path / "other", "basic"))
    assert reused["mean"].null_count == 5


def test_a_file_with_a_problem_is_read_again_so_that_its_path_is_the_present_one(tmp_path):
    def table(folder):
        return samples_of([("k", str(put(tmp_path / folder / "k.png", b"no image")))])

    scan(table("old"), tmp_path / "scan")
    found = scan(table("new"), tmp_path / "scan")
    assert found["problems"].to_pylist()[0][0]["path"] == str(tmp_path / "new" / "k.png")


def test_the_edges_of_masks_are_looked_at_only_where_many_values_lie_between(
    samples, tmp_path, monkeypatch
):
    asked = []
    edge_share = scanning_rows.mask.edge_share
    monkeypatch.setattr(
        scanning_rows.mask, "edge_share", lambda plane: asked.append(plane) or edge_share(plane)
    )
    few = np.arange(48, dtype=np.uint8).reshape(8, 6) // 3  # 16 class ids
    many = np.arange(48, dtype=np.uint8).reshape(8, 6) * np.uint8(5)
    put(tmp_path / "1-mask.png", png.encode(few))
    put(tmp_path / "3-mask.png", png.encode(many))
    found = scan(samples, tmp_path / "scan", "basic")["masks"].to_pylist()
    assert [plane.values.tolist() for plane in asked] == [many.tolist()]
    assert [masks[0]["edge_share"] is None for masks in found] == [True, True, True, False, True]


def test_several_problems_of_one_sample_are_all_told(tmp_path):
    table = samples_of([("k", str(tmp_path / "none.png"), (str(put(tmp_path / "m.png", b"x")),))])
    problems = scan(table, tmp_path / "scan")["problems"].to_pylist()[0]
    assert [problem["code"] for problem in problems] == ["missing-file", "not-an-image"]


class LosesTasks(InlineEngine):
    """Loses every task that holds a row of this key, as a dead worker does."""

    def __init__(self, key):
        self.key = key

    def run(self, function, tasks):
        for number, task in enumerate(tasks):
            if any(row.key == self.key for row in task.rows):
                yield number, EngineFailure(number, "worker died with signal 11 (SIGSEGV)", "")
            else:
                yield number, function(task)


def test_a_row_that_kills_its_worker_is_a_problem_and_its_neighbours_are_scanned(samples, tmp_path):
    found = scan(samples, tmp_path / "scan", engine=LosesTasks("k2"))
    problems = found["problems"].to_pylist()
    assert [len(own) for own in problems] == [0, 0, 1, 0, 0]
    assert problems[2][0]["code"] == "crashed"
    assert problems[2][0]["path"].endswith("2.png")
    assert "SIGSEGV" in finding_of(problems[2][0]).message
    assert found["key"].to_pylist() == [f"k{number}" for number in range(5)]


def test_a_real_worker_that_is_killed_by_a_file_is_named_and_the_rest_is_built(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(scan_source, "PRELOAD", (*scan_source.PRELOAD, "kill_while_scanning"))
    root = source(tmp_path / "src", 5)
    put(root / "a" / "images" / "deadly.png", png.encode(picture(9)))
    built = segrecord.build(str(root), tmp_path / "out", workers=2, shards=1, on_error="quarantine")
    crashed = [finding for finding in built.findings if finding.code == "crashed"]
    assert [finding.key for finding in crashed] == ["a/images/deadly"]
    assert "SIGKILL" in crashed[0].message
    assert built.manifest.samples == 5


def test_a_worker_killed_while_it_writes_ends_in_an_error_that_names_the_file(
    tmp_path, monkeypatch
):
    root = source(tmp_path / "src", 4)
    put(root / "a" / "images" / "deadly.png", png.encode(picture(9)))
    monkeypatch.setattr(scan_source, "PRELOAD", (*scan_source.PRELOAD, "kill_while_writing"))
    with pytest.raises(segrecord.SegrecordError, match="deadly"):
        segrecord.build(str(root), tmp_path / "out", workers=1, shards=1)
    assert not (tmp_path / "out" / "dataset.json").exists()


# Drafts: the stored mask is the same, by whatever way.

TWO = [png.encode(blob(n)) for n in range(4)]
IDS = [png.encode(((blob(n) > 0) * (n + 1)).astype(np.uint8)) for n in range(4)]
BITS = [encoded(blob(n), mode="1") for n in range(4)]
PALETTES = [
    saved(palette_image(((blob(n) > 0) * (n + 1)).astype(np.uint8), [(n, 0, 9) for n in range(9)]))
    for n in range(4)
]
SMALL = [png.encode(blob(n, 16, 12)) for n in range(4)]

MODES = {
    "0/255": (TWO, {}),
    "ids": (IDS, {}),
    "1-bit": (BITS, {}),
    "1-bit among 0/255": (BITS[:2] + TWO[2:], {}),
    "1-bit among ids": (BITS[:2] + IDS[2:], {}),
    "0/255 among ids": (TWO[:2] + IDS[2:], {}),
    "palette": (PALETTES, {}),
    "a map": (TWO, {"mask_map": "0=bg,255=fg"}),
    "a map turned around": (TWO[:2] + BITS[2:], {"mask_map": "255=bg,0=fg"}),
    "a map with ignore": (IDS, {"mask_map": "0=bg,1=a,2=ignore,3=b,4=a"}),
    "a threshold": (TWO[:2] + IDS[2:], {"mask_threshold": 2}),
    "inverted": (TWO, {"mask_invert": True}),
    "inverted 1-bit among 0/255": (BITS[:2] + TWO[2:], {"mask_invert": True}),
    "an inverted threshold": (TWO[:2] + IDS[2:], {"mask_threshold": 2, "mask_invert": True}),
    "resized": (TWO, {"size": "16x12"}),
    "fitted": (SMALL, {"mask_fit": "resize"}),
    "fitted and resized": (SMALL, {"mask_fit": "resize", "size": "5x7"}),
    "fitted in spite of its shape": (
        [png.encode(blob(n, 9, 9)) for n in range(4)],
        {"mask_fit": "resize-any"},
    ),
    "gzip": (TWO, {"compression": "gzip"}),
    "plain": (TWO, {"schema": "plain"}),
    "kept": (BITS[:2] + TWO[2:], {"schema": "plain", "mask_values": "keep"}),
    "raw": (TWO, {"schema": "raw"}),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.usefixtures("inline")
def test_the_stored_masks_are_the_same_with_drafts_and_without(mode, tmp_path, monkeypatch):
    masks, options = MODES[mode]
    for number, data in enumerate(masks):
        put(tmp_path / f"src/images/{number}.png", png.encode(picture(number)))
        put(tmp_path / f"src/masks/{number}.png", data)
    options = {"shards": 1, "checks": "basic", **options}
    segrecord.build(str(tmp_path / "src"), tmp_path / "with", **options)
    used = _drafts_used(tmp_path, monkeypatch, options)
    monkeypatch.setattr(build_dataset.facts, "draft_rule", lambda *_: None)
    segrecord.build(str(tmp_path / "src"), tmp_path / "without", **options)
    assert files(tmp_path / "with") == files(tmp_path / "without")
    # The first guess of a 0/255 mask is wrong among ids; raw masks are no PNG.
    assert used == {"raw": 0, "0/255 among ids": 2}.get(mode, 4)


def _drafts_used(tmp_path, monkeypatch, options):
    """How many drafts a build of the same takes."""
    taken = []
    read = shard_writer.StoredDraft.read
    monkeypatch.setattr(
        shard_writer.StoredDraft, "read", lambda draft: taken.append(draft) or read(draft)
    )
    segrecord.build(str(tmp_path / "src"), tmp_path / "again", **options)
    return len(taken)


@pytest.mark.usefixtures("inline")
def test_masks_painted_together_are_the_same_with_drafts_and_without(tmp_path, monkeypatch):
    for number in range(3):
        put(tmp_path / f"src/{number}.png", png.encode(picture(number)))
        put(tmp_path / f"src/{number}_mask.png", png.encode(blob(number)))
        put(tmp_path / f"src/{number}_mask_1.png", encoded(blob(number + 1), mode="1"))
    rows = [f"{n}.png,{n}_mask.png,{n}_mask_1.png" for n in range(3)]
    table = listing(tmp_path / "src/rows.csv", rows, "image,mask,mask_2")
    options = {"shards": 1, "mask_choice": "union"}
    segrecord.build(str(table), tmp_path / "with", **options)
    monkeypatch.setattr(build_dataset.facts, "draft_rule", lambda *_: None)
    segrecord.build(str(table), tmp_path / "without", **options)
    assert files(tmp_path / "with") == files(tmp_path / "without")


def test_a_draft_is_usable_only_where_its_values_mean_the_same(samples, tmp_path):
    from segrecord.images.mask import ValueMap

    found = scan(samples, tmp_path / "scan", rule=DraftRule(None, "error", None))
    same = ValueMap(((0, 0), (255, 1)), 1)
    other = ValueMap(((0, 0), (1, 1), (255, 255)), 1)
    assert facts.usable_drafts(found, same).to_pylist() == [True] * 5
    assert facts.usable_drafts(found, other).to_pylist() == [False] * 5
    without = scan(samples, tmp_path / "other")
    assert facts.usable_drafts(without, same).to_pylist() == [False] * 5


# Between scan and write.


class Meddler:
    """A monitor that does something when a stage begins."""

    def __init__(self, stage, work):
        self.at, self.work = stage, work

    def loaded(self, source):
        pass

    def stage(self, name, total):
        if name == self.at:
            self.work()

    def progress(self, done):
        pass


@pytest.mark.parametrize("checks", ["full", "none"])
@pytest.mark.parametrize("victim", ["image", "mask"])
@pytest.mark.usefixtures("inline")
def test_a_file_that_changes_between_scan_and_write_stops_the_build_by_name(
    tmp_path, checks, victim, monkeypatch
):
    root = source(tmp_path / "src", 3, high=1)
    path = root / "a" / f"{victim}s" / "0.png"
    monkeypatch.setattr(build_dataset.facts, "draft_rule", lambda *_: None)
    meddler = Meddler("write", lambda: put(path, png.encode(picture(5, 9, 9, 1))))
    with pytest.raises(DataError, match="files changed while they were read") as raised:
        segrecord.build(str(root), tmp_path / "out", checks=checks, monitor=meddler)
    assert [(f.code, f.path) for f in raised.value.findings] == [("changed-since-scan", str(path))]
    assert not (tmp_path / "out" / "dataset.json").exists()
    assert b"changed-since-scan" in (tmp_path / "out" / "findings.csv").read_bytes()


@pytest.mark.usefixtures("inline")
def test_a_file_that_vanishes_between_scan_and_write_stops_the_build_by_name(tmp_path):
    root = source(tmp_path / "src", 3)
    path = root / "a/images/0.png"
    with pytest.raises(DataError) as raised:
        segrecord.build(str(root), tmp_path / "out", monitor=Meddler("write", path.unlink))
    assert [(f.code, f.path) for f in raised.value.findings] == [("missing-file", str(path))]


# Headers only.


def headers(tmp_path, image=None, mask=None, more=()):
    table = samples_of(
        [
            (
                "k",
                str(put(tmp_path / "i.png", image or png.encode(picture(0)))),
                (str(put(tmp_path / "m.png", mask or png.encode(blob()))), *more),
            )
        ]
    )
    return scan(table, tmp_path / "scan", "none").to_pylist()[0]


def test_headers_are_enough_for_a_png_and_a_grey_mask(tmp_path):
    row = headers(tmp_path)
    assert row["problems"] == []
    assert (row["height"], row["width"], row["masks"][0]["height"]) == (8, 6, 8)
    assert row["image_sha256"] is None
    assert len(row["stamps"]) == 2


@pytest.mark.parametrize(
    "bad",
    [
        {"image": encoded(picture(0), "BMP")},
        {"image": encoded(picture(0), mode="P")},
        {"mask": encoded(blob(), mode="1")},
        {"mask": encoded(blob(), mode="RGB")},
        {"mask": encoded(blob(), "JPEG")},
    ],
)
def test_what_a_header_cannot_prove_is_refused_by_name(tmp_path, bad):
    problems = headers(tmp_path, **bad)["problems"]
    assert [problem["code"] for problem in problems] == ["header-not-enough"]
    assert problems[0]["path"].endswith("i.png" if "image" in bad else "m.png")
    assert "--checks basic" in finding_of(problems[0]).fix


def test_several_masks_of_one_image_are_refused_where_they_stay_unread(tmp_path):
    more = str(put(tmp_path / "m2.png", png.encode(blob(1))))
    problems = headers(tmp_path, more=(more,))["problems"]
    assert [(p["code"], p["path"]) for p in problems] == [("header-not-enough", more)]


def test_a_header_longer_than_the_first_piece_is_read_whole(tmp_path):
    import struct
    import zlib

    data = png.encode(picture(0))
    body = b"k\0" + bytes(range(1, 200)) * 200
    chunk = struct.pack(">I", len(body)) + b"tEXt" + body
    chunk += struct.pack(">I", zlib.crc32(b"tEXt" + body))
    row = headers(tmp_path, image=data[:33] + chunk + data[33:])
    assert row["problems"] == []
    assert row["height"] == 8


def test_all_columns_are_those_of_the_schema(samples, tmp_path):
    assert scan(samples, tmp_path / "scan").schema.equals(KEPT)


@pytest.fixture
def newer(monkeypatch):
    """Makes it look as if another Pillow were installed from now on."""
    versions = assemble.versions()
    return lambda: monkeypatch.setattr(assemble, "versions", lambda: versions | {"pillow": "99"})


@pytest.mark.usefixtures("inline")
def test_facts_that_other_versions_have_found_are_not_trusted(tmp_path, examined, newer):
    root, path = source(tmp_path / "src", 2), tmp_path / "facts.arrow"
    segrecord.scan(root, facts_file=path)
    examined.clear()
    segrecord.scan(root, facts_file=path)
    assert examined == []
    newer()
    with pytest.raises(UsageError, match="no facts file of this version"):
        segrecord.scan(root, facts=path)
    segrecord.scan(root, facts_file=path)
    assert len(examined) == 2


@pytest.mark.usefixtures("inline")
def test_a_build_in_place_of_one_by_other_versions_reads_all_anew(tmp_path, examined, newer):
    root = source(tmp_path / "src", 2)
    segrecord.build(root, tmp_path / "out")
    examined.clear()
    newer()
    segrecord.build(root, tmp_path / "out", overwrite=True)
    assert len(examined) == 2
