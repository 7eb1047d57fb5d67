"""No serious fault that axe-core finds: report and viewer, light and dark, wide and narrow."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

RULES = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"],
    "resultTypes": ["violations"],
}
"""WCAG 2.0 to 2.2, levels A and AA."""

SEEN = [(False, 1280), (False, 390), (True, 1280), (True, 390)]
"""Whether the system is dark, and the window's width in CSS pixels."""


def faults(page, part=None):
    """What axe calls serious or critical in this part: the rule, and where it is broken."""
    found = Axe().run(page, context=part, options=RULES).response["violations"]
    return [
        (fault["id"], node["target"], node["failureSummary"])
        for fault in found
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"]
    ]


@pytest.mark.parametrize(("dark", "width"), SEEN)
def test_the_report_with_all_opened(watch, dataset, dark, width):
    report = (dataset("spoilt").path / "report.html").as_uri()
    page = watch.open(report, dark=dark, width=width)
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    assert faults(page) == []


def test_the_report_as_it_opens_and_with_a_sample_enlarged(watch, dataset, name):
    report = (dataset(name).path / "report.html").as_uri()
    page = watch.open(report, dark=name == "demo")
    assert faults(page) == []
    page.locator("#pictures").get_by_role("button").first.click()
    assert faults(page, "dialog") == []


@pytest.mark.parametrize(("dark", "width"), SEEN)
def test_the_list_and_an_open_record_of_the_viewer(watch, viewers, dark, width):
    viewer = viewers("spoilt")
    page = watch.open(viewer.address, allowed=viewer.origin, dark=dark, width=width)
    pictures = page.locator(".tile img")
    expect(pictures).to_have_count(16)
    page.get_by_text("Filter and sort").evaluate("one => { one.parentElement.open = true; }")
    assert faults(page) == []
    page.locator(".tile", has_text="DEMO_0000002").click()
    expect(page.get_by_role("heading", name="Findings")).to_be_visible()
    page.get_by_text("Keys", exact=True).click()
    assert faults(page) == []


def test_the_viewer_of_each_set(watch, viewers, name):
    viewer = viewers(name)
    page = watch.open(viewer.address, allowed=viewer.origin, dark=name == "demo")
    expect(page.locator(".tile img").first).to_be_visible()
    assert faults(page) == []
    page.locator(".tile").first.click()
    expect(page.get_by_role("heading", name="In the index")).to_be_visible()
    assert faults(page) == []


BAD = """<!doctype html><html lang="en"><title>bad</title><main>
<img src="data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw==">
<p style="color: #ccc; background: #fff">pale</p><button></button></main>"""


def test_a_page_with_known_faults_is_found_out(watch, tmp_path):
    (tmp_path / "bad.html").write_text(BAD)
    page = watch.open((tmp_path / "bad.html").as_uri())
    assert {rule for rule, *_ in faults(page)} == {"image-alt", "color-contrast", "button-name"}
