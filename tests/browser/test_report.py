"""The report in a real browser: it says what it must, works by mouse and keyboard, asks nobody."""

import re
import shutil
import subprocess
import sys

import pytest
from playwright.sync_api import expect

SECTIONS = [
    "What was built",
    "Findings",
    "Pictures",
    "Duplicates and near duplicates",
    "Classes",
    "Measures",
    "What was not checked",
]
"""In the order of issue 5, after the verdict."""

OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
GROUND = "getComputedStyle(document.body).backgroundColor"
LOUD = "[...document.querySelectorAll('details:not([open], .quiet)')].length"


@pytest.fixture
def report(watch, dataset):
    """Opens the report of a dataset by its name, as a file."""

    def report(name, **how):
        return watch.open((dataset(name).path / "report.html").as_uri(), **how)

    return report


def section(page, heading):
    return page.locator("section", has=page.get_by_role("heading", name=heading, exact=True))


def samples(page):
    """The buttons that enlarge a sample, of the grid."""
    return section(page, "Pictures").get_by_role("button", name=re.compile("^Enlarge "))


# --- what it says


def test_the_verdict_comes_first_and_the_sections_in_the_order_of_the_issue(report, name):
    page = report(name)
    first = page.locator("main").locator("h1, h2").first
    assert re.fullmatch(r"Ready to train(, but look at \d+ things?)?", first.inner_text())
    headings = page.locator("main section:not(.verdict) h2").all_inner_texts()
    assert headings == SECTIONS
    expect(page.locator("main").get_by_text("Patient images.")).to_be_visible()


def test_opening_it_asks_for_the_file_alone(report, watch, dataset, name):
    page = report(name)
    page.mouse.wheel(0, 100_000)
    page.wait_for_load_state("networkidle")
    pictures = page.locator("main img").evaluate_all("all => all.map(one => one.naturalWidth)")
    assert pictures
    assert min(pictures) > 0
    assert watch.requests == [(dataset(name).path / "report.html").as_uri()]


def test_links_lead_to_parts_of_the_page_and_a_finding_named_above_is_opened_below(report):
    page = report("spoilt")
    for link in page.get_by_role("navigation").get_by_role("link").all():
        assert page.locator(link.get_attribute("href")).count() == 1
    page.locator(".verdict").get_by_role("link", name="duplicate").click()
    expect(section(page, "Findings").get_by_text("images/TWICE.jpg")).to_be_visible()


def test_charts_are_named_drawings_with_axes(report, name):
    page = report(name)
    charts = page.get_by_role("img").and_(page.locator("svg")).all()
    assert len(charts) >= 5
    for chart in charts:
        assert chart.locator("> title").text_content()
        assert chart.locator("> desc").text_content()
    for heading in ("Mask coverage", "Intensity"):
        drawn = page.locator("figure", has=page.get_by_text(heading, exact=True)).locator("svg")
        assert len(drawn.first.locator("text").all()) >= 6


def test_without_script_all_of_it_can_be_read(report):
    page = report("spoilt", script=False)
    expect(page.get_by_role("heading", name=re.compile("fix first|Ready to train"))).to_be_visible()
    assert page.get_by_role("slider").count() == 0
    page.get_by_text("empty-mask", exact=True).first.click()
    expect(page.get_by_text("masks/DEMO_0000002_segmentation.png")).to_be_visible()


# --- what can be done with it


def shown_codes(page):
    found = section(page, "Findings")
    return {
        code
        for code in ("jpeg-truncated", "duplicate", "empty-mask", "mask-mapped")
        if found.locator("summary", has_text=re.compile(rf"\b{code}\b")).first.is_visible()
    }


def test_findings_are_filtered_by_level(report):
    page = report("spoilt")
    assert shown_codes(page) == {"jpeg-truncated", "duplicate", "empty-mask", "mask-mapped"}
    page.get_by_role("checkbox", name=re.compile("^warning")).uncheck()
    assert shown_codes(page) == {"jpeg-truncated", "mask-mapped"}
    page.get_by_role("checkbox", name=re.compile("^error")).uncheck()
    assert shown_codes(page) == {"mask-mapped"}
    page.get_by_role("checkbox", name=re.compile("^info")).uncheck()
    assert shown_codes(page) == set()
    expect(page.get_by_text("No finding on this page fits.")).to_be_visible()


def test_findings_are_filtered_by_text(report, name):
    page = report(name)
    found, box = section(page, "Findings"), page.get_by_role("searchbox", name="Text")
    box.fill("masks' values")
    assert found.locator("details:visible").count() == 1
    expect(found.get_by_text("the masks' values are read so")).to_be_visible()
    assert found.get_by_role("status").inner_text().startswith("1 of ")
    box.fill("nothing is said like this")
    assert found.locator("details:visible").count() == 0
    box.fill("")
    assert found.locator("details:visible").count() == found.locator("details").count() > 1


def test_the_slider_changes_how_strongly_masks_are_painted(report, name):
    page = report(name)
    slider = page.get_by_role("slider", name="Mask opacity")
    filled = samples(page).filter(has=page.locator(".fill")).first
    fill, seen = filled.locator(".fill"), []
    for key, opacity in (("Home", "0"), ("ArrowRight", "0.05"), ("End", "1")):
        slider.press(key)
        expect(fill).to_have_css("opacity", opacity)
        seen.append(filled.screenshot())
    assert len(set(seen)) == 3
    page.get_by_role("checkbox", name="outline").uncheck()
    expect(filled.locator(".outline")).to_be_hidden()


def test_a_sample_is_enlarged_by_click_and_by_key_and_closed_by_escape(report, name):
    page = report(name)
    one, dialog = samples(page).first, page.get_by_role("dialog", name="Enlarged sample")
    small = one.bounding_box()["width"]
    key = one.get_attribute("aria-label").removeprefix("Enlarge ")
    for open_it in (one.click, lambda: one.press("Enter"), lambda: one.press("Space")):
        open_it()
        expect(dialog).to_be_visible()
        expect(dialog.get_by_text(key)).to_be_visible()
        assert dialog.locator("img").first.bounding_box()["width"] > small
        page.keyboard.press("Escape")
        expect(dialog).to_be_hidden()
        expect(one).to_be_focused()


def test_the_enlarged_sample_is_stepped_through_and_has_the_slider_with_it(report):
    page = report("demo")
    keys = [one.get_attribute("aria-label").removeprefix("Enlarge ") for one in samples(page).all()]
    samples(page).first.click()
    dialog = page.get_by_role("dialog", name="Enlarged sample")
    page.keyboard.press("ArrowRight")
    expect(dialog.get_by_text(keys[1])).to_be_visible()
    dialog.get_by_role("button", name="Previous sample").click()
    page.keyboard.press("ArrowLeft")
    expect(dialog.get_by_text(keys[-1])).to_be_visible()
    dialog.get_by_role("slider", name="Mask opacity").press("End")
    expect(dialog.locator(".fill")).to_have_css("opacity", "1")
    dialog.get_by_role("button", name="Close").click()
    expect(dialog).to_be_hidden()
    expect(section(page, "Pictures").get_by_role("slider")).to_be_visible()


# --- where it is read


def test_on_paper_all_is_open_and_afterwards_as_it_was(report, name):
    page = report(name)
    assert page.evaluate(LOUD) > 1
    page.evaluate(f"addEventListener('beforeprint', () => {{ window.closed_then = {LOUD}; }})")
    assert page.pdf().startswith(b"%PDF")
    assert page.evaluate("window.closed_then") == 0
    assert page.evaluate(LOUD) > 1


def test_on_paper_the_findings_stand_without_script_too_and_controls_do_not(report):
    page = report("spoilt", script=False)
    row = page.get_by_text("masks/DEMO_0000002_segmentation.png")
    expect(row).to_be_hidden()
    page.emulate_media(media="print")
    expect(row).to_be_visible()
    assert page.get_by_role("navigation").count() == 0
    assert page.get_by_role("slider").count() == 0


@pytest.mark.parametrize("width", [320, 390])
def test_on_a_telephone_nothing_lies_beyond_the_edge(report, name, width):
    page = report(name, width=width)
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    assert page.evaluate(OVERFLOW) == 0
    samples(page).first.click()
    box = page.get_by_role("dialog").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width


def test_a_dark_system_gets_dark_colours(report):
    light, dark = (report("demo", dark=dark) for dark in (False, True))
    assert brightness(light.evaluate(GROUND)) > 200
    assert brightness(dark.evaluate(GROUND)) < 50
    bar = "getComputedStyle(document.querySelector('.chart rect')).fill"
    assert light.evaluate(bar) != dark.evaluate(bar)
    dark.emulate_media(media="print")
    assert brightness(dark.evaluate(GROUND)) > 200


def brightness(colour):
    """Mean of R, G, B of rgb(...)."""
    return sum(map(int, re.findall(r"\d+", colour)[:3])) / 3


# --- without pictures


def test_without_thumbnails_it_holds_no_picture(watch, dataset, tmp_path):
    copy = shutil.copytree(dataset("spoilt").path, tmp_path / "dataset")
    command = [sys.executable, "-m", "segrecord.cli", "report", str(copy), "--no-thumbnails"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    page = watch.open((copy / "report.html").as_uri())
    assert page.locator("img").count() == 0
    assert page.get_by_role("slider").count() == 0
    assert page.get_by_text("Patient images.").count() == 0
    assert page.locator("main section:not(.verdict) h2").all_inner_texts() == SECTIONS
    assert "data:image" not in (copy / "report.html").read_text()


# --- the watch itself


BAD = """<!doctype html><title>bad</title><link rel="icon" href="data:,">
<img src="http://somewhere.test/seen.png" alt="">
<script>console.warn("careful"); setTimeout(() => missing())</script>"""


def test_a_page_that_calls_out_logs_or_fails_is_noticed(watch, tmp_path):
    (tmp_path / "bad.html").write_text(BAD)
    watch.open((tmp_path / "bad.html").as_uri()).wait_for_timeout(100)
    noted, watch.faults[:] = list(watch.faults), []
    assert "request http://somewhere.test/seen.png" in noted
    assert "console warning: careful" in noted
    assert any(one.startswith("error") and "missing" in one for one in noted)
