"""MLCommons' own tool accepts croissant.json, and reads from it what it can, without a network."""

import datetime as dt
import json
import logging
import socket
import subprocess
import sys
import warnings

import pytest

import datasets
import segrecord
from make import source
from segrecord.export.card import Card
from segrecord.export.croissant import croissant
from segrecord.format import manifest as manifests

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    mlc = pytest.importorskip("mlcroissant")

pytestmark = pytest.mark.filterwarnings("ignore")  # the tool's own, of rdflib and pandas

FULL = Card(
    name='Läsionen "A|B" 😀',
    description="Pictures of skin.\n\n- a list",
    licence="CC-BY-NC-4.0",
    source="https://example.org/data",
    citation="@misc{x,\n  title={A}\n}",
    authors=("A. B.", "C. D."),
    version="1.0.0",
    published=dt.date(2026, 1, 31),
    homepage="https://example.org/",
    tags=("skin", "medical"),
)


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    def refuse(*_):
        raise AssertionError("the tool went to the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def describe(out, manifest, index, fields):
    path = out / "croissant.json"
    path.write_bytes(croissant(manifest, index, fields))
    return path


def made(folder, fields=FULL, *, names=None, **options):
    """croissant.json of a dataset made without the writer."""
    out = datasets.make(folder, options.pop("shards", None), **options)
    manifest = manifests.load(out)
    if names:
        masks = manifest.masks.model_copy(update={"classes": (*names, "hair")})
        classes = {name: number for number, name in enumerate(names)}
        manifest = manifest.model_copy(update={"classes": classes, "masks": masks})
    files = {"records.arrow": (out / "records.arrow").read_bytes()}
    return describe(out, manifest.with_files(files), datasets.read_index(out), fields)


def validated(path):
    """The tool's view of the file, and what it complains of."""
    told = mlc.Dataset(str(path))
    assert not told.metadata.ctx.issues.errors
    return told, told.metadata.ctx.issues.warnings


@pytest.mark.parametrize("schema", ["deeplab", "plain", "raw", "tfds"])
@pytest.mark.parametrize(("masks", "labelled"), [(True, True), (False, True), (False, False)])
def test_the_tool_has_nothing_to_complain_of(tmp_path, schema, masks, labelled):
    _, complaints = validated(made(tmp_path, schema=schema, masks=masks, labelled=labelled))
    assert not complaints


@pytest.mark.parametrize(
    "options",
    [
        {"compression": "gzip"},
        {"compression": "zlib", "schema": "raw", "one_hot": True},
        {"shards": {"fold0": (1, 1), "fold1": (2,)}},
        {"missing_mask": "omit"},
    ],
)
def test_every_kind_of_dataset_is_accepted(tmp_path, options):
    assert not validated(made(tmp_path, **options))[1]


def test_without_a_card_it_only_recommends_what_the_user_may_give(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        _, complaints = validated(made(tmp_path, Card()))
    assert len(complaints) == 4
    for name in ("citeAs", "datePublished", "license", "version"):
        assert any(f'{name}" is recommended' in text for text in complaints)
    assert "not standard" not in caplog.text  # of the context


def test_the_tool_reads_the_users_fields(tmp_path):
    metadata = validated(made(tmp_path))[0].metadata
    assert metadata.name == FULL.name
    assert metadata.description == FULL.description
    assert metadata.cite_as == FULL.citation
    assert metadata.license == ["https://spdx.org/licenses/CC-BY-NC-4.0.html"]
    assert [person.name for person in metadata.creators] == list(FULL.authors)
    assert metadata.date_published.date() == FULL.published
    assert (metadata.version, metadata.url) == (FULL.version, FULL.homepage)
    assert metadata.keywords == list(FULL.tags)


@pytest.mark.parametrize("names", [("cat", "dög"), ("a|b", "x\ny"), ('"', "\\"), ("@id", "{}")])
def test_the_tool_reads_splits_and_class_names(tmp_path, names):
    told, _ = validated(made(tmp_path, names=names))
    splits = list(told.records("splits"))
    assert [row["splits/name"] for row in splits] == ["train", "val"]
    assert [row["splits/records"] for row in splits] == [7, 2]
    for record_set, expected in (("classes", names), ("mask_classes", (*names, "hair"))):
        rows = list(told.records(record_set))
        assert [row[f"{record_set}/name"] for row in rows] == list(expected)
        assert [row[f"{record_set}/id"] for row in rows] == list(range(len(expected)))


def test_a_real_build_is_accepted(tmp_path, inline):
    out = tmp_path / "out"
    built = segrecord.build(
        str(source(tmp_path / "src", 8)), out, split="train=0.5,val=0.5", shards=2
    )
    index = segrecord.open(out).all_records.shards.index
    told, complaints = validated(describe(out, built.manifest, index, FULL))
    assert not complaints
    listed = {node.name for node in told.metadata.file_objects}
    assert {path.name for path in out.glob("*.tfrecord")} < listed


def test_the_command_of_the_tool_accepts_it(tmp_path):
    """As people call it: `mlcroissant validate --jsonld croissant.json`."""
    path = made(tmp_path)
    script = "from mlcroissant.scripts import cli; cli.main()"
    command = [sys.executable, "-W", "ignore", "-c", script, "validate", "--jsonld", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Done." in done.stderr


def test_a_damaged_file_is_refused(tmp_path):
    """So that the tests above show something."""
    path = made(tmp_path)
    content = json.loads(path.read_bytes())
    del content["distribution"][0]["sha256"]
    path.write_text(json.dumps(content))
    with pytest.raises(mlc.ValidationError, match="sha256"):
        mlc.Dataset(str(path))
