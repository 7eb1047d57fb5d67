"""What the command line says: on a terminal of 80 columns, in a log, without colours, in ASCII."""

import io
import re
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from tests import datasets
from tests.terminal import Terminal, output_on_terminal, set_environment

from segrecord.cli import cli
from segrecord.console import messages
from segrecord.console.results import print_report
from segrecord.console.terminal import print_next, print_parts, print_table, printable
from segrecord.errors import RecordError
from segrecord.findings import Finding
from segrecord.format import manifest
from segrecord.report.verdict import Outcome
from segrecord.sources.loaded import LoadedSource, Note, samples_table
from segrecord.verification.checker import Report

ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


class Ascii(io.TextIOWrapper):
    """A file that refuses what is not ASCII."""

    def __init__(self):
        super().__init__(io.BytesIO(), "ascii", write_through=True)

    def getvalue(self):
        return self.buffer.getvalue().decode("ascii")


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    set_environment(monkeypatch)


def on_terminal(work, *arguments, width=80):
    """What a terminal of this width is given, with its colours."""
    file = Terminal()
    work(Console(file=file, width=width, force_terminal=True, soft_wrap=True), *arguments)
    return file.getvalue()


def seen(work, *arguments, width=80):
    """The lines on a terminal, as a person sees them."""
    return ESCAPE.sub("", on_terminal(work, *arguments, width=width)).splitlines()


def logged(work, *arguments):
    """The lines in a log."""
    file = io.StringIO()
    work(Console(file=file, soft_wrap=True), *arguments)
    return file.getvalue().splitlines()


ROOT = "/data/sets/lesions/masks/"
LONG = "holds 160 values that are neither classes nor 0 and 255, and so looks like smoothed edges"


def found(number, code="mask-values", level="error", message=LONG, path=None):
    return Finding(
        code,
        f"{number}",
        f"{ROOT}{number:04}.png" if path is None else path,
        values={"message": message, "fix": "pass --mask-threshold 128"},
        level=level,
    )


def of_all(level, code, message, fix="nothing"):
    return Finding(code, "", "", values={"message": message, "fix": fix}, level=level)


# Findings.


def test_errors_stand_before_warnings_and_infos_are_a_line_a_code_at_the_end():
    findings = [
        of_all("info", "trimmed", "bytes are cut off"),
        found(1, "dark-image", "warning", "is dark"),
        found(2),
        of_all("info", "skipped-files", "1 x other files"),
    ]
    lines = logged(messages.print_findings, findings)
    assert lines == [
        "error mask-values: 1 finding",
        f"  {ROOT}0002.png: {LONG}",
        "  -> pass --mask-threshold 128",
        "warning dark-image: 1 finding",
        f"  {ROOT}0001.png: is dark",
        "  -> pass --mask-threshold 128; to accept it: --ignore dark-image",
        "info trimmed: bytes are cut off",
        "info skipped-files: 1 x other files",
    ]


def test_a_group_shows_three_findings_the_count_of_the_others_and_its_fix_once():
    lines = logged(messages.print_findings, [found(number) for number in range(10)])
    assert lines[0] == "error mask-values: 10 findings"
    assert [line for line in lines if ROOT in line] == lines[1:4]
    assert lines[4:] == ["  ... and 7 more", "  -> pass --mask-threshold 128"]


def test_a_finding_of_the_dataset_as_a_whole_stands_in_the_heading():
    lines = logged(messages.print_findings, [of_all("warning", "no-group", "no group", "pass one")])
    assert lines == ["warning no-group: no group", "  -> pass one; to accept it: --ignore no-group"]


def test_several_findings_of_the_dataset_as_a_whole_are_counted():
    findings = [of_all("warning", "shortcut", f"{name} tells the class") for name in "ab"]
    lines = logged(messages.print_findings, findings)
    assert lines[:2] == ["warning shortcut: 2 findings", "  a tells the class"]


def test_a_finding_without_a_path_is_named_by_its_key():
    lines = logged(messages.print_findings, [found(7, path="")])
    assert lines[1] == f"  7: {LONG}"


def test_reasons_of_an_info_are_counted_and_the_rest_of_them_summed_up():
    infos = [of_all("info", "re-encoded", text) for text in "aabcde"]
    (line,) = logged(messages.print_findings, infos)
    assert line == "info re-encoded: 6 findings: 2 x a; b; c; and 2 more reasons"


@pytest.mark.parametrize("number", [2, 3])
def test_groups_of_two_or_three_are_shown_whole_on_a_terminal_as_in_a_log(number):
    findings = [found(n, f"code-{code}") for code in range(30) for n in range(number)]
    for lines in (
        seen(messages.print_findings, findings),
        logged(messages.print_findings, findings),
    ):
        assert sum(".png" in line for line in lines) == 30 * number
        assert not any("for example" in line for line in lines)


def test_an_info_says_what_it_is_about():
    marked = found(1, "excluded", "info", "left out: it is marked as wrong: x")
    assert logged(messages.print_findings, [marked]) == [
        f"info excluded: {ROOT}0001.png: left out: it is marked as wrong: x"
    ]
    assert logged(messages.print_findings, [replace(marked, path="")]) == [
        "info excluded: 1: left out: it is marked as wrong: x"
    ]
    cut = [found(n, "trimmed", "info", "bytes are cut off") for n in range(4)]
    assert logged(messages.print_findings, cut) == [
        f"info trimmed: 4 x bytes are cut off ({ROOT}0000.png, {ROOT}0001.png, {ROOT}0002.png, ...)"
    ]
    _, root, *lines = seen(messages.print_findings, cut)
    assert root == f"paths below start from {ROOT}"
    assert " ".join(map(str.strip, lines)) == (
        "info trimmed: 4 x bytes are cut off (0000.png, 0001.png, 0002.png, ...)"
    )
    alike = [found(n, "similar-pair", "info", f"it resembles '{n + 1}'") for n in range(2)]
    (line,) = logged(messages.print_findings, alike)
    assert line.startswith(f"info similar-pair: 2 findings: {ROOT}0000.png: it resembles '1'; ")
    assert line.endswith(f"; {ROOT}0001.png: it resembles '2'")


def test_a_terminal_cuts_at_a_word_and_indents_what_it_wraps():
    lines = seen(messages.print_findings, [found(number) for number in range(3)])
    assert max(map(len, lines)) <= 80
    assert lines[0] == ""
    assert lines[1] == f"paths below start from {ROOT}"
    first, second = lines[3:5]
    assert first.startswith("  0000.png: holds 160 values")
    assert second.startswith("    ")
    assert f"{first.strip()} {second.strip()}" == f"0000.png: {LONG}"
    for line in lines[5:7]:
        start, dots, rest = line.partition(" ...")
        assert (dots, rest) == (" ...", "")
        assert LONG.startswith(start.partition(": ")[2])
        assert LONG[len(start.partition(": ")[2])] == " "


def test_a_log_is_never_cut_even_where_colours_are_forced(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    path = "/very/long/" * 20 + "mask.png"
    lines = logged(messages.print_findings, [found(1, path=path, message="word " * 100)])
    assert ESCAPE.search(lines[0])
    assert ESCAPE.sub("", lines[1]) == f"  {path}: {'word ' * 100}"


def test_a_long_path_is_shown_by_its_end_on_a_terminal():
    path = f"{'1' * 90}.png"
    lines = seen(messages.print_findings, [found(1, path=path, message="is broken")])
    assert lines[2] == f"  ...{'1' * 33}.png: is broken"


def test_thirty_kinds_are_one_example_each_on_a_terminal_and_fit_80_columns():
    findings = [found(n, f"code-{code:02}") for code in range(30) for n in range(40)]
    lines = seen(messages.print_findings, findings)
    assert max(map(len, lines)) <= 80
    assert sum("code-" in line for line in lines) == 30
    assert "error code-29: 40 findings, for example" in lines
    assert len(lines) <= 4 * 30 + 2
    assert sum("0002.png" in line for line in logged(messages.print_findings, findings)) == 30


def test_names_that_look_like_markup_or_would_steer_the_terminal_are_printed_as_text():
    finding = found(1, path="[red]x[/red]\x1b[2J\n.png", message="m")
    (line,) = [line for line in logged(messages.print_findings, [finding]) if "png" in line]
    assert line == r"  [red]x[/red]\x1b[2J\n.png: m"


def test_colours_are_for_terminals_and_respect_no_color_and_term_dumb(monkeypatch):
    assert "\x1b[31merror" in on_terminal(messages.print_findings, [found(1)])
    assert not any(ESCAPE.search(line) for line in logged(messages.print_findings, [found(1)]))
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[31m" not in on_terminal(messages.print_findings, [found(1)])
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert "\x1b" not in on_terminal(messages.print_findings, [found(1)])


def test_an_output_that_is_no_unicode_gets_escapes():
    file = Ascii()
    console = Console(file=file, soft_wrap=True)
    messages.print_findings(console, [found(1, path="größe/病.png", message="naïve")])
    print_table(console, ["größe"], [["病"]])
    assert r"gr\xf6\xdfe/\u75c5.png: na\xefve" in file.getvalue()
    assert file.getvalue().splitlines()[-1].strip() == r"\u75c5"


def test_what_cannot_be_printed_is_escaped():
    assert printable("a\x1b\n\udce9ö", "utf-8") == r"a\x1b\n\udce9ö"
    assert printable("ö", "ascii") == r"\xf6"
    assert printable(r"C:\x", "ascii") == r"C:\x"


# The last lines of a scan.


def scanned(samples, **splits):
    """What a scan has come to: these splits of 30 samples each, or the usual three."""
    splits = splits or dict.fromkeys(("train", "val", "test"), 30)
    return Outcome(built=False, samples=samples, left_out=0, checked=True, splits=splits)


def test_a_scan_ends_with_the_counts_and_what_to_do():
    findings = (
        *(found(number) for number in range(4)),
        found(5, "png-crc"),
        of_all("warning", "no-group", "no group"),
        of_all("info", "trimmed", "cut"),
    )
    lines = logged(messages.print_scan, scanned(9), findings, "src")
    assert lines[0] == "9 samples: 5 errors of 2 kinds, 1 warning"
    assert lines[1] == "verdict: fix first: mask-values (4); png-crc (1)"
    assert "--findings FILE" in lines[2]
    assert lines[3].startswith("next: correct the files")
    assert "leave the 5 bad samples out" in lines[4]


@pytest.mark.parametrize(
    ("findings", "said", "judged"),
    [
        ((), "1 sample: no errors, no warnings", "ready to train"),
        (
            (of_all("info", "trimmed", "cut"),),
            "1 sample: no errors, no warnings",
            "ready to train",
        ),
        (
            (of_all("warning", "no-group", "no group"),),
            "1 sample: 1 warning",
            "ready to train, but look at: no-group (1)",
        ),
        (
            (of_all("warning", "wrong-extension", "png"),),
            "1 sample: 1 warning",
            "ready to train",
        ),
    ],
)
def test_a_scan_without_errors_ends_with_the_build(findings, said, judged):
    lines = logged(messages.print_scan, scanned(1), findings, "src")
    assert lines == [
        *(said, f"verdict: {judged}"),
        "next: segrecord build src OUT, with the options given here",
    ]


def test_the_findings_file_is_named_where_not_all_are_shown():
    shown = messages.SHOWN + 1
    findings = [found(n, f"code-{code}") for code in range(messages.MANY + 1) for n in range(shown)]
    assert "error code-0: 4 findings, for example" in seen(messages.print_findings, findings)
    findings = tuple(findings)
    assert any(
        "--findings" in line for line in seen(messages.print_scan, scanned(99), findings, "src")
    )
    few = tuple(one for one in findings if int(one.key) < messages.SHOWN)
    assert not any(
        "--findings" in line for line in seen(messages.print_scan, scanned(99), few, "src")
    )


# Build, verify, and what is next.


def test_a_build_ends_with_commands_that_can_be_copied(tmp_path):
    folder = datasets.make(tmp_path / "a set")
    lines = logged(messages.print_manifest, manifest.load(folder), str(folder), 1.0)
    assert lines[0].startswith("9 records in 3 shards, ")
    next_lines = lines[lines.index("next:") + 1 :]
    for line in next_lines:
        command, comment = line.split("# ")
        assert command.startswith("  segrecord ")
        assert f"'{folder}'" in command
        assert comment
        assert command.split()[1] in cli.commands
    assert not any("report.html" in line for line in lines)
    (folder / "report.html").touch()
    lines = logged(messages.print_manifest, manifest.load(folder), str(folder), 1.0)
    assert any(str(folder / "report.html") in line for line in lines)


def test_every_step_is_a_command():
    for command, _ in messages._STEPS.values():
        assert command.split()[1] in cli.commands


def test_a_build_of_many_classes_counts_some_of_them(tmp_path):
    made = manifest.load(datasets.make(tmp_path / "set"))
    counts = {f"class-{number}": number for number in range(100)}
    splits = {
        name: it.model_copy(update={"class_counts": counts}) for name, it in made.splits.items()
    }
    lines = logged(messages.print_manifest, made.model_copy(update={"splits": splits}), "out", 1.0)
    assert "class-11 11; and 88 classes more)" in lines[1]


def test_commands_are_not_broken_and_go_without_their_comment_where_that_has_no_room():
    command = f"segrecord verify /{'a' * 90}"
    assert seen(print_next, [(command, "why"), ("b", "c")])[1] == f"  {command}"
    assert logged(print_next, [(command, "why")])[1] == f"  {command}  # why"


def test_a_damaged_dataset_is_reported_in_80_columns_with_what_to_do():
    rule = "has the SHA-256 " + "7" * 64 + ", the manifest says " + "5" * 64
    report = Report((RecordError("train-00000-of-00001.tfrecord", rule),), 1, 2, 3, ("masks",))
    lines = seen(print_report, report)
    assert max(map(len, lines)) <= 80
    assert lines[0] == "not checked: masks"
    assert all(line.startswith("  ") for line in lines[2:4])
    assert lines[-2] == "1 problem: 2 records in 1 shard, 3 bytes"
    assert lines[-1].startswith("next: ")
    assert logged(print_report, report)[1] == f"train-00000-of-00001.tfrecord: {rule}"


def test_how_the_source_was_read_is_wrapped_and_indented():
    source = LoadedSource(
        samples_table([]),
        (),
        (Note("samples", "paired " + "CLASS/X with CLASS/X_mask.png, " * 5),),
        {"._*": 2},
        (Note("files", "h"),),
    )
    lines = seen(messages.print_loaded, source)
    assert lines[0].startswith("0 samples: paired CLASS/X")
    assert lines[1].startswith("  ")
    assert max(map(len, lines)) <= 80
    assert lines[-2:] == ["skipped: ._* (2)", "hint: h"]


# Progress.


def stages(console):
    monitor = messages.ConsoleMonitor(console)
    monitor.stage("scan", 2)
    monitor.progress(1)
    monitor.stage("write", 1)
    monitor.close()


def test_stages_are_bars_on_a_terminal_and_lines_elsewhere(monkeypatch):
    assert "━" in on_terminal(stages)
    assert logged(stages) == ["scan: 2 samples", "write: 1 shard"]
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert logged(stages) == ["scan: 2 samples", "write: 1 shard"]
    monkeypatch.delenv("FORCE_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert on_terminal(stages) == "scan: 2 samples\nwrite: 1 shard\n"


# Lines.


@pytest.mark.parametrize("width", [20, 40, 80, 300])
def test_wrapped_lines_lose_no_word_and_end_within_the_terminal(width):
    words = [f"word{number}" for number in range(60)]
    lines = seen(print_parts, "a ", (" ".join(words), "bold"), width=width)
    assert " ".join(line.strip() for line in lines).split() == ["a", *words]
    assert max(map(len, lines)) <= min(width, 100)
    assert all(line.startswith("  ") for line in lines[1:])


def test_wide_characters_are_measured_in_columns():
    lines = seen(lambda console: print_parts(console, "病 " * 60, most=1))
    assert lines[0].endswith(" ...")
    assert len(lines[0]) + lines[0].count("病") <= 80


# The command itself, on a real terminal.


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo terminal")
def test_no_line_of_a_scan_or_a_build_is_wider_than_the_terminal(tmp_path):
    rng = np.random.default_rng(0)
    for number in range(8):
        for kind in ("images", "masks"):
            path = tmp_path / f"some-rather-long-name/{kind}/{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = rng.integers(0, 256, (16, 16, 3), np.uint8)
            plane = pixels if kind == "images" else (pixels[:, :, 0] > 99).astype(np.uint8)
            Image.fromarray(plane * (number != 7)).save(path)
    for words in (["scan", "some-rather-long-name"], ["build", "some-rather-long-name", "out"]):
        text = output_on_terminal([*words, "--workers", "1"], tmp_path, 60)
        lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).split("\r\n")
        assert len(lines) > 5
        for line in lines:
            command = line.startswith("  segrecord ")  # never broken, so that it can be copied
            assert command or max(map(len, line.split("\r"))) <= 60
