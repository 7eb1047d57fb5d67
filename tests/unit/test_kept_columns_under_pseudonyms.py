"""What may give away names under pseudonyms: kept columns, and builds that were stopped."""

import pytest

import segrecord
from make import listing, picture, png, put
from segrecord.errors import DataError, UsageError

pytestmark = pytest.mark.usefixtures("inline")


@pytest.fixture
def keyed(tmp_path):
    """A writer of listings with a column `note`, and the options of a build under pseudonyms."""
    for number in range(6):
        put(tmp_path / f"mueller{number}.png", png.encode(picture(number), photo=True))
    (tmp_path / "secret.key").write_bytes(b"0123456789abcdef0123456789abcdef")

    def table(note):
        rows = [f"mueller{n}.png,patient{n // 2},{note(n)}" for n in range(6)]
        return listing(tmp_path / "set.csv", rows, "image,patient,note")

    options = {"group_column": "patient", "pseudonymize": str(tmp_path / "secret.key")}
    return table, options


@pytest.mark.parametrize(
    "note",
    [
        lambda n: f"mueller{n}" if n else "another",
        lambda n: f"Patient{n // 2}",
        lambda n: f"scans/mueller{n}_original.dcm",
        lambda n: f"of patient{n // 2} in spring",
    ],
    ids=["but one", "other case", "file name within", "group within"],
)
def test_a_kept_column_that_tells_most_names_is_refused(keyed, tmp_path, note):
    table, options = keyed
    with pytest.raises(UsageError, match="kept column note"):
        segrecord.build(table(note), tmp_path / "out", keep_columns="note", **options)


@pytest.mark.parametrize("note", [lambda n: str(30 + n), lambda n: "mueller1" if n == 1 else "no"])
def test_a_kept_column_of_other_things_is_kept(keyed, tmp_path, note):
    table, options = keyed
    built = segrecord.build(table(note), tmp_path / "out", keep_columns="note", **options)
    assert built.manifest.samples == 6


def test_a_stopped_build_over_a_dataset_under_pseudonyms_says_where_names_lie(keyed, tmp_path):
    table, options = keyed
    path, out = table(str), tmp_path / "out"
    segrecord.build(path, out, **options)
    put(tmp_path / "mueller3.png", b"no picture")
    with pytest.raises(DataError, match=r"names .* remove .*\.segrecord"):
        segrecord.build(path, out, overwrite=True, **options)
    assert b"mueller3" in (out / ".segrecord" / "findings.csv").read_bytes()
