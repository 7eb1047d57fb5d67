"""The command line: exit codes, errors in a line or two, what stands on which stream."""

import csv
import errno
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segrecord import cli
from segrecord.options import OPTIONS
from segrecord.write.staging import Stage

if sys.platform != "win32":
    import pty

COMMAND = [sys.executable, "-m", "segrecord.cli"]


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Runs a command line in this process; gives exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["segrecord", *map(str, words)])
        code = 0
        try:
            cli.main()
        except SystemExit as exited:
            code = exited.code or 0
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return code, out, err

    return run


def draw(path, number=0, size=(16, 24)):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(number).integers(0, 256, (*size, 3), np.uint8)
    Image.fromarray(pixels).save(path)


def draw_mask(path, values=(0, 255), size=(16, 24)):
    path.parent.mkdir(parents=True, exist_ok=True)
    plane = np.full(size, values[0], np.uint8)
    for number, value in enumerate(values[1:], 1):
        plane[number * 3 : number * 3 + 2, 3:9] = value
    Image.fromarray(plane).save(path)


@pytest.fixture
def source(tmp_path):
    """Four sound pairs."""
    folder = tmp_path / "set"
    for number in range(4):
        draw(folder / f"images/{number}.png", number)
        draw_mask(folder / f"masks/{number}.png")
    return folder


def build(run, source, *options):
    return run("build", source, source.parent / "out", "--workers", 1, *options)


# Errors: each in its words, none as a traceback.


def flip_a_bit(folder):
    path = folder / "images/1.png"
    data = bytearray(path.read_bytes())
    data[-30] ^= 1
    path.write_bytes(data)


def cut_a_jpeg(folder):
    draw(folder / "images/9.jpg")
    data = (folder / "images/9.jpg").read_bytes()
    (folder / "images/9.jpg").write_bytes(data[: len(data) // 2])


def zero_a_sector(folder):
    draw(folder / "images/9.jpg", size=(64, 64))
    data = bytearray((folder / "images/9.jpg").read_bytes())
    data[1024:1536] = bytes(512)
    (folder / "images/9.jpg").write_bytes(data)


def empty_a_file(folder):
    (folder / "images/1.png").write_bytes(b"")


def add_a_mask(folder):
    draw_mask(folder / "masks/other.png")


def add_an_equal_key(folder):
    draw(folder / "images/1.jpg")


def add_127(folder):
    draw_mask(folder / "masks/1.png", (0, 127, 255), (64, 64))
    draw(folder / "images/1.png", size=(64, 64))


def shrink_a_mask(folder):
    draw_mask(folder / "masks/1.png", size=(8, 12))


def crop_a_mask(folder):
    draw_mask(folder / "masks/1.png", size=(16, 16))


@pytest.mark.parametrize(
    ("damage", "options", "said"),
    [
        (flip_a_bit, [], ["images/1.png", "CRC-32", "-> get a sound copy"]),
        (cut_a_jpeg, [], ["images/9.jpg", "without an EOI", "-> get a sound copy"]),
        (zero_a_sector, [], ["images/9.jpg", "-> get a sound copy"]),
        (empty_a_file, [], ["images/1.png", "the file is empty", "-> fetch"]),
        (add_a_mask, [], ["masks/other.png", "no image has the name", "-> add its image"]),
        (add_an_equal_key, [], ["images/1.jpg", "images/1.png", "key images/1", "-> rename"]),
        (add_127, [], ["masks/1.png", "127", "0=background,127=ignore,255=foreground"]),
        (shrink_a_mask, [], ["masks/1.png", "8x12", "16x24", "-> pass --mask-fit resize"]),
        (crop_a_mask, [], ["masks/1.png", "16x16", "-> get the mask"]),
        (crop_a_mask, ["--mask-fit", "resize"], ["masks/1.png", "--on-error quarantine"]),
        (lambda _: None, ["--mask-map", "0=background"], ["masks/0.png", "255", "--mask-map"]),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_bad_data_ends_in_code_1_and_names_file_rule_and_way_out(
    run, source, damage, options, said
):
    damage(source)
    code, _, err = build(run, source, *options)
    assert code == 1
    for words in said:
        assert words in err
    last = r"^error: \d+ errors? in the data: no shard was written; .*out.findings\.csv"
    assert re.search(last, err, re.MULTILINE)
    assert not (source.parent / "out/dataset.json").exists()


def test_bad_samples_can_be_left_out_and_the_error_says_so(run, source):
    flip_a_bit(source)
    _, _, err = build(run, source)
    assert "or leave the bad sample out: segrecord build ... --on-error quarantine" in err
    code, out, _ = build(run, source, "--on-error", "quarantine")
    assert code == 0
    assert "left out: 1 (quarantine.csv says why)" in out


def test_leaving_out_is_not_offered_where_nothing_would_be_left(run, source):
    code, _, err = build(run, source, "--mask-map", "0=background")
    assert code == 1
    assert "quarantine" not in err
    code, _, err = build(run, source, "--mask-map", "0=background", "--on-error", "quarantine")
    assert code == 1
    assert "nothing is left to write" in err


def test_a_wrong_extension_is_a_warning_that_names_the_file(run, source):
    (source / "images/1.png").rename(source / "images/1.jpg")
    code, out, err = build(run, source)
    assert (code, err) == (0, "")
    assert "warning wrong-extension" in out
    assert "images/1.jpg: the file holds png" in out


def test_a_0_255_mask_among_ids_is_a_warning_that_names_the_file(run, source):
    for number in (1, 2, 3):
        draw_mask(source / f"masks/{number}.png", (0, 1, 2))
    code, out, _ = build(run, source)
    assert code == 0
    assert "warning mask-ignore-only: 1 finding" in out
    assert "masks/0.png: holds only 0 and 255" in out


def test_a_few_masks_of_ids_among_0_255_masks_are_an_error_that_asks_for_a_map(run, source):
    draw_mask(source / "masks/1.png", (0, 1, 2))
    code, _, err = build(run, source)
    assert code == 1
    assert "masks/1.png: 2 mask values (1, 2), beside 3 masks that hold only 0 and 255" in err
    assert "--mask-map" in err


def test_a_row_without_its_file_is_an_error_with_its_number(run, source):
    rows = [["image", "mask"], ["images/0.png", "masks/0.png"], ["images/7.png", ""]]
    with (source / "list.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    code, _, err = run("build", source / "list.csv", source.parent / "out")
    assert code == 1
    assert "list.csv row 3: image images/7.png does not exist" in err


def test_a_class_that_the_mapping_lacks_is_an_error_with_its_count(run, tmp_path):
    for number in range(3):
        draw(tmp_path / f"set/cat/{number}.png", number)
        draw(tmp_path / f"set/dog, big/{number}.png", number + 3)
    mapping = tmp_path / "mapping.json"
    mapping.write_text('{"cat": 0}')
    code, _, err = build(run, tmp_path / "set", "--classes", mapping)
    assert code == 1
    assert "the mapping lacks 'dog, big' (3 samples)" in err
    mapping.write_text('{"cat": 0, "dog, big": 1}')
    code, out, _ = build(run, tmp_path / "set", "--classes", mapping)
    assert code == 0
    assert "(cat 3; dog, big 3)" in out


def one_error(code, out, err, wanted):
    """The run has failed with one line, or two, on standard error and nothing else there."""
    assert code == wanted
    assert err.startswith("error: ")
    assert 1 <= len(err.splitlines()) <= 2
    assert not re.search(r"^error", out, re.MULTILINE)
    return err


def test_an_output_inside_the_source_is_refused(run, source):
    err = one_error(*run("build", source, source / "out"), 2)
    assert f"{source / 'out'} lies inside the source {source}" in err
    assert "choose a folder outside" in err


def test_an_output_that_cannot_be_made_is_one_line(run, source):
    (source.parent / "file").write_text("x")
    err = one_error(*run("build", source, source.parent / "file/out"), 1)
    assert "cannot be written" in err


def test_an_output_that_holds_something_is_refused_and_left_alone(run, source):
    (source.parent / "out").mkdir()
    (source.parent / "out/thesis.tex").write_text("x")
    err = one_error(*build(run, source), 1)
    assert "is not empty (thesis.tex)" in err
    assert (source.parent / "out/thesis.tex").read_text() == "x"


def test_a_finished_dataset_is_replaced_only_when_asked(run, source):
    assert build(run, source)[0] == 0
    assert "--overwrite" in one_error(*build(run, source), 1)
    assert build(run, source, "--overwrite")[0] == 0


def test_a_full_disk_is_one_line_that_says_how_to_go_on(run, source, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(Stage, "write", full)
        err = one_error(*build(run, source), 1)
    assert "No space left on device" in err
    assert "run the same command again" in err
    assert build(run, source)[0] == 0


@pytest.mark.parametrize("flag", ["--findings", "--facts", "--write-samples"])
def test_a_file_that_cannot_be_written_is_one_line_that_names_it(run, source, flag):
    place = source / "no/such/folder/x"
    assert str(place) in one_error(*run("scan", source, flag, place), 1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["build"], "missing argument 'SOURCE'"),
        (["build", "a", "b", "--mask-fitt", "x"], "'--mask-fit'"),
        (["build", "a", "b", "--mask-fit", "x"], "'error', 'resize', 'resize-any'"),
        (["build", "a", "b", "--shards", "0"], "shards must be at least 1, got 0"),
        (["build", "a", "b", "--mask-map", "0"], "mask-map must read like a=b,c=d, got '0'"),
        (["build", "a", "b", "--split", "train=2"], "the share of split train"),
        (["demo", "--count", "0"], "0 is not in the range"),
        (["biuld", "a", "b"], "no such command 'biuld'"),
        (["show", "a"], "missing argument 'RECORD'"),
        (
            ["build", "a", "b", "--seed", "1", "--card", "x.toml", "--card", "y.toml"],
            "--card takes one value and is given 2: x.toml and y.toml; leave one out",
        ),
    ],
)
def test_wrong_usage_ends_in_code_2_with_rule_and_value(run, words, said):
    assert said in one_error(*run(*words), 2)


@pytest.mark.parametrize("words", [["verify", "x"], ["stats", "x"], ["show", "x", "0"]])
def test_a_folder_without_a_dataset_is_named(run, words):
    assert "x holds no finished dataset" in one_error(*run(*words), 1)


def test_a_source_that_does_not_exist_is_named(run):
    assert "nowhere does not exist" in one_error(*run("build", "nowhere", "out"), 1)


def test_without_words_the_help_is_shown_and_the_code_is_2(run):
    code, out, err = run()
    assert (code, out) == (2, "")
    assert err.startswith("Usage: segrecord")


# Help.


def test_help_of_build_lists_every_option_under_its_stage(run):
    code, out, _ = run("build", "--help")
    assert code == 0
    for option in OPTIONS.values():
        section = re.search(rf"^{option.stage.title()}:\n((?:  .*\n?)+)", out, re.MULTILINE)[1]
        assert re.search(rf"^  --{option.flag}\b", section, re.MULTILINE)


def test_the_list_of_commands_cuts_no_sentence_short(run):
    _, out, _ = run("--help")
    assert "..." not in out.partition("Commands:")[2]


# Standard output that machines read.


def test_json_is_the_only_thing_on_standard_output(run, source):
    assert build(run, source)[0] == 0
    out = source.parent / "out"
    flip_a_bit(source)
    for words, wanted in [
        (["scan", source], 1),
        (["verify", out], 0),
        (["verify", out, "--source", source], 1),
        (["stats", out], 0),
    ]:
        code, text, err = run(*words, "--json")
        assert (code, err) == (wanted, "")
        assert json.loads(text)


def test_scan_as_json_holds_the_findings_and_how_the_source_was_understood(run, source):
    flip_a_bit(source)
    _, text, _ = run("scan", source, "--json")
    found = json.loads(text)
    assert found["samples"] == 4
    assert found["reads_as"] == "paired images/X with masks/X.png"
    errors = [finding["code"] for finding in found["findings"] if finding["level"] == "error"]
    assert errors == ["png-crc"]
    assert set(found["findings"][0]) == {
        *("level", "code", "key", "path", "related", "values", "message", "fix")
    }


def test_verify_as_json_says_where_a_dataset_is_damaged(run, source):
    build(run, source, "--shards", 1)
    shard = next((source.parent / "out").glob("*.tfrecord"))
    data = bytearray(shard.read_bytes())
    data[100] ^= 1
    shard.write_bytes(data)
    code, text, _ = run("verify", source.parent / "out", "--json")
    found = json.loads(text)
    assert code == 1
    assert found["sound"] is False
    assert {"shard", "record", "offset", "rule"} == set(found["problems"][0])
    assert any(problem["record"] == 0 for problem in found["problems"])


# The list of samples, out and in again.


def shards(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*.tfrecord")}


def test_the_samples_that_scan_writes_build_the_same_records(run, tmp_path, monkeypatch):
    for number in range(3):
        for place, name in enumerate(("cat", "dög, [big]")):
            draw(tmp_path / f"set/{name}/images/{number}.png", 1 + number + 10 * place)
            draw_mask(tmp_path / f"set/{name}/masks/{number}.png")
    draw(tmp_path / "set/cat/images/bare.png")
    monkeypatch.chdir(tmp_path)
    code, out, _ = run("scan", "set", "--write-samples", "pairs.csv")
    assert code == 0
    assert "next: segrecord build pairs.csv --classes class_mapping.json OUT" in out
    assert json.loads((tmp_path / "class_mapping.json").read_bytes()) == {"cat": 0, "dög, [big]": 1}
    assert run("build", "set", "one")[0] == 0
    assert run("build", "pairs.csv", "two", "--classes", "class_mapping.json")[0] == 0
    assert shards(tmp_path / "one") == shards(tmp_path / "two")
    assert len(shards(tmp_path / "one")) == 7


def test_another_mapping_that_lies_there_is_not_overwritten(run, tmp_path):
    for name in ("cat", "dog"):
        draw(tmp_path / f"set/{name}/1.png")
        draw(tmp_path / f"set/{name}/2.png")
    (tmp_path / "class_mapping.json").write_text('{"dog": 0, "cat": 1}')
    words = ["scan", tmp_path / "set", "--write-samples", tmp_path / "pairs.csv"]
    code, _, err = run(*words)
    assert code == 1
    assert "class_mapping.json holds another mapping" in err
    assert (tmp_path / "class_mapping.json").read_text() == '{"dog": 0, "cat": 1}'


def test_show_writes_its_picture_beside_nothing_of_the_users(run, source, monkeypatch):
    build(run, source)
    before = (source / "images/0.png").read_bytes()
    monkeypatch.chdir(source / "images")
    code, out, _ = run("show", source.parent / "out", "images/0")
    assert code == 0
    assert out.endswith("picture: 0.overlay.png\n")
    assert (source / "images/0.png").read_bytes() == before
    with Image.open("0.overlay.png") as picture:
        assert picture.format == "PNG"


# Terminals.


def test_elsewhere_than_on_a_terminal_there_are_plain_lines(source):
    command = [*COMMAND, "build", source, source.parent / "out"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert "\x1b" not in done.stdout
    assert "\r" not in done.stdout
    for line in ("scan: 4 samples", "write: 4 shards", "read back: 4 shards"):
        assert line in done.stdout.splitlines()


def on_a_terminal(words, **environment):
    """What a command line writes to a terminal."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100", **environment}
    with subprocess.Popen(
        [*COMMAND, *words], stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    ) as process:
        os.close(theirs)
        written = b""
        while True:
            try:
                part = os.read(ours, 1 << 16)
            except OSError:  # Linux says so that the other end is closed
                break
            if not part:
                break
            written += part
    os.close(ours)
    assert process.returncode == 0
    return written.decode()


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo terminal")
def test_on_a_terminal_there_are_a_bar_and_colours_unless_unwanted(source):
    colour = re.compile(r"\x1b\[[0-9;]*3[0-9]m")
    words = ["build", source, source.parent / "out"]
    bright = on_a_terminal(words)
    assert "━" in bright
    assert "4/4" in bright
    assert colour.search(bright)
    plain = on_a_terminal([*words, "--overwrite"], NO_COLOR="1")
    assert "━" in plain
    assert not colour.search(plain)


# Ctrl-C.


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_an_interrupted_build_ends_with_130_and_a_second_run_goes_on(run, tmp_path):
    for number in range(40):
        draw(tmp_path / f"set/{number}.png", number, (300, 300))
    # Resizing keeps the worker busy for long enough to be interrupted at it.
    words = ["build", tmp_path / "set", tmp_path / "out", "--size", "500x500", "--workers", "1"]
    with subprocess.Popen(
        [*COMMAND, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        for line in process.stdout:
            if line.startswith("write:"):
                process.send_signal(signal.SIGINT)
                break
        _, err = process.communicate()
    assert process.returncode == cli.INTERRUPTED == 130
    assert err.strip() == "interrupted; run the same command again to continue"
    assert not (tmp_path / "out/dataset.json").exists()
    assert run(*words)[0] == 0
    assert run("verify", tmp_path / "out", "--source", tmp_path / "set")[0] == 0


def test_the_module_is_the_command():
    script = Path(sys.executable).with_name("segrecord")
    if not script.exists():
        pytest.skip("the command is not installed beside this Python")
    outputs = [
        subprocess.run([*command, "--version"], capture_output=True, text=True, check=True).stdout
        for command in ([script], COMMAND)
    ]
    assert re.search(r"version \d+\.\d+\.\d+$", outputs[0].strip())
    assert outputs[0].split()[-1] == outputs[1].split()[-1]


def test_a_fault_of_segrecord_is_two_lines_that_name_the_file_with_the_traceback(
    run, source, monkeypatch
):
    def faulty(*_arguments, **_options):
        raise RuntimeError("no\nsuch luck")

    monkeypatch.setattr("segrecord.pipeline.build", faulty)
    code, out, err = run("build", source, source.parent / "out")
    assert (code, out) == (1, "")
    first, second = err.splitlines()
    assert first == "error: a fault in segrecord itself: RuntimeError: no such luck"
    named = Path(re.search(r"with (\S+);", second)[1])
    assert "raise RuntimeError" in named.read_text()
    named.unlink()


def test_a_reader_that_closes_the_pipe_early_is_no_error(source, tmp_path):
    command = [*COMMAND, "scan", str(source), "--json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path
    ) as running:
        running.stdout.close()
        assert running.stderr.read() == b""
