"""The viewer in a real browser, started as a user starts it: looking leads to a better dataset."""

import csv
import re
import socket
import subprocess
import sys
from contextlib import closing
from urllib.parse import urlsplit

import pyarrow as pa
import pytest
from playwright.sync_api import expect

from segrecord.format.manifest import INDEX

PER_PAGE = 60


@pytest.fixture
def opened(watch, viewers):
    """Opens the viewer of a dataset by its name, at the list or at what the hash says."""

    def opened(name, hash="", **how):  # noqa: A002 - as the browser calls it
        viewer = viewers(name)
        return watch.open(viewer.address + hash, allowed=viewer.origin, **how)

    return opened


@pytest.fixture
def index(dataset):
    """The rows of a dataset's index by its name, in their order."""
    return lambda name: rows_of(dataset(name).path)


def rows_of(folder):
    return pa.ipc.open_file(folder / INDEX).read_all().to_pylist()


def tiles(page):
    return page.get_by_role("main").get_by_role("listitem").get_by_role("link")


def tile(page, key):
    return tiles(page).filter(has=page.locator(f'[title="{key}"]'))


def expect_list(page, rows, total):
    """The list shows these rows in this order, and says how many there are."""
    many = f"{len(rows)} records" if len(rows) == total else f"{len(rows)} of {total} records"
    expect(status(page, re.compile(rf"^{many}"))).to_be_visible()
    expect_keys(page, [row["key"] for row in rows[:PER_PAGE]])


def expect_keys(page, keys):
    expect(tiles(page).locator("[title]")).to_have_text(keys)


def status(page, words):
    return page.get_by_role("status").filter(has_text=words)


def choose(page, name, value):
    page.get_by_role("combobox", name=name, exact=True).select_option(value)


def expect_record(page, key):
    expect(page.get_by_role("heading", level=2)).to_have_text(key)


# --- the list


def test_the_list_shows_every_record_with_its_picture(opened, watch, viewers, index, name):
    page, rows = opened(name), index(name)
    expect_list(page, rows, len(rows))
    pictures = tiles(page).locator("img")
    expect(pictures).to_have_count(min(len(rows), PER_PAGE))
    assert min(pictures.evaluate_all("all => all.map(one => one.naturalWidth)")) > 0
    assert {urlsplit(one).netloc for one in watch.requests} == {
        urlsplit(viewers(name).address).netloc
    }


def test_the_next_page_goes_on_where_the_first_ends(opened, index):
    page, rows = opened("demo"), index("demo")
    expect_list(page, rows, len(rows))
    page.get_by_role("button", name="Next").click()
    expect_keys(page, [row["key"] for row in rows[PER_PAGE:]])
    page.go_back()
    expect_list(page, rows, len(rows))


@pytest.mark.parametrize(
    ("control", "value", "kept"),
    [
        ("Split", "val", lambda row: row["split"] == "val"),
        ("Class", "1", lambda row: row["label"] == 1),
        ("Mask", "0", lambda row: not row["has_mask"]),
        ("Mask", "1", lambda row: row["has_mask"]),
    ],
)
def test_the_list_is_filtered(opened, index, control, value, kept):
    page, rows = opened("demo"), index("demo")
    choose(page, control, value)
    wanted = [row for row in rows if kept(row)]
    assert 0 < len(wanted) < len(rows)
    expect_list(page, wanted, len(rows))
    page.get_by_role("button", name="Reset").click()
    expect_list(page, rows, len(rows))


def test_the_list_is_filtered_by_finding(opened, index):
    page, rows = opened("spoilt"), index("spoilt")
    choose(page, "Finding", "duplicate")
    expect_list(page, [row for row in rows if row["key"] == "images/TWICE"], len(rows))
    choose(page, "Finding", "empty-mask")
    expect_list(page, [row for row in rows if row["key"] == "images/DEMO_0000002"], len(rows))
    choose(page, "Mask", "0")
    expect(status(page, "No record is like that.")).to_be_visible()


@pytest.mark.parametrize(
    ("order", "measure"),
    [
        ("key", lambda row: row["key"]),
        ("coverage", lambda row: row["mask_pixels"][1] / row["height"] / row["width"]),
        ("size", lambda row: row["height"] * row["width"]),
    ],
)
def test_the_list_is_sorted_both_ways(opened, index, order, measure):
    page, rows = opened("demo"), index("demo")
    masked = sorted((row for row in rows if row["has_mask"]), key=measure)
    choose(page, "Mask", "1")
    choose(page, "Order", f"{order} asc")
    expect_list(page, masked, len(rows))
    choose(page, "Order", f"{order} desc")
    expect_list(page, masked[::-1], len(rows))


def test_a_key_is_searched(opened, index, name):
    page, rows = opened(name), index(name)
    key = rows[-1]["key"]
    expect_list(page, rows, len(rows))
    page.keyboard.press("/")
    page.keyboard.type(key)
    expect_list(page, [row for row in rows if key.lower() in row["key"].lower()], len(rows))


# --- a record


def test_a_record_opens_with_image_mask_overlay_and_features(opened, index, name):
    row = next(row for row in index(name) if row["has_mask"])
    page = opened(name)
    tile(page, row["key"]).click()
    expect_record(page, row["key"])
    for alt in (f"Image of {row['key']} with its mask painted over", f"Mask of {row['key']}"):
        seen = page.get_by_role("img", name=alt, exact=True)
        expect(seen).to_be_visible()
        assert seen.evaluate("one => one.decode().then(() => one.naturalWidth)") == row["width"]
    features = page.get_by_role("region", name="Features, as they are stored")
    expect(features.get_by_role("row").filter(has_text="image/width")).to_contain_text(
        f"{row['width']}"
    )
    expect(features).to_contain_text("image/segmentation/class/encoded")


def test_the_slider_and_the_outline_change_the_overlay(opened, index, name):
    row = next(row for row in index(name) if row["has_mask"] and any(row["mask_pixels"][1:]))
    page = opened(name, f"#record={row['key']}")
    picture = page.locator("figure").filter(has_text="Image and mask").locator(".stack")
    slider, seen = page.get_by_role("slider", name="Mask opacity"), set()
    for key, opacity in (("Home", "0"), ("ArrowRight", "0.05"), ("End", "1")):
        slider.press(key)
        expect(picture.locator(".fill")).to_have_css("opacity", opacity)
        picture.locator("img").evaluate_all("all => Promise.all(all.map(one => one.decode()))")
        seen.add(picture.screenshot())
    page.get_by_role("checkbox", name="Outline").uncheck()
    expect(picture.locator(".outline")).to_be_hidden()
    slider.press("Home")
    seen.add(picture.screenshot())
    assert len(seen) == 4


def test_the_picture_is_enlarged(opened, index):
    page = opened("demo", f"#record={index('demo')[0]['key']}")
    button = page.get_by_role("button", name="Enlarge: Mask")
    seen = page.locator("figure").filter(has=button).locator(".stack")
    small = seen.bounding_box()["width"]
    button.press("Enter")
    expect(button).to_have_attribute("aria-pressed", "true")
    assert seen.bounding_box()["width"] > 1.5 * small


def test_arrow_keys_lead_from_record_to_record_and_escape_back_to_the_list(opened, index):
    page, rows = opened("demo"), index("demo")
    for key in ("ArrowRight", "ArrowRight", "Enter"):
        expect(tiles(page)).to_have_count(PER_PAGE)
        page.keyboard.press(key)
    expect_record(page, rows[1]["key"])
    page.keyboard.press("ArrowRight")
    expect_record(page, rows[2]["key"])
    for number in (1, 0):
        page.keyboard.press("ArrowLeft")
        expect_record(page, rows[number]["key"])
    page.keyboard.press("Escape")
    expect_list(page, rows, len(rows))
    expect(tiles(page).first).to_be_focused()


def test_arrow_keys_stay_among_what_the_filters_let_through(opened, index):
    rows = [row for row in index("demo") if row["split"] == "val"]
    page = opened("demo", f"#split=val&record={rows[0]['key']}")
    expect(status(page, f"1 of {len(rows)}")).to_be_visible()
    for row in rows[1:]:
        page.keyboard.press("ArrowRight")
        expect_record(page, row["key"])
    expect(page.get_by_role("link", name="Next")).to_have_count(0)


def test_a_link_leads_to_this_very_record_in_another_browser(opened, watch, viewers, index, name):
    key = index(name)[-1]["key"]
    page = opened(name)
    page.get_by_role("searchbox").fill(key)
    expect(tiles(page)).to_have_count(1)
    tile(page, key).click()
    expect_record(page, key)
    link = page.get_by_role("link", name="Link to this record").evaluate("one => one.href")
    other = watch.open(link, allowed=viewers(name).origin)
    expect_record(other, key)
    assert other.title().startswith(key)


def test_the_source_file_is_shown_beside_the_record(watch, view, dataset, tmp_path):
    made = dataset("demo")
    options = ("--source", made.source, "--metadata", made.options["metadata"])
    viewer = view(made.path, tmp_path / "marks.csv", *options)
    key = rows_of(made.path)[0]["key"]
    page = watch.open(f"{viewer.address}#record={key}", allowed=viewer.origin)
    expect(page.get_by_role("img", name=f"Source file of {key}")).to_be_visible()


# --- marks


def command_of(made, out, *more):
    """The command line of this build, once more."""
    flags = [(f"--{name.replace('_', '-')}", str(value)) for name, value in made.options.items()]
    words = [word for flag in flags for word in flag]
    return [sys.executable, "-m", "segrecord.cli", "build", str(made.source), str(out), *words,
            *more]  # fmt: skip


def test_what_is_marked_wrong_is_left_out_of_the_next_dataset(watch, view, dataset, tmp_path, name):
    made, marks, out = dataset(name), tmp_path / "marks.csv", tmp_path / "next"
    good, wrong, *others = [row["key"] for row in rows_of(made.path)]
    viewer = view(made.path, marks)
    page = watch.open(f"{viewer.address}#record={good}", allowed=viewer.origin)
    page.get_by_role("button", name="Good").click()
    expect(status(page, "Kept in")).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect_record(page, wrong)
    page.keyboard.press("w")
    expect(page.get_by_role("button", name="Wrong")).to_have_attribute("aria-pressed", "true")
    expect(status(page, "Kept in")).to_be_visible()
    page.get_by_role("textbox", name="Note").fill('border, "too wide"')
    with page.expect_response("**/marks"):
        page.keyboard.press("Tab")
    expect(status(page, "Kept in")).to_be_visible()

    with marks.open(newline="", encoding="utf-8") as file:
        kept = list(csv.reader(file))
    assert kept == [
        ["key", "mark", "note"],
        [good, "good", ""],
        [wrong, "wrong", 'border, "too wide"'],
    ]
    quick = ("--no-report", "--checks", "basic", "--workers", "1")
    command = command_of(made, out, "--exclude", str(marks), *quick)
    subprocess.run(command, check=True, capture_output=True)
    assert {row["key"] for row in rows_of(out)} == {good, *others}

    after = view(out, tmp_path / "other.csv")
    page = watch.open(after.address, allowed=after.origin)
    page.get_by_role("searchbox").fill(good)
    expect_keys(page, [good])
    page.get_by_role("searchbox").fill(wrong)
    expect(status(page, "No record is like that.")).to_be_visible()


@pytest.fixture
def noting(watch, view, dataset, tmp_path):
    """The page of a record that is marked as wrong, the records' keys, and the file of marks."""
    folder, marks = dataset("demo").path, tmp_path / "marks.csv"
    first, second = (row["key"] for row in rows_of(folder)[:2])
    marks.write_text(f"key,mark,note\n{first},wrong,\n{second},wrong,\n")
    viewer = view(folder, marks)
    page = watch.open(f"{viewer.address}#record={first}", allowed=viewer.origin)
    expect_record(page, first)
    return page, (first, second), marks


def notes_of(marks):
    with marks.open(newline="", encoding="utf-8") as file:
        return {row["key"]: row["note"] for row in csv.DictReader(file)}


def test_a_note_is_kept_while_it_is_typed_without_leaving_the_field(noting):
    page, (first, second), marks = noting
    note = page.get_by_role("textbox", name="Note")
    note.press_sequentially("blurred")
    expect(status(page, "Kept in")).to_be_visible()
    expect(note).to_be_focused()
    assert notes_of(marks) == {first: "blurred", second: ""}
    note.press_sequentially(" edge")
    expect(status(page, "Kept in")).to_have_count(0)
    expect(status(page, "Kept in")).to_be_visible()
    expect(note).to_have_value("blurred edge")
    assert notes_of(marks) == {first: "blurred edge", second: ""}


def test_a_note_is_kept_when_the_page_is_left_in_the_middle_of_a_word(noting):
    page, (first, second), marks = noting
    page.get_by_role("textbox", name="Note").press_sequentially("half a wo")
    page.goto("about:blank")
    for _ in range(50):
        if notes_of(marks)[first]:
            break
        page.wait_for_timeout(100)
    assert notes_of(marks) == {first: "half a wo", second: ""}


def test_a_note_stays_with_its_record_when_another_is_shown_in_the_middle_of_a_word(noting):
    page, (first, second), marks = noting
    note = page.get_by_role("textbox", name="Note")
    note.press_sequentially("of the first")
    with page.expect_response("**/marks"):
        page.evaluate("key => { location.hash = new URLSearchParams({record: key}) }", second)
        expect_record(page, second)
    expect(note).to_have_value("")
    note.press_sequentially("of the second")
    expect(status(page, "Kept in")).to_be_visible()
    assert notes_of(marks) == {first: "of the first", second: "of the second"}


def test_a_size_says_which_of_its_numbers_is_the_height(noting, index):
    page, (first, _), _ = noting
    row = next(row for row in index("demo") if row["key"] == first)
    size = f"{row['height']} x {row['width']} pixels (height x width)"
    expect(page.get_by_text(size)).to_be_visible()


def test_marks_are_there_after_a_restart_can_be_filtered_and_taken_away(
    watch, view, dataset, tmp_path
):
    folder, marks = dataset("demo").path, tmp_path / "marks.csv"
    unsure, wrong = (row["key"] for row in rows_of(folder)[:2])
    marks.write_text(f"key,mark,note\n{unsure},unsure,hm\n{wrong},wrong,\n")
    viewer = view(folder, marks)
    page = watch.open(f"{viewer.address}#record={unsure}", allowed=viewer.origin)
    expect(page.get_by_role("textbox", name="Note")).to_have_value("hm")
    page.get_by_role("button", name="Unsure").click()
    expect(status(page, "Kept in")).to_be_visible()
    page.get_by_role("link", name="Back to the list").click()
    choose(page, "Mark", "wrong")
    expect_keys(page, [wrong])
    assert marks.read_text() == f"key,mark,note\n{wrong},wrong,\n"
    page.close()  # else the server may end while a picture is loaded
    assert viewer.end() == 0


# --- who is answered


def said(viewer, text):
    """Status and all bytes of the answer to these raw bytes."""
    with closing(socket.create_connection(("127.0.0.1", urlsplit(viewer.address).port))) as line:
        line.settimeout(10)
        line.sendall(text.encode())
        answer = b"".join(iter(lambda: line.recv(65_536), b""))
    return int(answer.split(b" ", 2)[1]), answer


def asked(viewer, target="/", method="GET", host=None, *headers):
    """A request as raw text, so that no client mends what is odd about it."""
    host = urlsplit(viewer.address).netloc if host is None else host
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", "Connection: close", *headers]
    return said(viewer, "\r\n".join([*lines, "", ""]))


def test_a_plain_request_is_answered_and_may_not_be_kept_or_framed(viewers):
    status, answer = asked(viewers("demo"))
    assert status == 200
    for header in (b"cache-control: no-store", b"frame-ancestors 'none'", b"nosniff"):
        assert header in answer


@pytest.mark.parametrize(
    "host",
    ["rebound.test", "rebound.test:PORT", "127.0.0.1", "127.0.0.1.rebound.test:PORT",
     "localhost:1", "[::1]:PORT", "0.0.0.0:PORT", "127.0.0.1:PORT.", ""],
)  # fmt: skip
def test_another_host_is_refused(viewers, host):
    viewer = viewers("demo")
    given = host.replace("PORT", str(urlsplit(viewer.address).port))
    status, answer = asked(viewer, "/api/dataset", "GET", given)
    assert status == 400
    assert b"train" not in answer


@pytest.mark.parametrize(
    "target",
    ["/dataset.json", "/records.arrow", "/findings.csv", "/train-00000-of-00010.tfrecord",
     "/static/view.js", "/../view.js", "/../../../../etc/passwd", "//etc/passwd",
     "/%2e%2e/%2e%2e/etc/passwd", "/image/..%2f..%2fetc%2fpasswd", "/image/-1", "/image/72",
     "/source/0", "/source/%2fetc%2fpasswd", "/marks/", "/docs", "/api"],
)  # fmt: skip
def test_other_paths_are_refused(viewers, target):
    status, answer = asked(viewers("demo"), target)
    assert status == 404
    assert b"root:" not in answer


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"])
@pytest.mark.parametrize("target", ["/", "/marks", "/api/records"])
def test_other_methods_are_refused(viewers, method, target):
    assert asked(viewers("demo"), target, method)[0] == 405


@pytest.mark.parametrize(
    "text",
    [
        "GET http://rebound.test/ HTTP/1.1\r\nHost: rebound.test\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.1\r\nConnection: close\r\n\r\n",
        "CONNECT rebound.test:443 HTTP/1.1\r\nHost: rebound.test:443\r\nConnection: close\r\n\r\n",
        "\x16\x03\x01 this is TLS\r\n\r\n",
    ],
    ids=["as a proxy", "no Host", "CONNECT", "TLS"],
)
def test_what_is_no_request_of_ours_is_refused(viewers, text):
    assert said(viewers("demo"), text)[0] in (400, 404, 405)


def test_a_second_host_header_is_refused(viewers):
    assert asked(viewers("demo"), "/", "GET", None, "Host: rebound.test")[0] == 400


def test_only_this_machine_is_listened_to(viewers):
    port = urlsplit(viewers("demo").address).port
    with pytest.raises(OSError, match=r"refused|unreachable|timed out"):
        socket.create_connection(("127.0.0.2", port), timeout=2)


def test_a_name_that_was_turned_to_this_machine_gets_nothing(watch, viewers):
    viewer = viewers("demo")
    origin = f"http://rebound.test:{urlsplit(viewer.address).port}"
    page = watch.open(origin, allowed=origin)
    assert page.get_by_text("the Host must be 127.0.0.1").is_visible()
    watch.faults.clear()  # the browser logs the refusal


FOREIGN = """async (origin) => {
  const token = { "Content-Type": "application/json", "X-Segrecord-Token": "guessed" };
  const body = JSON.stringify({ key: "images/DEMO_0000000", mark: "wrong", note: "" });
  const tried = [
    fetch(`${origin}/marks`, { method: "POST", mode: "no-cors", body }),
    fetch(`${origin}/marks`, { method: "POST", headers: token, body }),
    fetch(`${origin}/api/dataset`).then((answer) => answer.text()),
  ];
  const picture = new Image();
  tried.push(new Promise((good, bad) => {
    Object.assign(picture, { onload: good, onerror: bad, src: `${origin}/image/0` });
  }));
  return (await Promise.allSettled(tried)).map((one) => one.status);
}"""


def test_a_page_of_another_site_can_neither_read_nor_mark(watch, view, dataset, tmp_path):
    marks, site = tmp_path / "marks.csv", tmp_path / "foreign.html"
    site.write_text('<!doctype html><title>foreign</title><link rel="icon" href="data:,">')
    viewer = view(dataset("demo").path, marks)
    page = watch.open(site.as_uri(), allowed=viewer.origin)
    assert page.evaluate(FOREIGN, viewer.origin) == ["rejected"] * 4
    assert f"{viewer.origin}/marks" in watch.requests  # it was sent, and has changed nothing
    assert not marks.exists()
    watch.faults.clear()  # the browser logs what it refused
