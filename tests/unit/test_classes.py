"""Class names to ids, and every finding about labels."""

import json
import os

import pytest

from make import samples_of
from segrecord.errors import UsageError
from segrecord.options import SourceOptions
from segrecord.splits.classes import assign, beside, numbered, read_mapping


def samples(*labels):
    return samples_of(
        [(f"k{number}", f"{number}.png", (), names) for number, names in enumerate(labels)]
    )


def codes(assigned):
    return [(finding.level, finding.code, finding.key) for finding in assigned.findings]


def mapping(tmp_path, content):
    path = tmp_path / "class_mapping.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


def test_without_a_mapping_names_are_sorted():
    assigned = assign(samples(("b",), ("a",), ("b",)), SourceOptions())
    assert assigned.ids == {"a": 0, "b": 1}
    assert not assigned.findings


def test_an_unlabelled_set_has_no_classes_even_with_a_mapping(tmp_path):
    options = SourceOptions(classes=mapping(tmp_path, {"a": 0}))
    assert assign(samples((), ()), options) == ({}, ())


def test_a_partly_labelled_set_is_an_error_that_names_the_samples_unless_kept():
    assigned = assign(samples(("a",), (), ()), SourceOptions())
    assert codes(assigned) == [("error", "unlabelled", "k1"), ("error", "unlabelled", "k2")]
    assert "--unlabelled keep" in assigned.findings[0].fix
    assert not assign(samples(("a",), ()), SourceOptions(unlabelled="keep")).findings


def test_several_classes_of_a_sample_are_an_error_that_lists_them():
    assigned = assign(samples(("a", "b"), ("a",)), SourceOptions())
    assert codes(assigned) == [("error", "several-classes", "k0")]
    assert "'a', 'b'" in assigned.findings[0].message


def test_classes_that_the_mapping_lacks_are_listed_with_counts_and_each_sample_is_named(tmp_path):
    path = mapping(tmp_path, {"a": 3})
    assigned = assign(samples(("a",), ("b",), ("c",), ("b",)), SourceOptions(classes=path))
    assert codes(assigned) == [
        ("error", "unknown-class", ""),
        ("error", "unknown-class", "k1"),
        ("error", "unknown-class", "k2"),
        ("error", "unknown-class", "k3"),
    ]
    assert assigned.findings[0].message == "the mapping lacks 'b' (2 samples), 'c' (1 sample)"
    assert assigned.ids == {"a": 3}


def test_a_mapping_is_read_with_bom_and_ascends_by_id(tmp_path):
    path = mapping(tmp_path, "\ufeff" + json.dumps({"b": 2, "a": 5, "z": 0}))
    assert list(read_mapping(path).items()) == [("z", 0), ("b", 2), ("a", 5)]


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        ("{", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ('{"a": 0, "a": 1}', "it names 'a' twice"),
        ("[]", "must hold one object"),
        ("{}", "must hold one object"),
        ('{"a": -1}', "gives 'a' the id -1: ids are integers from 0"),
        ('{"a": true}', "gives 'a' the id True: ids are integers from 0"),
        ('{"a": 1.0}', "gives 'a' the id 1.0: ids are integers from 0"),
        ('{"a": 2147483648}', "gives 'a' the id 2147483648: ids are integers from 0"),
        ('{"a": 1, "b": 1}', "gives the id 1 to several classes"),
    ],
)
def test_a_bad_mapping_is_refused_with_its_rule(tmp_path, content, rule):
    with pytest.raises(UsageError) as raised:
        read_mapping(mapping(tmp_path, content))
    assert rule in str(raised.value)
    assert "class_mapping.json" in str(raised.value)


def test_a_mapping_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"none\.json cannot be read: No such file"):
        read_mapping(str(tmp_path / "none.json"))


@pytest.mark.parametrize(
    "content", ['{"b": 1, "a": 3}', '{"1": "b", "3": "a"}', '{" b ": 1, "a": 3}']
)
def test_a_mapping_beside_the_source_is_taken_in_either_form(tmp_path, content):
    path = mapping(tmp_path, content)
    found = beside([path], samples(("a",), ("b",)), SourceOptions())
    assert (found.path, found.ids) == (path, {"b": 1, "a": 3})
    (info,) = found.findings
    assert (info.level, info.code, info.path) == ("info", "mapping-taken", path)
    assert "1 b; 3 a" in info.message
    assigned = assign(samples(("a",), ("b",)), SourceOptions(), (found.path, found.ids))
    assert assigned.ids == {"b": 1, "a": 3}
    lacking = assign(samples(("a",), ("c",)), SourceOptions(), (found.path, found.ids))
    assert codes(lacking) == [("error", "unknown-class", ""), ("error", "unknown-class", "k1")]
    assert lacking.findings[0].path == path


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"a": "b"}', '{"a": [1]}', '{"1": "a", "2": "a"}', '"x"']
)
def test_a_file_of_that_name_that_holds_something_else_is_left_unread_with_a_warning(
    tmp_path, content
):
    found = beside([mapping(tmp_path, content)], samples(("a",)), SourceOptions())
    assert [(it.level, it.code) for it in found.findings] == [("warning", "mapping-unread")]
    assert found.path == ""


def test_a_pipe_of_that_name_is_not_waited_for(tmp_path):
    path = tmp_path / "class_mapping.json"
    os.mkfifo(path)
    found = beside([str(path)], samples(("a",)), SourceOptions())
    assert "is a pipe" in found.findings[0].message


def test_a_mapping_beside_a_source_without_classes_is_a_warning(tmp_path):
    found = beside([mapping(tmp_path, {"a": 0})], samples((), ()), SourceOptions())
    assert "no sample has a class" in found.findings[0].message


@pytest.mark.parametrize(("other", "agrees"), [
    ({"a": 0, "b": 1}, True), ({"a": 0}, True), ({"a": 0, "b": 1, "c": 2}, True),
    ({"a": 1, "b": 0}, False), ({"c": 0, "b": 1}, False),
])  # fmt: skip
def test_a_mapping_beside_that_contradicts_the_one_given_is_an_error(tmp_path, other, agrees):
    given = tmp_path / "given.json"
    given.write_text('{"a": 0, "b": 1}')
    options = SourceOptions(classes=str(given))
    found = beside([mapping(tmp_path, other)], samples(("a",)), options)
    assert found.ids == {"a": 0, "b": 1}
    told = [(it.level, it.code) for it in found.findings]
    assert told == ([] if agrees else [("error", "mapping-contradicts")])


def test_samples_of_which_it_is_told_why_they_have_no_class_are_not_told_again():
    assigned = assign(samples(("a",), (), ()), SourceOptions(), None, {"k1"})
    assert codes(assigned) == [("error", "unlabelled", "k2")]


def test_of_a_class_and_its_absence_the_absence_is_0_as_in_a_column_of_0_and_1():
    assert numbered(["melanoma", "not melanoma"]) == {"not melanoma": 0, "melanoma": 1}
    assert numbered(["nevus", "melanoma"], "nevus") == {"nevus": 0, "melanoma": 1}
    assert numbered(["nevus", "melanoma"]) == {"melanoma": 0, "nevus": 1}
    assert numbered(["not a", "a", "b"]) == {"a": 0, "b": 1, "not a": 2}
    assert numbered(["not a"]) == {"not a": 0}
