"""Names in a manifest that lead elsewhere, and what is no regular file in a dataset: refused."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import datasets
import make
import segrecord
import segrecord.grain
from segrecord import storage
from segrecord.errors import OutputError, RecordError, UsageError
from segrecord.format import manifest as manifests
from segrecord.read import lookup
from segrecord.read.shards import write_offsets
from segrecord.report import page as report
from segrecord.viewer import app

NAMES = (
    *("../outside", "/etc/passwd", "a/b.tfrecord", "..\\outside", "C:outside", "c:\\x", "..", "."),
    *(".hidden", "", "a\0b", "a\nb", "a\u202eb"),
)


class TooLongError(Exception):
    """A read has waited for a pipe."""


@contextlib.contextmanager
def in_time():
    def too_long(*_):
        raise TooLongError

    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(30)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("built")
    make.source(folder / "source", 6)
    options = {"split": "train=0.5,test=0.5", "shards": 1, "workers": 1}
    return segrecord.build(folder / "source", folder / "set", **options).path


@pytest.fixture
def folder(built, tmp_path):
    return shutil.copytree(built, tmp_path / "set")


def outside(path):
    """The file, moved out of the dataset."""
    elsewhere = path.parent.parent / f"outside-{path.name}"
    path.rename(elsewhere)
    return elsewhere


def link(path):
    path.symlink_to(outside(path))


def dangling(path):
    path.unlink()
    path.symlink_to(path.parent / "nowhere")


def pipe(path):
    path.unlink()
    os.mkfifo(path)


def folder_instead(path):
    path.unlink()
    path.mkdir()


def socket_instead(path):
    path.unlink()
    here = Path.cwd()
    os.chdir(path.parent)  # the name of a socket must be short
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


KINDS = {
    link: "it is a symbolic link and no regular file; put the file itself in its place, or copy",
    dangling: "it is a symbolic link and no regular file",
    pipe: "it is a pipe and no regular file",
    folder_instead: "it is a folder and no regular file",
    socket_instead: "it is a socket and no regular file",
}


def spoiled(built, tmp_path, name):
    """A copy of the dataset for each kind, with one file spoiled; and what is said of it."""
    for kind, rule in KINDS.items():
        folder = shutil.copytree(built, tmp_path / kind.__name__ / "set")
        kind(next(folder.glob(name)))
        yield folder, rule


def extend(folder):
    source = folder.parent / "more"
    make.source(source, 6)
    segrecord.scan(source, extend=folder, workers=1)


def native(folder):
    tensorflow = pytest.importorskip("segrecord.tensorflow")
    pytest.importorskip("tensorflow")
    tensorflow.dataset(folder, "train")


def exact(folder):
    tensorflow = pytest.importorskip("segrecord.tensorflow")
    tf = pytest.importorskip("tensorflow")
    data = tensorflow.dataset(folder, "train", exact=True, batch_size=1, image_size=(8, 8))
    try:
        next(iter(data))
    except tf.errors.UnknownError as error:  # it quotes ours
        raise RecordError(str(folder), error.message) from None


def of_torch(folder):
    torch = pytest.importorskip("segrecord.torch")
    pytest.importorskip("torch")
    list(torch.dataset(folder, "train"))


READERS = {
    "open": lambda folder: list(segrecord.open(folder)),
    "random": lambda folder: segrecord.open(folder)[0],
    "batches": lambda folder: list(segrecord.open(folder).batches(2, image_size=(8, 8))),
    "show": lambda folder: lookup.read_record(folder, "0"),
    "index": write_offsets,
    "grain": lambda folder: segrecord.grain.dataset(folder, "train")[0],
    "torch": of_torch,
    "tensorflow": native,
    "exact": exact,
}
"""All that open shards and fail where one cannot be opened."""

OF_MANIFEST = READERS | {
    "stats": segrecord.stats,
    "report": report.make,
    "view": app.application,
    "extend": extend,
    "verify": lambda folder: segrecord.verify(folder, workers=1),
}


FRAMEWORKS = {
    "torch": pytest.mark.torch,
    "tensorflow": pytest.mark.tensorflow,
    "exact": pytest.mark.tensorflow,
}


def each(readers):
    return [pytest.param(reader, marks=FRAMEWORKS.get(reader, ())) for reader in readers]


def problems(folder):
    return "\n".join(map(str, segrecord.verify(folder, workers=1).problems))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("place", ["shard", "files", "split"])
def test_a_name_that_leads_elsewhere_is_refused_where_the_manifest_is_loaded(folder, name, place):
    def change(content):
        split = content["splits"]["train"]
        if place == "shard":
            split["shards"][0]["name"] = name
        elif place == "files":
            content["files"][name] = ""
        else:
            content["splits"][name] = content["splits"].pop("train")

    datasets.edit_manifest(folder, change)
    rule = "a split's name must be" if place == "split" else "must be the plain name of a file"
    with pytest.raises(RecordError, match=rule):
        manifests.load(folder)


@pytest.mark.parametrize("reader", each(OF_MANIFEST))
def test_no_reader_opens_a_name_that_leads_elsewhere(folder, reader):
    def change(content):
        content["splits"]["train"]["shards"][0]["name"] = "../" + elsewhere.name

    elsewhere = outside(next(folder.glob("train-*")))
    datasets.edit_manifest(folder, change)
    with pytest.raises((RecordError, UsageError), match=r"'\.\./outside-train.* must be the plain"):
        OF_MANIFEST[reader](folder)


@pytest.mark.parametrize("name", ["../table.csv", "/etc/hosts"])
def test_a_metadata_table_named_by_the_manifest_is_looked_for_beside_the_source_alone(
    folder, built, name
):
    make.put(folder.parent / "table.csv", b"image,class\n")
    datasets.edit_manifest(
        folder, lambda content: content["options"]["source"].update(metadata=name)
    )
    with pytest.raises(UsageError, match="pass --metadata FILE"):
        segrecord.verify(folder, source=built.parent / "source", workers=1)


@pytest.mark.parametrize("reader", each(READERS))
def test_a_shard_that_is_no_regular_file_stops_every_reader_and_hangs_none(built, tmp_path, reader):
    with in_time():
        for folder, rule in spoiled(built, tmp_path, "train-*"):
            with pytest.raises(RecordError) as caught:
                READERS[reader](folder)
            assert rule in str(caught.value)


def test_a_shard_that_is_no_regular_file_is_told_by_verify_and_report(built, tmp_path):
    with in_time():
        for folder, rule in spoiled(built, tmp_path, "train-*"):
            assert rule in problems(folder)
            assert rule in report.make(folder).decode()
            assert segrecord.open(folder, "test")[0].key  # the others are read


STOPS = {
    "dataset.json": OF_MANIFEST,
    "records.arrow": set(OF_MANIFEST) - {"tensorflow", "verify"},
    "facts.arrow": {"stats", "extend"},
    "findings.csv": {"view"},
}
"""Which readers each file stops."""


@pytest.mark.parametrize(
    ("name", "reader"),
    [
        pytest.param(name, reader, marks=FRAMEWORKS.get(reader, ()))
        for name, readers in STOPS.items()
        for reader in sorted(readers)
    ],
)
def test_a_sidecar_that_is_no_regular_file_stops_its_readers(built, tmp_path, name, reader):
    with in_time():
        for folder, rule in spoiled(built, tmp_path, name):
            with pytest.raises((RecordError, OutputError, UsageError)) as caught:
                OF_MANIFEST[reader](folder)
            assert rule in str(caught.value)


@pytest.mark.parametrize("name", ["facts.arrow", "findings.csv"])
def test_a_sidecar_that_is_no_regular_file_is_told_by_the_report(built, tmp_path, name):
    with in_time():
        for folder, rule in spoiled(built, tmp_path, name):
            assert rule in report.make(folder).decode()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_file_that_is_no_regular_one_is_told_by_verify(folder, kind):
    listed = set(manifests.load(folder).files)
    assert {"README.md", "report.html", "class_mapping.json", "records.arrow"} <= listed
    for name in listed:
        kind(folder / name)
    with in_time():
        found = problems(folder)
    for name in listed:
        assert f"{name}: cannot be read: {KINDS[kind]}" in found


def test_the_command_line_tells_it_in_a_line(folder):
    pipe(next(folder.glob("train-*")))
    for command in (["verify", str(folder)], ["show", str(folder), "0"], ["index", str(folder)]):
        done = subprocess.run(
            [sys.executable, "-m", "segrecord.cli", *command],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 1
        assert "it is a pipe and no regular file" in done.stdout + done.stderr
        assert "Traceback" not in done.stderr


def test_a_folder_that_is_a_link_is_read(folder, tmp_path):
    (tmp_path / "linked").symlink_to(folder)
    assert not problems(tmp_path / "linked")
    assert len(list(segrecord.open(tmp_path / "linked"))) == 6


# Shards of others, which the user names and no manifest.


def test_shards_of_others_may_be_links_to_files(folder, tmp_path):
    (tmp_path / "cache").mkdir()
    for shard in folder.glob("*.tfrecord"):
        (tmp_path / "cache" / shard.name).symlink_to(shard)
    found = segrecord.open(str(tmp_path / "cache/*.tfrecord"), schema="deeplab")
    assert sorted(one.key for one in found) == sorted(one.key for one in segrecord.open(folder))
    assert found[0].key


@pytest.mark.parametrize("kind", [pipe, socket_instead])
@pytest.mark.parametrize("named", ["*.tfrecord", "", "train-00000-of-00001.tfrecord"])
def test_a_pipe_among_shards_of_others_is_told_and_hangs_nothing(folder, kind, named):
    kind(next(folder.glob("train-*")))
    (folder / "dataset.json").unlink()
    with in_time(), pytest.raises(RecordError, match=r"train-.*it is a (pipe|socket) and no reg"):
        segrecord.open(str(folder / named), schema="deeplab")


def test_a_link_that_leads_nowhere_is_not_passed_over(folder):
    dangling(next(folder.glob("train-*")))
    with pytest.raises(RecordError, match=r"train-.*cannot be opened"):
        segrecord.open(str(folder / "*.tfrecord"), schema="deeplab")


def test_where_the_system_has_no_flag_against_links_the_file_is_looked_at_before(
    folder, monkeypatch
):
    shard = next(folder.glob("train-*"))
    link(shard)
    monkeypatch.setattr(storage, "_NO_LINKS", 0)
    with pytest.raises(storage.IrregularFileError, match="symbolic link"):
        storage.read_bytes(shard)
