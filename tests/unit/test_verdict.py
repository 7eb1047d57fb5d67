"""Whether to train: three levels, and what each of them names."""

import io
import re

import numpy as np
import pytest
from click.testing import CliRunner
from rich.console import Console

import datasets
import make
import segrecord
from segrecord.catalogue import CODES
from segrecord.cli import cli
from segrecord.console import messages
from segrecord.findings import Finding, suggestion
from segrecord.format import manifest
from segrecord.images import png
from segrecord.report import page as report
from segrecord.report.verdict import FEW, Outcome, Tally, of_manifest, verdict

LARGE = {"train": 100, "val": FEW, "test": FEW}


def judged(*found, **changes):
    """The verdict on these tallies, where nothing else is wrong but what is said."""
    outcome = Outcome(built=True, samples=150, left_out=0, checked=True, splits=LARGE)
    return verdict(found, outcome._replace(**changes))


def looked_at(found):
    return [item.text for item in found.look]


def test_nothing_found_is_ready_and_says_so():
    found = judged()
    assert (found.state, found.headline) == ("ready", "Ready to train")
    assert found.line == "ready to train"
    assert found.text == "150 samples written. No error and no warning."


@pytest.mark.parametrize("code", [code for code, it in CODES.items() if it.level == "warning"])
def test_ready_without_addition_is_said_where_no_warning_concerns_the_training(code):
    found = judged(Tally("warning", code, 2, "do this"))
    if CODES[code].training:
        assert (found.state, found.aside) == ("look", ())
        assert found.headline == "Ready to train, but look at 1 thing"
        assert found.line == f"ready to train, but look at: {code} (2)"
        (item,) = found.look
        assert item[1:] == (*(f"{code} (2)", CODES[code].problem, "do this", f"warning-{code}"),)
    else:
        assert (found.state, found.look, found.line) == ("ready", (), "ready to train")
        assert [item.text for item in found.aside] == [f"{code} (2)"]
        assert "No warning concerns the training" in found.text


def test_only_names_metadata_and_what_was_left_out_on_request_concern_no_training():
    """A list by hand: to add a code here is a decision about what "ready" may hide."""
    assert {code for code, it in CODES.items() if it.level == "warning" and not it.training} == {
        *("wrong-extension", "metadata-unmatched-row", "exclude-unknown", "personal-metadata"),
        "duplicate-dropped",
        "unusual-encoding",
    }


def test_infos_change_no_verdict_and_unknown_codes_are_looked_at():
    assert judged(Tally("info", "trimmed", 9)).state == "ready"
    assert looked_at(judged(Tally("warning", "of-tomorrow", 1))) == ["of-tomorrow (1)"]


@pytest.mark.parametrize(
    ("splits", "said"),
    [
        ({"train": 100, "val": 50}, ["no split to test on"]),
        ({"train": 100, "test": 50}, ["no split to validate on"]),
        ({"Training": 100, "Validation": 50, "Test": 50}, []),
        ({"train": 100}, ["no split to validate or test on"]),
        ({"test": 100}, ["no split to train or validate on"]),
        ({"all": 100}, ["no split to validate or test on"]),
        ({"centre_a": 100, "centre_b": 50}, []),
        ({"fold0": 100, "fold1": 100, "fold2": 100}, []),
        ({"train": 100, "val": 24, "test": 30}, ["few samples: 24 in val"]),
        ({"fold0": 9, "fold1": 100}, ["few samples: 9 in fold0"]),
        ({f"fold{n}": 1 for n in range(10)}, ["few samples: " + ", ".join(
            f"1 in fold{n}" for n in range(6)) + ", ..."]),
    ],
)  # fmt: skip
def test_splits_that_are_missing_or_tiny_are_named(splits, said):
    found = judged(splits=splits)
    assert looked_at(found) == said
    assert found.state == ("look" if said else "ready")
    assert all(item.fix for item in found.look)


def test_splits_whose_classes_are_not_mixed_are_named():
    found = judged(unmixed=("train",))
    assert found.state == "look"
    assert looked_at(found) == ["the classes of train are not mixed over its shards"]


def test_what_was_left_out_is_named_with_its_reasons_and_is_nothing_to_fix():
    errors = (Tally("error", "empty-file", 2, "fetch it"), Tally("error", "png-crc", 1, "copy it"))
    found = judged(*errors, left_out=3)
    assert (found.state, found.fix) == ("look", ())
    assert looked_at(found) == ["3 of 153 samples left out: empty-file (2), png-crc (1)"]
    assert found.text.startswith("150 samples written, 3 left out.")
    assert [(item.text, item.problem) for item in found.left_out] == [
        ("empty-file (2)", "the file is empty"),
        ("png-crc (1)", "the CRC-32 of a chunk is wrong"),
    ]
    assert looked_at(judged(Tally("error", "mask-without-image", 2))) == [
        "files left out: mask-without-image (2)"
    ]


def test_of_many_reasons_the_first_are_named():
    errors = [Tally("error", f"code-{number}", 1) for number in range(4)]
    assert looked_at(judged(*errors, left_out=4)) == [
        "4 of 154 samples left out: code-0 (1), code-1 (1), code-2 (1), ..."
    ]


def test_of_a_scan_errors_are_to_be_fixed_first():
    errors = [Tally("error", f"code-{number}", 1) for number in range(8)]
    found = judged(*errors, built=False)
    assert (found.state, found.headline) == ("fix", "8 things to fix first")
    assert found.left_out == ()
    assert found.line == "fix first: " + "; ".join(f"code-{n} (1)" for n in range(6)) + (
        "; and 2 more"
    )


def test_damage_is_to_be_fixed_first_and_what_nobody_looked_at_is_not_called_ready():
    found = judged(Tally("warning", "duplicate", 1), damage=1)
    assert (found.state, found.line) == (
        "fix",
        "fix first: 1 damaged file or record in the dataset",
    )
    assert looked_at(found) == ["duplicate (1)"]
    found = judged(checked=False)
    assert (found.state, found.headline, found.line) == ("open", "Not checked", "not checked")


def test_six_images_with_copies_and_an_empty_mask_are_not_simply_ready(tmp_path, inline):
    """Issue 10: they were."""
    source = make.source(tmp_path / "source", 6)
    images = sorted((source / "a" / "images").iterdir())
    masks = sorted((source / "a" / "masks").iterdir())
    images[1].write_bytes(images[0].read_bytes())
    masks[1].write_bytes(masks[0].read_bytes())
    masks[2].write_bytes(png.encode(np.zeros_like(make.blob(0))))
    built = segrecord.build(source, tmp_path / "set")
    found = of_manifest(built.manifest)
    assert found.state == "look"
    assert {"duplicate (1)", "empty-mask (1)", "few samples: 6 in train"} <= {*looked_at(found)}
    assert "no split to validate or test on" in looked_at(found)
    page = report.make(built.path).decode()
    assert found.headline in page
    out = io.StringIO()
    messages.print_manifest(Console(file=out, soft_wrap=True), built.manifest, str(built.path), 1.0)
    assert f"\nverdict: {found.line}\n" in out.getvalue()


def test_card_and_report_say_what_happened_and_not_the_rule_beside_a_count(tmp_path, inline):
    source = make.source(tmp_path / "source", 8)
    make.put(source / "b" / "images" / "1.png", b"")
    built = segrecord.build(source, tmp_path / "set", on_error="quarantine", no_report=True)
    card = (built.path / "README.md").read_text(encoding="utf-8")
    assert re.search(r"\| error \| `empty-file` \| 1 \| the file is empty *\|", card)
    assert "holds bytes" not in card
    assert "1 sample was left out" in card


def test_the_verdict_of_a_build_is_that_of_its_report(tmp_path):
    folder = datasets.make(tmp_path / "set")
    found = of_manifest(manifest.load(folder))
    assert re.search(rf"<h1>{found.headline}</h1>", report.make(folder).decode())


# The way out, and how to accept what is found.


@pytest.mark.parametrize("code", [code for code, it in CODES.items() if it.ignorable])
def test_where_a_code_can_be_ignored_its_way_out_says_how(code):
    level = CODES[code].level
    fix = suggestion(Finding(code, "", "", values={"message": "m", "fix": "do this"}, level=level))
    assert fix.startswith("do this")
    assert fix.endswith(f"--ignore {code}") == (level != "info")
    assert (
        suggestion(Finding(code, "", "", values={"message": "m", "fix": fix}, level=level)) == fix
    )


def test_what_cannot_be_ignored_has_its_own_way_out_alone():
    for code in ("png-crc", "of-tomorrow"):
        assert (
            suggestion(
                Finding(code, "", "", values={"message": "m", "fix": "do this"}, level="error")
            )
            == "do this"
        )


def objections(tmp_path):
    """Errors that a person may overrule, as a real scan gives them."""
    rows = []
    for number in range(6):
        image = make.put(tmp_path / f"{number}.png", png.encode(make.picture(number % 5)))
        mask = make.put(tmp_path / f"{number}_m.png", png.encode(make.blob(number)))
        split, label = ("train", "val")[number > 3], "ab"[number > 4]
        rows.append(f"{image.name},{mask.name},{label},{split},g{number % 3}")
    return make.listing(tmp_path / "i.csv", rows, "image,mask,class,split,patient")


def test_errors_that_may_be_accepted_say_so_wherever_findings_are_told(tmp_path, inline):
    found = segrecord.scan(objections(tmp_path), label_column="class", group_column="patient")
    met = {one.code for one in found.errors if CODES[one.code].ignorable}
    assert met >= {"duplicate-split", "duplicate-label", "duplicate-mask", "divided-group"}
    assert "split-lacks-class" in met
    for one in found.errors:
        if CODES[one.code].ignorable:
            assert f"--ignore {one.code}" in one.fix
    accepted = segrecord.scan(
        objections(tmp_path), label_column="class", group_column="patient", ignore=tuple(met)
    )
    assert accepted.errors == ()


def test_quarantine_is_offered_where_it_is_a_way_and_not_where_the_whole_set_is_wrong():
    bad = Finding("png-crc", "a", "a.png", values={"message": "m", "fix": "f"})
    whole = Finding("split-lacks-class", "", "", values={"message": "m", "fix": "f"})
    assert "--on-error quarantine" in messages.quarantine_hint([bad], 9)
    assert messages.quarantine_hint([bad, whole], 9) == ""
    assert messages.quarantine_hint([whole], 9) == ""
    assert messages.quarantine_hint([bad], 1) == ""


def test_the_command_line_of_a_scan_shows_the_verdict(tmp_path, inline):
    source = make.source(tmp_path / "source", 6)
    done = CliRunner().invoke(cli, ["scan", str(source)])
    assert done.exit_code == 0
    assert (
        "\nverdict: ready to train, but look at: no split to validate or test on; " in done.output
    )
