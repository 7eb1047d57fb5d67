"""What the checks say of real data: no patient on two sides, no false alarm among the errors."""

from collections import defaultdict
from pathlib import Path

import pytest

import segrecord

DATA = Path(__file__).parents[2].parent / "shared" / "data"

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is absent"),
    pytest.mark.usefixtures("inline"),
]

COVID = DATA / "cxr-covid-csv" / "index.csv"
MEANING = "0=background,127=ignore,255=lung"

SOUND = {
    "cxr-covid-csv/index.csv": {"mask_map": MEANING, "group_column": "patientid"},
    "cxr-tb-parallel-folders": {"mask_threshold": 128},
    "isic2017-suffix": {},
    "isic2017-tiny-size-mismatch": {"mask_fit": "resize-any"},
    "jsrt-csv/idx.csv": {},
    "voc-palette": {},
}
"""The sets whose files are sound, and the options that segrecord asks for."""


def test_no_patient_of_the_covid_set_is_on_two_sides_for_a_hundred_seeds(tmp_path):
    options = {"mask_map": MEANING, "group_column": "patientid"}
    facts = tmp_path / "facts.arrow"
    segrecord.scan(COVID, facts_file=facts, **options)
    arrangements = set()
    for seed in range(100):
        found = segrecord.scan(
            COVID, facts=facts, split="train=0.6,val=0.2,test=0.2", seed=seed, **options
        )
        sides = defaultdict(set)
        for patient, split in zip(found.samples["group"].to_pylist(), found.splits, strict=True):
            sides[patient].add(split)
        assert all(len(splits) == 1 for splits in sides.values()), seed
        assert {"divided-group", "no-group"}.isdisjoint(f.code for f in found.findings)
        arrangements.add(found.splits)
    assert len(arrangements) > 1


def test_without_a_group_column_the_covid_set_warns_of_leakage():
    found = segrecord.scan(COVID, mask_map=MEANING)
    assert [f.level for f in found.findings if f.code == "no-group"] == ["warning"]


@pytest.mark.parametrize("name", SOUND)
def test_no_sound_set_has_an_error(name):
    found = segrecord.scan(DATA / name, **SOUND[name])
    assert [(f.code, f.key) for f in found.findings if f.level == "error"] == []
