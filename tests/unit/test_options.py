"""The options: every rule, and that the message states rule and value."""

import dataclasses
import json
from pathlib import Path

import pytest
from tests import datasets

from segrecord.cli import cli
from segrecord.errors import RecordError, UsageError
from segrecord.format import manifest
from segrecord.options import OPTIONS, Options
from segrecord.split_names import SIDE_FILES, fold_names, name_rule
from segrecord.write.assemble import recorded_options

BAD = [
    ({"shards": 0}, "shards must be at least 1, got 0"),
    ({"shards": True}, "shards must be at least 1, got True"),
    ({"shards": 2.0}, "shards must be at least 1, got 2.0"),
    ({"shards": 2, "shard_size": "1MB"}, "shards and shard-size exclude each other, got 'both'"),
    ({"shard_size": "big"}, "shard-size must read like 128MB or 128MiB, got 'big'"),
    ({"shard_size": "3 XB"}, "shard-size must read like 128MB or 128MiB, got '3 XB'"),
    ({"shard_size": 0}, "shard-size must be at least 1 byte, got 0"),
    ({"shard_size": -5}, "shard-size must read like 128MB or 128MiB, got -5"),
    ({"seed": -1}, "seed must be an integer from 0 to 2**63 - 1, got -1"),
    ({"seed": 1 << 63}, f"seed must be an integer from 0 to 2**63 - 1, got {1 << 63}"),
    ({"seed": 1.0}, "seed must be an integer from 0 to 2**63 - 1, got 1.0"),
    ({"split": "train"}, "split must read like a=b,c=d, got 'train'"),
    ({"split": "train="}, "split must read like a=b,c=d, got 'train='"),
    ({"split": 0.8}, "split must read like a=b,c=d or be pairs, got 0.8"),
    ({"split": [("train", 0.5, 1)]}, "split must read like a=b,c=d or be pairs, got [("),
    ({"split": "train=x"}, "the share of split train must be over 0 and at most 1, got 'x'"),
    ({"split": "train=nan"}, "the share of split train must be over 0 and at most 1, got 'nan'"),
    ({"split": "train=0,val=1"}, "the share of split train must be over 0 and at most 1, got '0'"),
    ({"split": "train=1.5"}, "the share of split train must be over 0 and at most 1, got '1.5'"),
    ({"split": "train=0.5,val=0.4"}, "the shares of split must add up to 1, got 0.9"),
    ({"split": "a=0.5,a=0.5"}, "split must name each split once, got 'a=0.5,a=0.5'"),
    ({"split": "train=0.5,train2=0.5"}, "no split's name may begin with another's"),
    ({"split": "test_hard=0.5,Test=0.5"}, "no split's name may begin with another's"),
    ({"split": "../up=1"}, "a split's name must be letters, digits and _, beginning with"),
    ({"split": "9=1"}, "a split's name must be letters, digits and _, beginning with"),
    ({"split": "image=1"}, "must not be how the file image-class begins (readers glob NAME*)"),
    ({"split": "r=1"}, "must not be how the file readme begins (readers glob NAME*), got 'r'"),
    ({"mask_map": "0"}, "mask-map must read like a=b,c=d, got '0'"),
    ({"mask_map": 7}, "mask-map must read like a=b,c=d or be pairs, got 7"),
    ({"mask_map": "-1=a"}, "mask-map must map values from 0 to 65535, got '-1'"),
    ({"mask_map": "65536=a"}, "mask-map must map values from 0 to 65535, got '65536'"),
    ({"mask_map": "x=a"}, "mask-map must map values from 0 to 65535, got 'x'"),
    ({"mask_map": "0=a,0=b"}, "mask-map must name each value once, got '0=a,0=b'"),
    ({"mask_map": {0: ""}}, "mask-map must name each value, got {0: ''}"),
    ({"mask_map": "0=ignore"}, "mask-map must name 1 to 255 classes, got 0"),
    (
        {"mask_map": {n: f"c{n}" for n in range(256)}},
        "mask-map must name 1 to 255 classes, got 256",
    ),
    ({"mask_threshold": 0}, "mask-threshold must be an integer from 1 to 255, got 0"),
    ({"mask_threshold": 256}, "mask-threshold must be an integer from 1 to 255, got 256"),
    ({"mask_threshold": 1.5}, "mask-threshold must be an integer from 1 to 255, got 1.5"),
    (
        {"mask_threshold": 9, "mask_map": "0=a"},
        "mask-threshold and mask-map exclude each other, got 'both'",
    ),
    ({"mask_values": "0"}, "mask-values must be one of ids, keep, got '0'"),
    ({"mask_invert": "yes"}, "mask-invert must be True or False, got 'yes'"),
    ({"mask_fit": "crop"}, "mask-fit must be one of error, resize, resize-any, got 'crop'"),
    ({"size": "512"}, "size must read like 512x512 (height x width), got '512'"),
    ({"size": 512}, "size must be a height and a width from 1 to 32768, got 512"),
    ({"size": "0x5"}, "size must be a height and a width from 1 to 32768, got (0, 5)"),
    ({"size": (5, 40000)}, "size must be a height and a width from 1 to 32768, got (5, 40000)"),
    ({"size": (5,)}, "size must be a height and a width from 1 to 32768, got (5,)"),
    ({"checks": "some"}, "checks must be one of full, basic, none, got 'some'"),
    ({"checks": None}, "checks must be one of full, basic, none, got None"),
    ({"on_error": "go"}, "on-error must be one of stop, quarantine, got 'go'"),
    ({"unlabelled": "no"}, "unlabelled must be one of error, keep, got 'no'"),
    ({"mask_choice": "last"}, "mask-choice must be one of first, union, got 'last'"),
    ({"schema": "coco"}, "schema must be one of deeplab, plain, raw, tfds, got 'coco'"),
    ({"missing_mask": "x"}, "missing-mask must be one of empty, ignore, zeros, omit, error, got"),
    ({"compression": "lz4"}, "compression must be one of none, gzip, zlib, got 'lz4'"),
    ({"one_hot": True}, "one-hot masks need the schema raw, got 'deeplab'"),
    ({"workers": 0}, "workers must be at least 1, got 0"),
    ({"workers": False}, "workers must be at least 1, got False"),
    ({"keep_columns": 5}, "keep-columns must be a text or a list of texts, got 5"),
    (
        {"keep_columns": ["age", 5]},
        "keep-columns must be a text or a list of texts, got ['age', 5]",
    ),
    ({"label_column": 0}, "label-column must be a text, got 0"),
    ({"root": True}, "root must be a path, got True"),
    ({"facts": b"x"}, "facts must be a path, got b'x'"),
    ({"one_hot": "no", "schema": "raw"}, "one-hot must be True or False, got 'no'"),
    ({"overwrite": "no"}, "overwrite must be True or False, got 'no'"),
    ({"folds": 1}, "folds must be an integer from 2 to 100, got 1"),
    ({"folds": 5, "split": "a=1"}, "split and folds exclude each other, got 'both'"),
    ({"extend": 5}, "extend must be a path, got 5"),
    ({"exclude": 5}, "exclude must be a path, got 5"),
    ({"ignore": 5}, "ignore must be a text or a list of texts, got 5"),
    ({"ignore": "no-such"}, "there is no code 'no-such'"),
    ({"ignore": "png-crc"}, "png-crc cannot be ignored"),
    ({"error": "empty-mask,empty-mask"}, "error must name each code once"),
    ({"ignore": "empty-mask", "error": "empty-mask"}, "empty-mask"),
    ({"near_duplicates": "on"}, "near-duplicates must be one of group, warn, off, got 'on'"),
    ({"keep_duplicates": "none"}, "keep-duplicates must be one of all, one, got 'none'"),
    ({"card": 5}, "card must be a path, got 5"),
    ({"no_report": "no"}, "no-report must be True or False, got 'no'"),
    ({"no_thumbnails": 1}, "no-thumbnails must be True or False, got 1"),
    ({"keep_duplicates": "one", "checks": "basic"}, "one compares pixels and needs checks full"),
    ({"keep_metadata": 1}, "keep-metadata must be True or False, got 1"),
    ({"keep_profile": "yes"}, "keep-profile must be True or False, got 'yes'"),
    ({"pseudonymize": 5}, "pseudonymize must be a path, got 5"),
    ({"crosswalk": "x.csv"}, "crosswalk needs pseudonymize, got 'x.csv'"),
    ({"keep_columns": "age,age"}, "keep-columns must name each column once, got 'age,age'"),
    ({"checks": "none", "mask_map": "0=a"}, "mask-map reads pixels, which checks none leaves"),
    ({"checks": "none", "mask_threshold": 9}, "mask-threshold reads pixels, which checks none"),
    ({"checks": "none", "size": "2x2"}, "size reads pixels, which checks none leaves unread"),
    ({"checks": "none", "schema": "raw"}, "schema raw decodes pixels, which checks none leaves"),
    ({"checks": "none", "mask_fit": "resize"}, "mask-fit resizes masks, which checks none leaves"),
    ({"checks": "none", "mask_choice": "union"}, "mask-choice union paints masks together, which"),
]


@pytest.mark.parametrize(("flat", "message"), BAD, ids=lambda value: str(value)[:40])
def test_a_bad_value_is_refused_with_rule_and_value(flat, message):
    with pytest.raises(UsageError) as raised:
        Options.of(**flat)
    assert message in str(raised.value)


def test_every_option_with_a_rule_has_a_bad_value_above():
    free = {"metadata", "image_column", "mask_column", "group_column"}
    free |= {"split_column", "key_column", "classes", "rest_class"}
    names = set(OPTIONS)
    assert names - free == {name for flat, _ in BAD for name in flat}


def test_an_unknown_name_is_refused_with_the_nearest_one():
    with pytest.raises(UsageError, match=r"there is no option 'shard'; did you mean shards\?"):
        Options.of(shard=3)
    with pytest.raises(UsageError, match=r"there is no option 'qqqqq'$"):
        Options.of(qqqqq=1)


def test_texts_and_python_values_mean_the_same():
    by_text = Options.of(
        split="train=0.75, val=0.25", mask_map="0=bg, 255=lung", size="4x6", keep_columns="a, b"
    )
    by_value = Options.of(
        split={"train": 0.75, "val": 0.25},
        mask_map=[(0, "bg"), (255, "lung")],
        size=[4, 6],
        keep_columns=["a", "b"],
    )
    assert by_text == by_value
    assert by_text.pixels.size == (4, 6)


@pytest.mark.parametrize(("folds", "last"), [(2, "fold1"), (10, "fold9"), (11, "fold10")])
def test_no_fold_begins_with_the_name_of_another(folds, last):
    names = fold_names(folds)
    assert len(names) == folds
    assert names[-1] == last
    assert Options.of(folds=folds).plan.shares == tuple((name, 1 / folds) for name in names)
    assert Options.of(split=[(name, 1 / folds) for name in names]).plan.split  # which are refused


def test_paths_may_be_texts_or_path_objects():
    places = {"root": "a/b", "metadata": "c.csv", "classes": "d.json", "facts": "e.arrow"}
    assert Options.of(**places) == Options.of(**{k: Path(v) for k, v in places.items()})


@pytest.mark.parametrize(
    ("text", "size"),
    [("128MB", 128_000_000), ("2MiB", 2 << 20), ("1.5 kB", 1500), (77, 77), ("3gib", 3 << 30)],
)
def test_sizes_are_decimal_unless_they_say_binary(text, size):
    assert Options.of(shard_size=text).plan.shard_size == size


def test_the_default_of_missing_masks_follows_the_schema():
    assert Options.of(schema="plain").records.missing_mask == "empty"
    assert Options.of(schema="raw").records.missing_mask == "ignore"


def test_class_names_follow_the_order_of_the_map_without_ignore():
    pixels = Options.of(mask_map="255=lung,0=background,127=ignore,9=lung").pixels
    assert pixels.mask_class_names == ("lung", "background")


def test_options_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Options().plan.seed = 3


def test_the_usual_split_names_are_free():
    for name in ("train", "val", "test", "validation", "fold_1", "holdout"):
        assert name_rule(name) == ""
    assert all(name_rule(name.split("_")[0].split("-")[0]) for name in SIDE_FILES)


# What an option's field says of it is what happens.


def test_where_things_lie_and_how_a_run_goes_changes_no_byte():
    assert {name for name, option in OPTIONS.items() if not option.changes_bytes} == {
        *("root", "classes", "facts", "on_error", "extend", "exclude", "pseudonymize"),
        *("crosswalk", "card", "no_report", "no_thumbnails", "workers", "overwrite"),
    }


def test_a_scan_takes_the_options_that_change_what_it_finds():
    taken = {parameter.name for parameter in cli.commands["scan"].params}
    assert {name for name, option in OPTIONS.items() if option.scan} == taken & set(OPTIONS)
    assert taken - set(OPTIONS) == {
        *("source", "facts_file", "findings", "write_samples", "as_json"),
    }


@pytest.mark.parametrize(
    "flat",
    [
        {},
        {"mask_map": "0=a,7=ignore,9=b", "size": "4x6", "keep_columns": ["a,b", "c"]},
        {"split": "train=0.1,val=0.7,test=0.2", "shard_size": "2MiB", "metadata": ["t.csv"]},
        {"folds": 3, "schema": "raw", "one_hot": True, "ignore": "no-group", "error": "dark-image"},
        {"metadata": ["a.csv", "b.csv"], "schema": "plain", "mask_values": "keep"},
    ],
    ids="-".join,
)
def test_a_manifest_gives_back_the_options_of_its_build(tmp_path, flat):
    options = Options.of(**flat)
    recorded = json.loads(json.dumps(recorded_options(options)))
    made = manifest.load(datasets.make(tmp_path / "set"))
    schema = options.records.schema
    made = made.model_copy(update={"options": recorded, "schema_name": schema})
    assert made.build_options() == options


def test_tables_whose_names_are_hidden_are_no_options_and_damaged_ones_are_a_damaged_manifest(
    tmp_path,
):
    made = manifest.load(datasets.make(tmp_path / "set"))
    hidden = made.model_copy(update={"options": {"source": {"metadata": ["", ""]}}})
    assert hidden.metadata_tables == ("", "")
    assert hidden.build_options().source.metadata == ()
    for damaged in ({"folds": "x"}, {"unheard": 1}):
        odd = made.model_copy(update={"options": {"plan": damaged}})
        with pytest.raises(RecordError, match=r"dataset\.json: is damaged at options: "):
            odd.build_options()
