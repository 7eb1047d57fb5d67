"""--mask-values keep: 0 and 255 in the records, class ids from every reader of ours."""

import json

import numpy as np
import pytest
from PIL import Image

import segrecord
from make import encoded, picture, put, saved
from segrecord.errors import DataError, PixelError, UsageError
from segrecord.format import example, schemas, tfrecord
from segrecord.format import manifest as manifests
from segrecord.images import mask, png
from segrecord.options import Options
from segrecord.read.lookup import picture_of, read_record

pytestmark = pytest.mark.usefixtures("inline")
HEIGHT, WIDTH = 12, 10
FULL, EMPTY, MISSING = 3, 4, 5
"""Samples whose masks are full, empty, and not there."""


def truth(number):
    """(HEIGHT, WIDTH) uint8 class ids."""
    ids = np.zeros((HEIGHT, WIDTH), np.uint8)
    if number == FULL:
        ids[:] = 1
    elif number != EMPTY:
        ids[2 + number : 9, 3:7] = 1
    return ids


def grey(number):
    return png.encode(truth(number) * np.uint8(255))


def source(folder, files=grey, count=6):
    for number in range(count):
        put(folder / f"images/{number}.png", png.encode(picture(number, HEIGHT, WIDTH)))
        if number != MISSING:
            put(folder / f"masks/{number}.png", files(number))
    return str(folder)


def build(folder, out, **options):
    options = {"shards": 1, "mask_values": "keep", "near_duplicates": "off"} | options
    return segrecord.build(folder, out, **options)


SCHEMAS = ("plain", "raw")


@pytest.fixture(params=SCHEMAS)
def kept(request, tmp_path):
    build(source(tmp_path / "src"), tmp_path / "out", schema=request.param)
    return tmp_path / "out"


def stored(folder):
    """The mask of each record as its bytes hold it, by key; None: it has none."""
    manifest = manifests.load(folder)
    layout = schemas.layout_of(manifest)
    found = {}
    index = segrecord.open(folder).records
    with tfrecord.open_shard(str(next(folder.glob("*.tfrecord"))), "none") as stream:
        records = tfrecord.read_records(stream, "shard")
        for key, (_, payload) in zip(index["key"].to_pylist(), records, strict=True):
            data = schemas.stored_of(layout, example.decode(payload)).mask
            number = int(key[-1])
            if not data:
                found[number] = None
            elif layout.schema == "raw":
                found[number] = np.frombuffer(data, np.uint8).reshape(HEIGHT, WIDTH)
            else:
                found[number] = mask.read(data).values
    return found


def test_the_records_hold_0_and_255_and_a_missing_mask_is_empty(kept):
    found = stored(kept)
    assert found.pop(MISSING) is None
    for number, values in found.items():
        assert np.array_equal(values, truth(number) * np.uint8(255))


def test_verify_accepts_them_and_so_does_the_source(kept):
    assert segrecord.verify(kept).problems == ()
    assert segrecord.verify(kept, source=str(kept.parent / "src")).problems == ()


def test_another_value_in_a_kept_mask_is_damage():
    with pytest.raises(PixelError, match="0 and 255 alone"):
        mask.ids_of(np.array([[0, 254]], np.uint8))


def test_open_batches_stats_and_the_index_know_class_ids(kept):
    data = segrecord.open(kept)
    for item in data:
        number = int(item.key[-1])
        if number == MISSING:
            assert item.mask is None
        else:
            assert np.array_equal(item.mask, truth(number))
    for batch in data.batches(6, shuffle=False):
        for place, key in enumerate(batch.key):
            number = int(key[-1])
            assert batch.has_mask[place] == (number != MISSING)
            if number != MISSING:
                assert np.array_equal(batch.mask[place], truth(number))
    rows = {int(row["key"][-1]): row for row in data.records.to_pylist()}
    assert rows[FULL]["mask_pixels"] == [0, HEIGHT * WIDTH]
    assert rows[FULL]["ignore_pixels"] == 0
    masks = segrecord.stats(kept).masks
    assert masks.classes["foreground"] == sum(int(truth(n).sum()) for n in range(MISSING))


def test_torch_gives_class_ids(kept):
    torch = pytest.importorskip("torch")
    from segrecord.torch import dataset

    for one_hot in (False, True):
        data = dataset(kept, one_hot=one_hot)
        for item in (data[at] for at in range(len(data))):
            number = int(item["key"][-1])
            if number == MISSING:
                continue
            found = item["mask"].argmax(0) if one_hot else item["mask"]
            assert torch.equal(found.long(), torch.tensor(truth(number)).long())


def test_grain_gives_class_ids(kept):
    pytest.importorskip("grain")
    from segrecord.grain import dataset as grain_source

    data = grain_source(kept)
    for item in (data[at] for at in range(len(data))):
        number = int(str(item["key"])[-1])
        if number != MISSING:
            assert np.array_equal(item["mask"], truth(number))


@pytest.mark.tensorflow
def test_tensorflow_gives_class_ids_both_ways(kept):
    pytest.importorskip("tensorflow")
    from segrecord.tensorflow import dataset

    images = {picture(n, HEIGHT, WIDTH).tobytes(): n for n in range(6)}
    for exact in (False, True):
        options = {"exact": True, "seed": 1} if exact else {}
        seen = 0
        for batch in dataset(kept, batch_size=2, **options):
            for at, image in enumerate(batch["image"].numpy()):
                number = images[image.tobytes()]
                assert bool(batch["has_mask"][at]) == (number != MISSING)
                expected = truth(number) * (number != MISSING)
                assert np.array_equal(batch["mask"][at].numpy()[..., 0], expected)
                seen += 1
        assert seen == 6


@pytest.mark.tensorflow
def test_the_code_of_the_readme_gives_what_is_stored_and_says_so(kept):
    pytest.importorskip("tensorflow")
    manifest = manifests.load(kept)
    code = schemas.parse_function(schemas.layout_of(manifest), manifest)
    assert "0 and 255" in code
    assert code in (kept / "README.md").read_text(encoding="utf-8")
    scope = {}
    exec(compile(code, "README.md", "exec"), scope)
    found = [np.unique(item["mask"].numpy()) for item in scope["dataset"](f"{kept}/*.tfrecord")]
    assert {int(value) for values in found for value in values} == {0, 255}


@pytest.mark.tensorflow
def test_tfds_gives_what_is_stored_and_no_names_for_it(kept):
    tfds = pytest.importorskip("tensorflow_datasets")
    key = "label" if manifests.load(kept).schema_name == "raw" else "mask"
    assert not list(kept.glob("*mask*.labels.txt"))
    data = tfds.builder_from_directory(str(kept)).as_dataset(split="train")
    assert len([item[key] for item in data]) == 6


@pytest.mark.tensorflow
def test_tfds_decodes_kept_masks_where_all_have_one(tmp_path):
    tfds = pytest.importorskip("tensorflow_datasets")
    build(source(tmp_path / "src", count=5), tmp_path / "out", schema="plain")
    data = tfds.builder_from_directory(str(tmp_path / "out")).as_dataset(split="train")
    values = {int(v) for item in data for v in np.unique(item["mask"].numpy())}
    assert values == {0, 255}


def test_show_draws_it_as_the_dataset_of_class_ids(kept):
    ids = kept.parent / "ids"
    schema = manifests.load(kept).schema_name
    build(str(kept.parent / "src"), ids, schema=schema, mask_values="ids", missing_mask="empty")
    drawn = [
        picture_of(read_record(folder, f"images/{FULL}"), manifests.load(folder)).tobytes()
        for folder in (kept, ids)
    ]
    assert drawn[0] == drawn[1]
    pages = [(folder / "report.html").read_text(encoding="utf-8") for folder in (kept, ids)]
    assert [page.count("data:image") for page in pages] == [pages[0].count("data:image")] * 2


def bits(number):
    return encoded(truth(number) * np.uint8(255), mode="1")


def jpeg(number):
    plane = Image.fromarray(truth(number) * np.uint8(255))
    return saved(plane, "JPEG", quality=95)


@pytest.mark.parametrize("schema", SCHEMAS)
@pytest.mark.parametrize(
    ("files", "options"),
    [
        (bits, {}),
        (jpeg, {"mask_threshold": 128}),
        (grey, {"mask_invert": True}),
        (grey, {"size": (6, 5)}),
        (grey, {"missing_mask": "zeros"}),
        (grey, {"missing_mask": "omit"}),
        (grey, {"compression": "gzip"}),
    ],
)
def test_every_way_to_two_values_is_kept_and_verified(files, options, schema, tmp_path):
    folder = source(tmp_path / "src", files)
    build(folder, tmp_path / "out", schema=schema, **options)
    build(folder, tmp_path / "ids", schema=schema, **options | {"mask_values": "ids"})
    assert segrecord.verify(tmp_path / "out", source=folder).problems == ()
    for one, two in zip(
        segrecord.open(tmp_path / "out"), segrecord.open(tmp_path / "ids"), strict=True
    ):
        assert one.key == two.key
        assert (one.mask is None) == (two.mask is None)
        if one.mask is not None:
            assert set(np.unique(one.mask)) <= {0, 1}
            assert np.array_equal(one.mask, two.mask)


def test_kept_and_not_are_two_datasets_of_one_scan(tmp_path):
    folder = source(tmp_path / "src")
    one = build(folder, tmp_path / "out", schema="plain", mask_values="ids")
    two = build(folder, tmp_path / "out", schema="plain", overwrite=True)
    fresh = build(folder, tmp_path / "fresh", schema="plain")
    assert one.manifest.fingerprint != two.manifest.fingerprint
    assert two.manifest == fresh.manifest
    assert stored(tmp_path / "out")[0].max() == 255
    told = json.loads((tmp_path / "out/dataset.json").read_text(encoding="utf-8"))
    assert told["options"]["records"]["mask_values"] == "keep"
    assert "--mask-values keep" in (tmp_path / "out/README.md").read_text(encoding="utf-8")


def ids(number):
    return png.encode(np.where(truth(number) > 0, 1 + number % 2, 0).astype(np.uint8))


def test_class_ids_cannot_be_kept_as_0_and_255(tmp_path):
    with pytest.raises(DataError) as caught:
        build(source(tmp_path / "src", ids), tmp_path / "out", schema="plain")
    (finding,) = [found for found in caught.value.findings if found.level == "error"]
    assert finding.code == "mask-not-black-white"
    assert "leave --mask-values out" in finding.fix
    listed = (tmp_path / "out/findings.csv").read_text(encoding="utf-8")
    assert "mask-not-black-white" in listed


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"schema": "deeplab"}, "needs the schema plain or raw"),
        ({"schema": "tfds"}, "needs the schema plain or raw"),
        ({"schema": "raw", "one_hot": True}, "one-hot exclude each other"),
        ({"schema": "raw", "missing_mask": "ignore"}, "no value for missing-mask ignore"),
        ({"schema": "plain", "mask_map": "0=a,255=b"}, "a map gives class ids"),
        ({"schema": "plain", "checks": "none"}, "which checks none leaves unread"),
    ],
)
def test_it_is_refused_where_it_has_no_meaning(options, rule):
    with pytest.raises(UsageError, match=rule):
        Options.of(mask_values="keep", **options)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"mask_values": "ids"}, "0 as 0, 255 as 1; --mask-values keep stores 0 and 255"),
        ({"mask_values": "ids", "schema": "deeplab"}, "class ids: 0 as 0, 255 as 1"),
        ({}, "masks are stored as 0 and 255, background and foreground"),
        ({"mask_values": "ids", "mask_threshold": 9}, "values from 9 on as 1, lower ones as 0"),
        ({"mask_values": "ids", "mask_invert": True}, "0 as 1, 255 as 0"),
    ],
)
def test_summary_and_card_say_what_the_values_of_the_files_became(options, said, tmp_path):
    built = build(source(tmp_path / "src"), tmp_path / "out", **{"schema": "plain"} | options)
    assert said in built.manifest.mask_storage
    card = (tmp_path / "out/README.md").read_text(encoding="utf-8")
    assert said[1:] in card
    shown = "divides masks by 255" in card
    assert shown == ("as 1" in said and "values from" not in said)
