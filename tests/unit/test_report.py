"""`report.html`: what it says of every kind of dataset, and that data can do nothing in it."""

import base64
import csv
import hashlib
import json
import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest
from click.testing import CliRunner

import datasets
import make
import segrecord
from segrecord.cli import cli
from segrecord.errors import OutputError, RecordError
from segrecord.images import png
from segrecord.report import page as report
from segrecord.report import thumbnails
from segrecord.tables import FINDINGS

NO_LIST = "findings.csv is no list of findings"
COLUMNS = ",".join(FINDINGS.names) + "\n"
VOID = {"meta", "link", "img", "input", "br"}
EVIL = ("<script>alert(1)</script>", "a\"b'c & d", "\u202egnp.evil", "日本語 ñ 😀", "k" * 300)


class Page(HTMLParser):
    """A page taken apart: that its elements are closed, its texts, its attributes."""

    def __init__(self, content):
        super().__init__()
        self.open, self.tags, self.text, self.closed = [], [], "", {}
        self.feed(content.decode())
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append((tag, len(self.text)))

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        name, start = self.open.pop()
        assert name == tag
        self.closed.setdefault(tag, []).append(self.text[start:])

    def handle_data(self, data):
        self.text += data

    def all(self, tag, **having):
        return [
            found for name, found in self.tags if name == tag and having.items() <= found.items()
        ]


def headline(content):
    return Page(content).closed["h1"]


def pictures(content):
    return content.count(b"data:image/jpeg")


def add_findings(folder, *rows):
    """Each of level, code, key, path, message, fix, and perhaps the key of another sample."""
    with (folder / "findings.csv").open("a", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        for level, code, key, path, message, fix, *others in rows:
            related = json.dumps([[other, ""] for other in others]) if others else ""
            writer.writerow((level, code, key, path, related, "", message, fix))


@pytest.mark.parametrize(
    "options",
    [
        *({"schema": name} for name in ("deeplab", "plain", "raw", "tfds")),
        {"schema": "raw", "one_hot": True},
        *({"compression": name} for name in ("gzip", "zlib")),
        {"masks": False},
        {"labelled": False},
        {"masks": False, "labelled": False},
        {"shards": {"train": (1,)}},
        {"shards": {f"fold{number}": (2, 0, 1) for number in range(12)}},
    ],
    ids=str,
)
def test_every_kind_of_dataset_has_a_report(tmp_path, options):
    content = report.make(datasets.make(tmp_path / "set", **options))
    page = Page(content)
    assert re.fullmatch(r"Ready to train, but look at \d+ things?", page.closed["h1"][0])
    assert pictures(content) >= 1
    wanted = ["built", "findings", "pictures", "pairs", "classes", "measures", "not-checked"]
    assert [tag["id"] for tag in page.all("section") if tag["id"] != "verdict"] == wanted
    assert len({tag["id"] for _, tag in page.tags if "id" in tag}) == sum(
        "id" in tag for _, tag in page.tags
    )


def test_the_same_dataset_gives_the_same_bytes_wherever_it_lies(tmp_path, inline):
    built = segrecord.build(make.source(tmp_path / "source"), tmp_path / "one")
    shutil.copytree(built.path, tmp_path / "other")
    assert report.make(built.path) == report.make(built.path) == report.make(tmp_path / "other")


def test_the_page_loads_nothing_and_runs_only_its_own_script(tmp_path, inline):
    built = segrecord.build(make.source(tmp_path / "source"), tmp_path / "set")
    content = report.make(built.path)
    page = Page(content)
    assert not re.search(rb"https?:|url\(|@import|javascript:", content)
    for tag, attributes in page.tags:
        for name, value in attributes.items():
            if name in ("src", "href"):
                assert value.startswith(("data:", "#"))
            assert not name.startswith("on")
            assert name != "style", tag
    (policy,) = page.all("meta", **{"http-equiv": "Content-Security-Policy"})
    for tag in ("style", "script"):
        (own,) = page.closed[tag]
        digest = base64.b64encode(hashlib.sha256(own.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy["content"]
    assert policy["content"].startswith("default-src 'none'; ")


def test_what_comes_from_data_is_text_and_nothing_else(tmp_path, inline):
    (tmp_path / "evil").mkdir()
    rows = []
    for number, name in enumerate(EVIL):
        image = make.put(tmp_path / f"{number}.png", png.encode(make.picture(number)))
        mask = make.put(tmp_path / f"{number}_m.png", png.encode(make.blob(number)))
        quoted = name.replace('"', '""')
        rows.append(f'{image.name},{mask.name},"{quoted} class","{quoted}"')
    index = make.listing(tmp_path / "index.csv", rows, "image,mask,class,id")
    built = segrecord.build(
        index, tmp_path / "set", key_column="id", split="train=1", label_column="class",
        mask_map="0=<i>none</i>,255=<b>some</b>", ignore="split-lacks-class",
    )  # fmt: skip
    finding = "<img src=x onerror=alert(2)>"
    add_findings(built.path, ("warning", finding, EVIL[0], finding, finding, "</style>" + finding))
    page = Page(report.make(built.path, command=finding, thumbnails=True))
    assert len(page.closed["script"]) == len(page.closed["style"]) == 1
    assert not page.all("img", src="x")
    assert "i" not in page.closed
    for name in EVIL[:4]:
        assert name in page.text
        assert page.all("button", **{"aria-label": f"Enlarge {name}"})
    assert page.text.count(finding) >= 5
    assert "k" * 300 not in page.text
    assert "k" * 159 + "…" in page.text


def test_control_characters_become_visible(tmp_path):
    folder = datasets.make(tmp_path / "set")
    add_findings(folder, ("warning", "dark-image", "set/000", "a\x00b\x1bc", "m", "f"))
    content = report.make(folder)
    assert b"\x00" not in content
    assert "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}c" in content.decode()


def test_without_thumbnails_no_picture_is_in_it_and_no_shard_is_opened(tmp_path, monkeypatch):
    folder = datasets.make(tmp_path / "set")
    message = "the picture has exactly the pixels of 'set/000'"
    add_findings(folder, ("warning", "duplicate", "set/001", "p", message, "f", "set/000"))

    def refuse(*_):
        raise AssertionError("a record was read")

    monkeypatch.setattr(thumbnails, "take", refuse)
    content = report.make(folder, thumbnails=False)
    assert b"data:image" not in content
    assert "No pictures." in Page(content).text
    assert "Patient images." not in Page(content).text


def test_a_page_with_pictures_says_so(tmp_path):
    text = Page(report.make(datasets.make(tmp_path / "set"))).text
    assert "Patient images." in text
    assert "No pictures." not in text


def test_what_a_chosen_quarantine_left_out_is_named_and_is_nothing_to_fix(tmp_path, inline):
    source = make.source(tmp_path / "source", 8)
    make.put(source / "a" / "images" / "0.png", b"no picture")
    make.put(source / "b" / "images" / "1.png", b"")
    built = segrecord.build(source, tmp_path / "set", on_error="quarantine")
    page = Page(report.make(built.path))
    (first,) = page.closed["h1"]
    assert first.startswith("Ready to train, but look at ")
    assert "6 samples written, 2 left out." in page.text
    assert "2 of 8 samples left out" in page.text
    assert "fix first" not in page.text.lower()
    assert "Left out" in page.closed["h2"]
    links = [tag["href"] for tag in page.all("a") if "error-" in tag["href"]]
    assert links == ["#error-empty-file", "#error-not-an-image"]
    assert page.all("details", id="error-empty-file")
    assert "empty-file (1): the file is empty" in " ".join(page.text.split())  # what happened
    assert "the file holds bytes" in page.text  # the rule, further down
    for found in built.findings:
        assert found.message in page.text
        assert found.fix in page.text


def test_a_warning_is_named_beside_the_verdict(tmp_path):
    folder = datasets.make(tmp_path / "set")
    add_findings(folder, ("warning", "dark-image", "set/000", "000.png", "it is dark", "look"))
    page = Page(report.make(folder))
    assert page.closed["h1"] == ["Ready to train, but look at 3 things"]
    assert "dark-image (1): the picture is nearly black" in " ".join(page.text.split())
    assert "Suspicious samples" in page.text


def test_a_dataset_that_nobody_looked_at_is_not_called_ready(tmp_path, inline):
    built = segrecord.build(make.source(tmp_path / "s", high=1), tmp_path / "set", checks="none")
    page = Page(report.make(built.path))
    assert page.closed["h1"] == ["Not checked"]
    assert "no image or mask was decoded" in page.text
    assert "Not measured: --checks full does." in page.text


def test_a_damaged_record_is_told_and_the_others_are_shown(tmp_path):
    folder = datasets.make(tmp_path / "set")
    whole = pictures(report.make(folder))
    shard = folder / "train-00000-of-00002.tfrecord"
    data = bytearray(shard.read_bytes())
    data[40] ^= 1
    shard.write_bytes(data)
    content = report.make(folder)
    assert headline(content) == ["1 thing to fix first"]
    assert "train-00000-of-00002.tfrecord record 0 at byte 0" in Page(content).text
    assert 0 < pictures(content) < whole


def test_a_compressed_shard_that_is_damaged_is_told(tmp_path):
    folder = datasets.make(tmp_path / "set", compression="gzip")
    shard = folder / "train-00000-of-00002.tfrecord.gz"
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 255
    shard.write_bytes(data)
    content = report.make(folder)
    assert "to fix first" in headline(content)[0]
    assert shard.name in Page(content).text
    assert pictures(content) > 0


def test_a_missing_shard_is_told_without_reading_records(tmp_path):
    folder = datasets.make(tmp_path / "set")
    (folder / "val-00000-of-00001.tfrecord").unlink()
    page = Page(report.make(folder, thumbnails=False))
    assert page.closed["h1"] == ["1 thing to fix first"]
    assert "val-00000-of-00001.tfrecord cannot be opened" in page.text


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("findings.csv", None, "findings.csv is missing"),
        ("findings.csv", b"", f"{NO_LIST}: it does not begin with the names of columns"),
        ("findings.csv", b"a,b\n", f"{NO_LIST}: it does not begin with the names of columns"),
        ("findings.csv", f"{COLUMNS}bad,row\n".encode(), f"{NO_LIST}: CSV parse error"),
        ("findings.csv", f"{COLUMNS}info,c,k,p,,,\xff,f\n".encode("latin-1"), NO_LIST),
        (
            "findings.csv",
            f"{COLUMNS}fatal,c,k,p,,,m,f\n".encode(),
            f"{NO_LIST}: there is no level 'fatal'",
        ),
        ("findings.csv", f"{COLUMNS}info,c,k,p,[[,,m,f\n".encode(), NO_LIST),
        ("findings.csv", f"{COLUMNS}info,c,k,p,3,,m,f\n".encode(), NO_LIST),
        ("findings.csv", f"{COLUMNS}info,c,k,p,,[1],m,f\n".encode(), NO_LIST),
        ("facts.arrow", b"noise" * 20, "facts.arrow is no sound Arrow file"),
    ],
)
def test_a_damaged_list_is_told_and_does_not_stop_the_page(tmp_path, name, content, said):
    folder = datasets.make(tmp_path / "set")
    (folder / name).unlink(missing_ok=True)
    if content is not None:
        (folder / name).write_bytes(content)
    page = Page(report.make(folder))
    assert page.closed["h1"] == ["1 thing to fix first"]
    assert said in page.text


def test_without_a_sound_index_there_is_no_report(tmp_path):
    folder = datasets.make(tmp_path / "set")
    (folder / "records.arrow").write_bytes(b"noise")
    with pytest.raises(RecordError, match="no sound Arrow file"):
        report.make(folder)
    with pytest.raises(OutputError, match="no finished dataset"):
        report.make(tmp_path)


def test_a_code_lists_its_first_findings_and_counts_the_others(tmp_path):
    folder = datasets.make(tmp_path / "set")
    add_findings(
        folder, *(("info", "re-encoded", "set/000", f"file {n}", "m", "f") for n in range(99))
    )
    page = Page(report.make(folder))
    assert "file 39" in page.text
    assert "file 40" not in page.text
    assert "and 59 more: findings.csv" in page.text


def test_a_code_that_the_catalogue_lacks_is_shown_all_the_same(tmp_path):
    folder = datasets.make(tmp_path / "set")
    add_findings(folder, ("warning", "of-tomorrow", "", "", "something", "do something"))
    page = Page(report.make(folder))
    assert "of-tomorrow (1)" in page.text
    assert "do something" in page.text


def test_pictures_that_would_make_the_page_large_are_left_out(tmp_path, monkeypatch):
    folder = datasets.make(tmp_path / "set")
    monkeypatch.setattr(thumbnails, "BYTES", 3000)
    content = report.make(folder)
    uris = re.findall(rb'data:image/(?:jpeg|png)[^"]*', content)
    assert 0 < sum(map(len, uris)) <= 3000
    assert "left out to keep this page small" in Page(content).text


def test_images_that_take_long_to_decode_are_not_read(tmp_path, monkeypatch):
    folder = datasets.make(tmp_path / "set")
    monkeypatch.setattr(thumbnails, "PIXELS", 8 * 7 * 3)
    content = report.make(folder)
    assert 1 <= len(set(re.findall(rb'data:image/jpeg[^"]*', content))) <= 3
    assert "the images are so large" in Page(content).text


def test_of_large_compressed_sets_only_the_first_shards_are_read(tmp_path, monkeypatch):
    folder = datasets.make(tmp_path / "set", compression="gzip")
    monkeypatch.setattr(thumbnails, "STREAMED", 1)
    content = report.make(folder)
    assert "the shards are compressed" in Page(content).text
    assert pictures(content) == 0


def test_samples_that_were_left_out_are_shown_where_their_files_are_known(tmp_path, inline):
    source = make.source(tmp_path / "source", 6)
    make.put(source / "a" / "masks" / "0.png", png.encode(make.blob(height=80, width=99)))
    built = segrecord.build(source, tmp_path / "set", on_error="quarantine")
    (key,) = {found.key for found in built.findings if found.level == "error"}
    without = pictures(report.make(built.path))
    paths = {key: str(source / "a" / "images" / "0.png"), "other": "nowhere"}
    assert pictures(report.make(built.path, sources=paths)) == without + 1
    paths[key] = str(tmp_path / "gone.png")
    assert pictures(report.make(built.path, sources=paths)) == without


def test_classes_beyond_what_a_chart_holds_stand_in_the_table(tmp_path):
    folder = datasets.make(tmp_path / "set")

    def many(content):
        content["classes"] |= {f"class {number}": number for number in range(2, 200)}

    datasets.edit_manifest(folder, many)
    page = Page(report.make(folder))
    assert "The 24 largest of 200 classes" in page.text
    assert "class 199" in page.text


def test_the_command_is_the_one_that_was_given_or_that_of_the_options(tmp_path, inline):
    source = make.source(tmp_path / "source", 6)
    built = segrecord.build(
        source, tmp_path / "set", seed=7, mask_map="0=background,255=a b", size="8x6",
        keep_metadata=True, split="train=0.5,val=0.5", ignore="few-groups,split-lacks-class",
    )  # fmt: skip
    text = Page(report.make(built.path)).closed["pre"][0]
    assert text == (
        "segrecord build SOURCE OUT --mask-map '0=background,255=a b' --size 8x6 "
        "--ignore few-groups,split-lacks-class --split train=0.5,val=0.5 --seed 7 --keep-metadata"
    )
    page = Page(report.make(built.path, command="segrecord build here there", seconds=1.25))
    assert page.closed["pre"] == ["segrecord build here there"]
    assert "1.2 s" in page.text


def test_a_finding_that_names_one_sample_of_two_says_so(tmp_path):
    folder = datasets.make(tmp_path / "set")
    add_findings(folder, ("warning", "duplicate", "set/001", "", "no two pictures are equal", ""))
    text = Page(report.make(folder)).text
    assert "The finding does not name the other sample." in text


def test_write_puts_it_beside_the_shards_whole_or_not_at_all(tmp_path, monkeypatch):
    folder = datasets.make(tmp_path / "set")
    path, damage = report.write(folder, thumbnails=False)
    assert (path, damage) == (folder / "report.html", ())
    assert path.read_bytes() == report.make(folder, thumbnails=False)
    assert path.stat().st_mode == (folder / "dataset.json").stat().st_mode
    before = {found.name for found in folder.iterdir()}
    path.unlink()
    path.mkdir()
    with pytest.raises(OutputError, match="cannot be written"):
        report.write(folder)
    assert {found.name for found in folder.iterdir()} == before


def test_the_command_line_says_what_is_damaged_and_fails(tmp_path):
    folder = datasets.make(tmp_path / "set")
    sound = CliRunner().invoke(cli, ["report", str(folder)])
    assert (sound.exit_code, sound.stderr) == (0, "")
    shard = next(folder.glob("train-*"))
    shard.unlink()
    found = CliRunner().invoke(cli, ["report", str(folder)])
    assert found.exit_code == 1
    assert shard.name in found.stderr
    assert "build the dataset again" in found.stderr
    assert (folder / "report.html").exists()


def test_noise_does_not_make_the_page_larger_than_promised(tmp_path, inline):
    rng = np.random.default_rng(0)
    for number in range(15):
        noise = rng.integers(0, 256, (450, 450, 3), np.uint8)
        make.put(tmp_path / "s" / "images" / f"{number}.png", png.encode(noise))
        mask = 255 * rng.integers(0, 2, (450, 450), np.uint8)
        make.put(tmp_path / "s" / "masks" / f"{number}.png", png.encode(mask))
    built = segrecord.build(tmp_path / "s", tmp_path / "set", checks="basic")
    content = report.make(built.path)
    assert len(content) < 5_000_000
    assert "left out to keep this page small" in Page(content).text
