"""What a caller from Python is told: a log line a code, a bar where a person looks on, no more."""

import io
import logging
import pickle
import subprocess
import sys

import pytest
from tests.terminal import Terminal, set_environment

import segrecord
from make import put, source
from segrecord.errors import DataError, SourceError
from segrecord.findings import Finding
from segrecord.pipeline import Silent

pytestmark = pytest.mark.usefixtures("inline")


@pytest.fixture
def folder(tmp_path):
    """30 pairs; of some of them the image is cut or empty, of one the extension is wrong."""
    root = source(tmp_path / "src", 30)
    for number in (2, 4, 6):
        cut(root / f"a/images/{number}.png")
    put(root / "b/images/1.png", b"")
    (root / "b/images/3.png").rename(root / "b/images/3.jpg")
    return tmp_path


def cut(path):
    path.write_bytes(path.read_bytes()[:-20])


def lines(caplog, level=logging.WARNING):
    return [
        (record.levelname, record.getMessage())
        for record in caplog.records
        if record.name == "segrecord" and record.levelno >= level
    ]


def test_a_build_logs_a_line_a_code_with_count_first_file_and_way_out(folder, caplog):
    caplog.set_level(logging.INFO)
    built = segrecord.build(folder / "src", folder / "out", on_error="quarantine")
    found = lines(caplog)
    assert {level for level, _ in found} == {"WARNING"}
    codes = {f.code for f in built.findings if f.level != "info"}
    assert len(found) == len(codes)
    (cut_ones,) = [text for _, text in found if "png-truncated" in text]
    assert cut_ones.startswith(
        "build: left out: png-truncated (3 findings), first: a/images/2.png: the PNG ends"
    )
    assert cut_ones.endswith("; get a sound copy, or leave the file out")
    assert any("build: wrong-extension: b/images/3.jpg: " in text for _, text in found)
    assert any(text.startswith("build: mask-mapped: ") for _, text in lines(caplog, logging.INFO))


def test_a_thousand_findings_are_one_line(tmp_path, caplog):
    root = source(tmp_path / "src", 4)
    for number in range(200):
        put(root / f"a/images/x{number}.png", b"")
    found = segrecord.scan(root)
    assert sum(f.code == "empty-file" for f in found.findings) == 200
    (line,) = [(level, text) for level, text in lines(caplog) if "empty-file" in text]
    assert line[0] == "ERROR"
    assert "empty-file (200 findings), first: " in line[1]


def test_a_damaged_dataset_is_logged(folder, caplog):
    out = segrecord.build(folder / "src", folder / "out", on_error="quarantine").path
    shard = next(out.glob("*.tfrecord"))
    data = bytearray(shard.read_bytes())
    data[40] ^= 1
    shard.write_bytes(data)
    caplog.clear()
    report = segrecord.verify(out)
    ((level, text),) = lines(caplog)
    assert level == "ERROR"
    assert text == f"verify: problems: {len(report.problems)}, first: {report.problems[0]}"


def test_a_log_names_nobody_whose_name_becomes_a_pseudonym(folder, caplog):
    put(folder / "key", bytes(range(32)))
    caplog.set_level(logging.DEBUG)
    options = {"on_error": "quarantine", "pseudonymize": folder / "key"}
    segrecord.scan(folder / "src", **options)
    segrecord.build(folder / "src", folder / "out", **options)
    assert any("png-truncated (3 findings)" in text for _, text in lines(caplog))
    assert "images/" not in caplog.text


def test_the_error_names_the_first_of_each_kind(folder):
    with pytest.raises(DataError) as raised:
        segrecord.build(folder / "src", folder / "out")
    head, *kinds = str(raised.value).splitlines()
    assert head.startswith("4 errors in the data: no shard was written; ")
    assert head == raised.value.summary
    cut_ones, empty = kinds
    image = folder / "src/a/images/2.png"
    assert cut_ones.startswith(f"  png-truncated (3 findings), first: {image}: the PNG ends")
    end = "the file is empty; fetch it again"
    assert empty == f"  empty-file: {folder}/src/b/images/1.png: {end}"


def test_an_error_of_many_kinds_has_ten_lines_of_them():
    findings = [
        Finding(
            f"code-{n}", f"k{n}", "", values={"message": "is wrong", "fix": "mend"}, level="error"
        )
        for n in range(14)
    ]
    warning = Finding(
        "dull", "k", "k.png", values={"message": "is dull", "fix": "look"}, level="warning"
    )
    error = DataError("14 errors", (warning, *findings))
    assert "dull" not in str(error)
    assert str(error).splitlines()[1] == "  code-0: k0: is wrong; mend"
    assert str(error).splitlines()[-1] == "  ... and 4 more kinds of error"
    assert len(str(error).splitlines()) == 12
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.findings) == (str(error), error.findings)
    assert str(SourceError("no images")) == "no images"


def test_key_and_path_are_both_told_where_they_differ():
    found = Finding(
        "code", "P-17", "a/1.png", values={"message": "is wrong", "fix": ""}, level="error"
    )
    assert str(DataError("1 error", (found,))) == "1 error\n  code: P-17 (a/1.png): is wrong"


def at_a_terminal(monkeypatch, handlers=()):
    """Standard error becomes a terminal; these handlers alone take what is logged.

    Called in a test's body: between fixtures and body pytest puts its own in their places.
    """
    set_environment(monkeypatch)
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setattr(logging.getLogger(), "handlers", list(handlers))
    return sys.stderr


def test_on_a_terminal_a_bar_and_the_findings_stand_on_standard_error(folder, monkeypatch, capsys):
    terminal = at_a_terminal(monkeypatch)
    out = folder / "out"
    segrecord.build(folder / "src", out, on_error="quarantine")
    segrecord.verify(out, source=folder / "src")
    shown = terminal.getvalue()
    for text in ("30 samples", "scan", "30/30", "read back", "compare", "wrong-extension"):
        assert text in shown
    assert "\u2501" in shown
    assert shown.count("png-truncated") == 1
    assert "\x1b[?25h" in shown  # the cursor is there again
    assert capsys.readouterr().out == ""


def test_who_reads_the_log_is_not_told_twice(folder, monkeypatch):
    log = io.StringIO()
    terminal = at_a_terminal(monkeypatch, [logging.StreamHandler(log)])
    segrecord.scan(folder / "src")
    assert "wrong-extension" in log.getvalue()
    assert "wrong-extension" not in terminal.getvalue()
    assert "\u2501" in terminal.getvalue()


def test_a_silent_monitor_keeps_a_terminal_quiet(folder, monkeypatch):
    terminal = at_a_terminal(monkeypatch)
    segrecord.scan(folder / "src", monitor=Silent())
    assert terminal.getvalue() == ""


def test_a_bar_ends_where_the_work_fails(folder, monkeypatch):
    terminal = at_a_terminal(monkeypatch)
    with pytest.raises(DataError):
        segrecord.build(folder / "src", folder / "out")
    assert terminal.getvalue().rindex("\x1b[?25h") > terminal.getvalue().rindex("\x1b[?25l")


PROGRAM = """
import logging, sys
import segrecord
if __name__ == "__main__":
    segrecord.build(*sys.argv[1:3], on_error="quarantine")
    assert logging.getLogger().handlers == []
    assert logging.getLogger().level == logging.WARNING
"""


def test_without_a_terminal_nothing_is_printed_and_logging_is_left_alone(folder):
    program = folder / "program.py"
    program.write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, program, folder / "src", folder / "out"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout + done.stderr == ""


def test_the_command_line_says_nothing_twice(folder):
    done = subprocess.run(
        [sys.executable, "-m", "segrecord.cli", "build", folder / "src", folder / "out",
         "--on-error", "quarantine"],
        capture_output=True,
        text=True,
        check=True,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.stdout.count("warning wrong-extension") == 1


def test_the_command_line_s_error_lists_each_kind_once(folder):
    done = subprocess.run(
        [sys.executable, "-m", "segrecord.cli", "build", folder / "src", folder / "out"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr.count("png-truncated") == 1
    assert done.stderr.count("errors in the data") == 1
