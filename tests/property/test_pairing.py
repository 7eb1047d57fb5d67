"""Pairing by name: what holds for any names."""

import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from segrecord.options import SourceOptions
from segrecord.sources.loading import load_source
from segrecord.sources.names import ImageNames, image_bases, mask_bases

SUFFIXES = ["_mask", "-mask", "_segmentation", "_lesion", "_gt", " seg", ".label", "_Annotation"]
SUFFIXES += ["_mask_1", "_MASK_12", "_mask (2)"]
PREFIXES = ["mask_", "seg-", "gt_", "Label "]

names = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"], exclude_characters="/\\\0"),
    min_size=1,
    max_size=12,
)
plain_names = st.text("abcdeXYZ0123456789()é", min_size=1, max_size=8)


@given(names, st.sampled_from(SUFFIXES), st.sampled_from(PREFIXES))
def test_any_name_is_found_again_below_any_affix(name, suffix, prefix):
    images = ImageNames([(name, 7)])
    assert images.match(name).images == (7,)
    assert images.match(name + suffix).images == (7,)
    assert images.match(prefix + name).images == (7,)


@given(names, st.sampled_from([*SUFFIXES, "_image", ""]), st.sampled_from([*PREFIXES, "img_", ""]))
def test_an_affix_taken_off_and_put_back_is_the_name(name, suffix, prefix):
    affixed = prefix + name + suffix
    found = mask_bases(affixed) + image_bases(affixed)
    assert bool(found) or not (suffix or prefix)
    for bare in found:
        assert bare.base
        assert bare.pattern.replace("X", bare.base, 1) == affixed


@given(st.lists(plain_names, unique=True, max_size=8), plain_names)
def test_a_plain_name_matches_only_itself(stems, stem):
    found = ImageNames((s, i) for i, s in enumerate(stems)).match(stem)
    assert found.images == tuple(i for i, s in enumerate(stems) if s == stem)


@given(st.dictionaries(plain_names, st.sampled_from(SUFFIXES), min_size=1, max_size=8))
def test_each_mask_goes_to_its_own_image_whatever_the_order(pairs):
    forwards = ImageNames((stem, i) for i, stem in enumerate(pairs))
    backwards = ImageNames((stem, i) for i, stem in reversed(list(enumerate(pairs))))
    for i, (stem, suffix) in enumerate(pairs.items()):
        assert forwards.match(stem + suffix).images == backwards.match(stem + suffix).images == (i,)


LAYOUTS = {
    "one folder": ("{0}.jpg", "{0}_mask.png"),
    "two folders": ("images/{0}.jpg", "masks/{0}.png"),
    "two folders, suffix": ("images/{0}.jpg", "masks/{0}_segmentation.png"),
    "splits": ("train/images/{0}.jpg", "train/masks/{0}.png"),
}


@given(
    st.sampled_from(sorted(LAYOUTS)),
    st.sets(st.text("abc0123456789", min_size=1, max_size=6), min_size=1, max_size=6),
    st.data(),
)
def test_every_file_is_a_sample_a_mask_of_one_or_a_finding(layout, stems, data):
    image, mask = LAYOUTS[layout]
    masked = data.draw(st.sets(st.sampled_from(sorted(stems)), min_size=1))
    with tempfile.TemporaryDirectory() as folder:
        for path in [image.format(s) for s in stems] + [mask.format(s) for s in masked]:
            file = Path(folder, path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
        found = load_source(folder, SourceOptions())
        rows = found.samples.to_pylist()
        assert {row["image"] for row in rows} == {f"{folder}/{image.format(s)}" for s in stems}
        for row in rows:
            stem = Path(row["image"]).stem
            expected = [f"{folder}/{mask.format(stem)}"] * (stem in masked)
            assert [part["source"] for part in row["mask"]] == expected
        assert not [finding for finding in found.findings if finding.level == "error"]
