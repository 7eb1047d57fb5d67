"""What a killed scan leaves behind is used as far as it goes, and never further."""

import contextlib
import random

import pytest

from segrecord.scanning import checkpoint as module
from segrecord.scanning.checkpoint import KEPT, KeptScan
from segrecord.scanning.worker import Draft, DraftRule, Scanned
from segrecord.write.shard_writer import StoredDraft

RULE = DraftRule(None, "error", None)
OTHER = DraftRule(None, "resize", None)


def row(number):
    facts = {"key": f"k{number}", "checks": "full", "problems": [], "masks": []}
    draft = Draft(bytes([number]) * 40, ((0, 0), (255, 1)), None, ((0, 30), (1, 10)))
    return Scanned(facts | {"image_sha256": bytes([number]) * 32}, draft)


@contextlib.contextmanager
def running(folder, numbers, rule=RULE):
    """A store that has taken these rows and is not closed."""
    store = KeptScan(folder, rule)
    try:
        for number in numbers:
            store.add([row(number)])
        yield store
    finally:
        store.close()


def kept(folder, numbers, rule=RULE):
    with running(folder, numbers, rule):
        pass


def keys(folder, rule=RULE):
    return KeptScan(folder, rule).earlier()["key"].to_pylist()


def test_rows_come_back_the_newest_run_first(tmp_path):
    kept(tmp_path, [1, 2])
    kept(tmp_path, [3])
    assert keys(tmp_path) == ["k3", "k1", "k2"]


def test_the_rows_given_back_are_those_that_are_read_later(tmp_path):
    store = KeptScan(tmp_path, RULE)
    table = store.add([row(1), row(2)])
    store.close()
    assert KeptScan(tmp_path, RULE).earlier().equals(table)
    assert table.schema.equals(KEPT)


def test_a_run_that_was_never_closed_keeps_all_whole_batches(tmp_path):
    with running(tmp_path, [1, 2, 3]):
        assert keys(tmp_path) == ["k1", "k2", "k3"]


def test_a_file_cut_anywhere_is_read_up_to_the_cut(tmp_path):
    kept(tmp_path, [1, 2, 3])
    path = tmp_path / "facts-0000.batches"
    whole = path.read_bytes()
    found = []
    for cut in (*range(0, len(whole), 61), len(whole)):
        path.write_bytes(whole[:cut])
        found.append(keys(tmp_path))
    assert all(some == ["k1", "k2", "k3"][: len(some)] for some in found)
    assert {len(some) for some in found} == {0, 1, 2, 3}


def test_a_file_whose_end_is_zeros_or_noise_never_raises(tmp_path):
    kept(tmp_path, [1, 2, 3])
    path = tmp_path / "facts-0000.batches"
    whole = path.read_bytes()
    noise = random.Random(0)
    for cut in range(0, len(whole), 97):
        for tail in (bytes(len(whole) - cut), noise.randbytes(len(whole) - cut)):
            path.write_bytes(whole[:cut] + tail)
            assert len(keys(tmp_path)) <= 3


def test_facts_of_another_version_are_not_used(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(module, "KEPT", KEPT.remove(1))
        kept(tmp_path, [1])
        assert keys(tmp_path) == ["k1"]
    assert keys(tmp_path) == []


def test_drafts_made_under_another_rule_are_not_used_but_facts_are(tmp_path):
    kept(tmp_path, [1])
    table = KeptScan(tmp_path, OTHER).earlier()
    assert table["key"].to_pylist() == ["k1"]
    assert table["draft_file"].null_count == 1
    assert KeptScan(tmp_path, RULE).earlier()["draft_file"].null_count == 0


def reference(store):
    found = store.earlier().to_pylist()[0]
    return StoredDraft(
        store.draft_path(found["draft_file"]),
        found["draft_offset"],
        found["draft_length"],
        found["draft_crc"],
        (),
    )


def test_a_draft_comes_back_byte_for_byte(tmp_path):
    kept(tmp_path, [7])
    assert reference(KeptScan(tmp_path, RULE)).read() == bytes([7]) * 40


@pytest.mark.parametrize("damage", ["cut", "zeros", "gone"])
def test_a_torn_draft_is_not_used(tmp_path, damage):
    kept(tmp_path, [7])
    path = tmp_path / "drafts-0000.bin"
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-1] if damage == "cut" else bytes(40))
    assert reference(KeptScan(tmp_path, RULE)).read() is None


def test_the_bytes_of_a_draft_are_on_disk_before_the_row_that_names_them(tmp_path):
    with running(tmp_path, [1, 2]):
        assert (tmp_path / "drafts-0000.bin").stat().st_size == 80


def test_what_other_versions_have_found_is_scanned_anew(tmp_path):
    store = KeptScan(tmp_path, RULE, {"pillow": "11"})
    store.add([row(1)])
    store.close()
    assert len(KeptScan(tmp_path, RULE, {"pillow": "11"}).earlier()) == 1
    assert len(KeptScan(tmp_path, RULE, {"pillow": "12"}).earlier()) == 0
    assert len(KeptScan(tmp_path, RULE).earlier()) == 0
