"""--pseudonymize: what a pseudonym is, who reads names, and that no file of a dataset holds one."""

import csv
import hmac
import io
import json
import os
import stat
import unicodedata
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from PIL import PngImagePlugin

import segrecord
from make import blob, encoded, listing, picture, put
from segrecord.catalogue import CODES
from segrecord.errors import OutputError, UsageError
from segrecord.executors import InlineEngine
from segrecord.findings import Finding, Related
from segrecord.images import png
from segrecord.options import RecordOptions
from segrecord.privacy import redact
from segrecord.privacy.pseudonyms import (
    MAX_SECRET,
    check_value,
    pseudonym,
    pseudonymize,
    read_secret,
    rekeyed,
    require_same,
)
from segrecord.sources.loaded import LoadedSource, Note, Sample, samples_table
from segrecord.tables import FACTS

SECRET, OTHER = bytes(range(32)), bytes(range(1, 33))


def loaded(rows, findings=(), keep=()):
    """A source of (key, group, meta ...) rows whose images are called as their keys."""
    samples = [
        Sample(key, f"/in/{key}.png", group=group, meta=tuple(meta)) for key, group, *meta in rows
    ]
    return LoadedSource(
        samples_table(samples, keep), tuple(findings), (Note("table", "smith.csv: image"),), {}
    )


PATIENTS = [("a", "Smith"), ("b", "Smith"), ("c", "Jones"), ("d", None)]


def test_a_pseudonym_is_the_documented_hmac():
    message = b"segrecord.pseudonym1\0key\0a/b"
    expected = hmac.new(SECRET, message, "sha256").hexdigest()[:32]
    assert pseudonym(SECRET, "key", "a/b") == expected == "e1d98afcd7da3f70b2221728ea56c50d"


def test_a_key_and_a_group_of_one_name_and_another_secret_have_other_pseudonyms():
    found = {
        pseudonym(secret, kind, "x") for secret in (SECRET, OTHER) for kind in ("key", "group")
    }
    assert len(found) == 4
    assert check_value(SECRET) not in "".join(found)


def test_the_check_value_tells_secrets_apart():
    assert check_value(SECRET) == check_value(bytes(SECRET)) != check_value(OTHER)
    assert len(check_value(SECRET)) == 16


def test_the_secret_is_all_bytes_of_the_file(tmp_path):
    content = b"sixteen bytes and a line's end\r\n"
    assert read_secret(put(tmp_path / "key", content)) == content
    assert len(read_secret(put(tmp_path / "long", bytes(MAX_SECRET)))) == MAX_SECRET


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "does not exist; make one with: head -c 32 /dev/urandom > "),
        (b"", "at least 16 bytes, .* holds 0; make one with"),
        (b"fifteen bytes..", "at least 16 bytes, .* holds 15; make one with"),
        (bytes(MAX_SECRET + 1), "at most 65536 bytes"),
    ],
)
def test_a_key_file_that_is_none_is_refused_with_the_way_out(tmp_path, content, words):
    path = tmp_path / "key"
    if content is not None:
        put(path, content)
    with pytest.raises(UsageError, match=words) as caught:
        read_secret(path)
    assert str(path) in str(caught.value)
    assert "fifteen" not in str(caught.value), "the secret is in no message"


def test_a_folder_as_key_file_is_refused(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        read_secret(tmp_path)


def test_another_secret_than_the_dataset_s_is_refused():
    known = check_value(SECRET)
    require_same("", None, "D")
    require_same(known, SECRET, "D")
    for value, secret, words in (
        (known, None, "D holds pseudonyms; pass --pseudonymize"),
        ("", SECRET, "D was built without --pseudonymize"),
        (known, OTHER, "D was built with another key file"),
    ):
        with pytest.raises(UsageError, match=words) as caught:
            require_same(value, secret, "D")
        assert known not in str(caught.value)


def test_keys_and_groups_are_replaced_and_what_is_equal_stays_equal():
    hidden = pseudonymize(loaded(PATIENTS), SECRET).loaded
    rows = {row["image"]: row for row in hidden.samples.to_pylist()}
    for key, group in PATIENTS:
        row = rows[f"/in/{key}.png"]
        assert row["key"] == pseudonym(SECRET, "key", key)
        assert row["group"] == (group and pseudonym(SECRET, "group", group))
    assert hidden.samples.schema.equals(loaded(PATIENTS).samples.schema)


def test_the_rows_stand_in_the_order_of_the_pseudonyms_not_of_the_names():
    rows = [(f"patient{number:03d}", None) for number in range(50)]
    keys = pseudonymize(loaded(rows), SECRET).loaded.samples["key"].to_pylist()
    assert keys == sorted(keys)
    assert keys != [pseudonym(SECRET, "key", key) for key, _ in rows]


def test_the_sentence_and_the_findings_keys_are_disguised():
    findings = [
        Finding("no-class", "e", "list.csv row 7", values={"message": "e has none", "fix": ""})
    ]
    hidden = pseudonymize(loaded(PATIENTS, findings), SECRET).loaded
    assert hidden.findings[0].key == pseudonym(SECRET, "key", "e")
    assert "smith" not in hidden.sentence


def test_related_samples_are_named_by_pseudonyms_too():
    related = (Related("b", "/in/b.png"), Related("", "list.csv row 8"))
    found = Finding("metadata-conflict", "a", "list.csv row 7", related)
    (hidden,) = pseudonymize(loaded(PATIENTS, [found]), SECRET).loaded.findings
    assert hidden.related == (
        Related(pseudonym(SECRET, "key", "b"), "/in/b.png"),
        Related("", "list.csv row 8"),
    )


def test_two_keys_with_one_pseudonym_are_refused(monkeypatch):
    from segrecord.privacy import pseudonyms

    monkeypatch.setattr(pseudonyms, "pseudonym", lambda *_: "0" * 32)
    with pytest.raises(UsageError, match="two names have the same pseudonym"):
        pseudonymize(loaded(PATIENTS), SECRET)


@pytest.mark.parametrize(
    ("what", "cells"),
    [
        ("group", ["Smith", "Smith", "Jones", None]),
        ("key", ["a", "b", None, "d"]),
        ("file name", ["a.png", "x/b.png", "c.png", "d"]),
    ],
)
def test_a_kept_column_that_repeats_what_is_to_be_replaced_is_refused(what, cells):
    rows = [(*row, cell) for row, cell in zip(PATIENTS, cells, strict=True)]
    with pytest.raises(UsageError, match=f"column who is the {what} of each sample"):
        pseudonymize(loaded(rows, keep=["who"]), SECRET)


def test_other_kept_columns_stay():
    rows = [(*row, age) for row, age in zip(PATIENTS, ["1", "Smith", None, "4"], strict=True)]
    hidden = pseudonymize(loaded(rows, keep=["age"]), SECRET).loaded
    ages = {row["image"]: row["meta/age"] for row in hidden.samples.to_pylist()}
    assert [ages[f"/in/{key}.png"] for key in "abcd"] == ["1", "Smith", None, "4"]
    pseudonymize(loaded([(*row, None) for row in PATIENTS], keep=["empty"]), SECRET)


def test_facts_of_an_earlier_scan_are_found_under_the_pseudonyms():
    rows = [{"key": key, "checks": "full", "problems": []} for key in "ab"]
    facts = pa.Table.from_pylist(rows, FACTS)
    found = rekeyed(facts, SECRET)
    assert found["key"].to_pylist() == [pseudonym(SECRET, "key", key) for key in "ab"]
    assert found.schema.equals(FACTS)


def test_the_person_who_builds_reads_the_names():
    disguised = pseudonymize(loaded(PATIENTS), SECRET)
    key, group = pseudonym(SECRET, "key", "a"), pseudonym(SECRET, "group", "Smith")
    unknown = "0" * 32
    found = Finding(
        "c",
        key,
        "p",
        values={"message": f"as '{key}', {unknown}; group {group}x", "fix": f"see {group}"},
        level="error",
    )
    assert redact.with_names([found, replace(found, key="")], disguised.crosswalk) == (
        Finding(
            "c",
            "a",
            "p",
            values={"message": f"as 'a', {unknown}; group {group}x", "fix": "see Smith"},
            level="error",
        ),
        Finding(
            "c",
            "",
            "p",
            values={"message": f"as 'a', {unknown}; group {group}x", "fix": "see Smith"},
            level="error",
        ),
    )
    assert redact.with_names([], disguised.crosswalk) == ()


def test_the_person_who_builds_reads_the_names_of_related_samples_and_groups():
    disguised = pseudonymize(loaded(PATIENTS), SECRET)
    key, group = pseudonym(SECRET, "key", "a"), pseudonym(SECRET, "group", "Smith")
    found = Finding(
        "duplicate",
        key,
        "p",
        (Related(key, "q"), Related("0" * 32)),
        {"group": group, "other_group": group, "groups": [group, "x"], "count": 2},
    )
    (shown,) = redact.with_names([found], disguised.crosswalk)
    assert shown.key == "a"
    assert shown.related == (Related("a", "q"), Related("0" * 32))
    assert shown.values == {
        "group": "Smith",
        "other_group": "Smith",
        "groups": ["Smith", "x"],
        "count": 2,
    }


def test_the_dataset_s_lists_tell_code_and_problem_alone_in_the_order_of_the_pseudonyms():
    code = next(iter(CODES))
    findings = [
        Finding(
            code,
            "b",
            "/in/smith.png",
            values={"message": "smith", "fix": "ask smith"},
            level="warning",
        ),
        Finding("unknown-code", "a", "x", values={"message": "y", "fix": "z"}, level="error"),
        Finding(code, "", "", values={"message": "smith and jones", "fix": ""}, level="info"),
    ]
    assert redact.redacted(findings) == (
        Finding(code, "", "", values={"message": CODES[code].problem, "fix": ""}, level="info"),
        Finding(
            "unknown-code", "a", "", values={"message": "unknown-code", "fix": ""}, level="error"
        ),
        Finding(code, "b", "", values={"message": CODES[code].problem, "fix": ""}, level="warning"),
    )


def test_the_facts_of_the_dataset_name_no_path_and_no_keyword():
    problem = {"code": "c", "path": "/in/smith.png", "values": '{"reason": "smith"}'}
    rows = [
        {"key": "a", "checks": "full", "problems": [problem], "metadata": None},
        {"key": "b", "checks": "full", "problems": [], "metadata": ["EXIF GPS", "PNG text Smith"]},
    ]
    found = redact.redacted_facts(pa.Table.from_pylist(rows, FACTS))
    bare = {"code": "c", "path": "", "values": ""}
    assert found["problems"].to_pylist() == [[bare], []]
    assert found["metadata"].to_pylist() == [None, ["EXIF GPS", "PNG text"]]
    assert found.schema.equals(FACTS)


NASTY = [("a,b", 'say "x"'), ("line\rend", "line\nend"), ("é", "=1+1"), ("lone", None)]


def test_the_crosswalk_gives_every_name_back(tmp_path):
    findings = [Finding("missing-image", "gone", "r", values={"message": "m", "fix": "f"})]
    disguised = pseudonymize(loaded(NASTY, findings), SECRET)
    path = tmp_path / "walk.csv"
    redact.write_crosswalk(path, disguised.crosswalk)
    rows = list(csv.DictReader(io.StringIO(path.read_bytes().decode(), newline="")))
    assert [tuple(row.values()) for row in rows] == [
        *(
            (
                key,
                pseudonym(SECRET, "key", key),
                group or "",
                pseudonym(SECRET, "group", group) if group else "",
            )
            for key, group in sorted(NASTY)
        ),
        ("gone", pseudonym(SECRET, "key", "gone"), "", ""),
    ]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_the_crosswalk_is_readable_by_its_owner_alone_even_where_an_old_one_was_not(tmp_path):
    path = put(tmp_path / "walk.csv", b"old")
    path.chmod(0o666)
    redact.write_crosswalk(path, pseudonymize(loaded(PATIENTS), SECRET).crosswalk)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [found.name for found in tmp_path.iterdir()] == ["walk.csv"]


def test_a_crosswalk_that_cannot_be_written_is_said_so_and_leaves_nothing(tmp_path):
    (tmp_path / "walk.csv").mkdir()
    with pytest.raises(OutputError, match=r"the crosswalk .*walk\.csv cannot be written"):
        redact.write_crosswalk(
            tmp_path / "walk.csv", pseudonymize(loaded(PATIENTS), SECRET).crosswalk
        )
    assert [found.name for found in tmp_path.iterdir()] == ["walk.csv"]


def places(tmp_path, key="key", crosswalk=None):
    crosswalk = None if crosswalk is None else str(tmp_path / crosswalk)
    records = RecordOptions(pseudonymize=str(tmp_path / key), crosswalk=crosswalk)
    redact.check_paths(records, tmp_path / "out")


def test_key_file_and_crosswalk_beside_the_output_are_fine(tmp_path):
    places(tmp_path)
    places(tmp_path, crosswalk="walk.csv")
    redact.write_crosswalk(tmp_path / "walk.csv", pseudonymize(loaded(PATIENTS), SECRET).crosswalk)
    places(tmp_path, crosswalk="walk.csv")  # a run that goes on writes it again


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"key": "out/key"}, "--pseudonymize .* lies in the output"),
        ({"crosswalk": "out/walk.csv"}, "--crosswalk .* lies in the output"),
        ({"crosswalk": "out"}, "--crosswalk .* lies in the output"),
        ({"crosswalk": "link/walk.csv"}, "--crosswalk .* lies in the output"),
        ({"crosswalk": "none/walk.csv"}, "the folder .*none does not exist"),
        ({"crosswalk": "list.csv"}, "is a file of another kind"),
        ({"crosswalk": "folder"}, "cannot be replaced"),
    ],
)
def test_places_that_would_give_names_away_or_lose_a_file_are_refused(tmp_path, wanted, words):
    put(tmp_path / "list.csv", b"image,mask\n")
    (tmp_path / "folder").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "out")
    with pytest.raises(UsageError, match=words):
        places(tmp_path, **wanted)


NAMES = ("Müller", "OConnor", "Nguyen", "Abdullahi", "Petrova")


def hospital(folder):
    """Images called by patients, some with findings; returns the listing and all names in it."""
    folder = folder / "StMary"
    rows = []
    for number in range(20):
        name = f"{NAMES[number // 4]}_{number:02d}"
        text = PngImagePlugin.PngInfo()
        text.add_text("Patient", NAMES[number // 4])
        put(folder / f"scan_{name}.png", encoded(picture(number % 18), pnginfo=text))
        put(folder / f"outline_{name}.png", png.encode(blob(number % 18)))
        cells = (f"scan_{name}.png", f"outline_{name}.png", "ab"[number % 2], NAMES[number // 4])
        rows.append(",".join(cells))
    put(folder / "scan_OConnor_07.png", b"no image")
    rows.append("scan_Petrova_99.png,,a,Petrova")  # there is no such file
    table = listing(folder / "StMary_list.csv", rows, "image,mask,class,patient")
    return table, (*NAMES, "StMary", "scan_", "outline_", str(folder))


def grepped(out, names):
    """The files below a folder that hold one of the names, in any of the usual encodings."""
    forms = {
        form.encode(coding)
        for name in names
        for form in (name, name.lower(), unicodedata.normalize("NFD", name), json.dumps(name)[1:-1])
        for coding in ("utf-8", "utf-16-le")
    }
    held = {}
    for path in sorted(Path(out).rglob("*")):
        if path.is_file():
            text = path.read_bytes()
            held[path.name] = sorted(form for form in forms if form.lower() in text.lower())
    return {name: found for name, found in held.items() if found}


@pytest.mark.parametrize("schema", ["deeplab", "plain", "raw", "tfds"])
def test_no_file_of_the_dataset_holds_a_name_or_the_secret(tmp_path, inline, schema):
    table, names = hospital(tmp_path)
    key = put(tmp_path / "MyKeyFile", b"a secret that nobody guesses")
    options = {
        "group_column": "patient",
        "split": "train=0.6,val=0.4",
        "on_error": "quarantine",
        "schema": schema,
    }
    plain, out = tmp_path / "plain", tmp_path / "out"
    segrecord.build(str(table), plain, **options)
    held = grepped(plain, names)
    assert {"records.arrow", "facts.arrow", "findings.csv", "quarantine.csv"} < set(held)
    segrecord.build(str(table), out, pseudonymize=str(key), **options)
    secret = (key.read_text(), key.read_bytes().hex(), key.name)
    assert grepped(out, (*names, *secret, str(tmp_path))) == {}
    made = {"StMary", "MyKeyFile", "plain", "out"}
    assert {path.name for path in tmp_path.iterdir()} == made, "no crosswalk unless asked for"


def test_verify_compares_with_the_source_by_the_same_key_file_alone(tmp_path, inline, monkeypatch):
    from segrecord.pipeline import verify_dataset

    monkeypatch.setattr(verify_dataset, "LocalEngine", lambda *_: InlineEngine())
    table, _ = hospital(tmp_path)
    key = put(tmp_path / "key", SECRET)
    out = tmp_path / "out"
    segrecord.build(
        str(table), out, group_column="patient", on_error="quarantine", pseudonymize=str(key)
    )
    report = segrecord.verify(out, source=str(table), pseudonymize=str(key))
    assert report.problems == ()
    put(table.parent / "scan_Petrova_16.png", png.encode(picture(90)))
    report = segrecord.verify(out, source=str(table), pseudonymize=str(key))
    assert any("the image differs" in problem.rule for problem in report.problems)
    with pytest.raises(UsageError, match="holds pseudonyms"):
        segrecord.verify(out, source=str(table))
    with pytest.raises(UsageError, match="another key file"):
        segrecord.verify(out, source=str(table), pseudonymize=str(put(tmp_path / "other", OTHER)))
    assert segrecord.verify(out).problems == ()


def test_the_word_for_what_pseudonyms_are_not_is_used_nowhere():
    root = Path(segrecord.__file__).parents[2]
    texts = [*(root / "src").rglob("*.py"), *(root / "docs").rglob("*.md"), root / "README.md"]
    words = ("anonymiz" + "ed", "anonymis" + "ed", "anonymiz" + "ation")
    assert [path for path in texts if any(word in path.read_text().lower() for word in words)] == []
