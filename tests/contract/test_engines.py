"""The engines' contract: one suite, run by every engine."""

import functools
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from segrecord.errors import UsageError
from segrecord.executors import EngineFailure, InlineEngine, LocalEngine, available_cores, note

sys.path.append(str(Path(__file__).parent))  # workers get the parent's sys.path
import engine_functions as work

ENGINES = {
    "inline": InlineEngine,
    "local-1": functools.partial(LocalEngine, 1),
    "local-2": functools.partial(LocalEngine, 2),
    "local-4": functools.partial(LocalEngine, 4),
}


@pytest.fixture(scope="module", params=ENGINES)
def engine(request):
    """One engine for the whole module: runs follow each other on the same workers."""
    with ENGINES[request.param]() as engine:
        yield engine


@pytest.fixture(scope="module")
def local():
    with LocalEngine(2) as engine:
        yield engine


def test_every_task_gives_its_result_once(engine):
    results = list(engine.run(work.double, range(300)))
    assert sorted(results) == [(number, 2 * number) for number in range(300)]


def test_no_tasks_give_no_results(engine):
    assert list(engine.run(work.double, [])) == []


def test_a_partial_is_a_function(engine):
    halve = functools.partial(work.divide, by=2)
    assert dict(engine.run(halve, [4, 6])) == {0: 2.0, 1: 3.0}


def test_tasks_are_drawn_lazily_from_an_endless_source(engine):
    drawn = []

    def endless():
        while True:
            drawn.append(len(drawn))
            yield len(drawn)

    for done, _ in enumerate(engine.run(work.double, endless()), start=1):
        assert len(drawn) <= done + 4 * 2
        if done == 100:
            break


def test_an_abandoned_run_does_not_leak_into_the_next(engine):
    for _ in engine.run(work.double, range(1000, 2000)):
        break
    assert dict(engine.run(work.double, range(5))) == {0: 0, 1: 2, 2: 4, 3: 6, 4: 8}


def test_an_exception_becomes_a_failure_and_the_others_go_on(engine, capfd):
    results = dict(engine.run(work.fail_on_three, range(8)))
    failure = results.pop(3)
    assert results == {number: number for number in (0, 1, 2, 4, 5, 6, 7)}
    assert isinstance(failure, EngineFailure)
    assert (failure.task, failure.message) == (3, "ValueError: three is not allowed")
    assert failure.note in ("", "/data/3.png")
    assert capfd.readouterr() == ("", "")


def test_leaving_the_interpreter_is_a_failure_too(engine):
    [(number, failure)] = engine.run(work.leave, [None])
    assert (number, failure.message) == (0, "SystemExit: 4")


def test_large_results_arrive_whole(engine):
    for number, result in engine.run(work.big, [5, 5, 5, 5]):
        assert (number in range(4), len(result), set(result)) == (True, 5 << 20, {5})


def test_large_tasks_and_large_results_do_not_block_each_other(engine):
    blobs = (bytes(1 << 20) for _ in range(24))
    results = dict(engine.run(work.echo, blobs))
    assert {number: len(blob) for number, blob in results.items()} == dict.fromkeys(
        range(24), 1 << 20
    )


def test_an_error_of_the_task_source_is_raised_and_the_engine_lives_on(engine):
    def broken():
        yield 1
        raise OSError("listing ends")

    with pytest.raises(OSError, match="listing ends"):
        list(engine.run(work.double, broken()))
    assert list(engine.run(work.double, [1])) == [(0, 2)]


def test_stray_prints_reach_neither_results_nor_the_console(local, capfd):
    assert dict(local.run(work.chatter, range(10))) == {n: n for n in range(10)}
    assert capfd.readouterr() == ("", "")


def test_workers_are_used_again_by_the_next_run(local):
    first = {pid for _, pid in local.run(work.slow_pid, range(2))}
    second = {pid for _, pid in local.run(work.slow_pid, range(2))}
    assert first == second
    assert len(first) == 2
    assert os.getpid() not in first


def test_a_long_task_does_not_wait_behind_another_while_a_worker_is_idle(local):
    pids = [pid for _, pid in local.run(work.slow_pid, range(4))]
    assert sorted(pids.count(pid) for pid in set(pids)) == [2, 2]


def test_an_exception_names_the_file_the_worker_was_on(local):
    assert dict(local.run(work.fail_on_three, range(8)))[3].note == "/data/3.png"


def test_a_note_of_one_task_is_not_told_of_the_next():
    with LocalEngine(1) as engine:
        results = dict(engine.run(work.note_or_fail, ["/data/1.png", ""]))
    assert results == {0: None, 1: EngineFailure(1, "ValueError: no path", "")}


def test_a_result_that_cannot_be_pickled_is_a_named_failure(local):
    results = dict(local.run(work.unpicklable_on_three, range(6)))
    assert "lambda" in results.pop(3).message
    assert results == {n: n for n in (0, 1, 2, 4, 5)}


def test_a_result_that_cannot_be_read_back_is_a_named_failure(local):
    results = dict(local.run(work.unreadable_on_three, range(6)))
    assert results.pop(3).message.startswith("the result cannot be read back: ValueError")
    assert results == {n: n for n in (0, 1, 2, 4, 5)}


def test_a_task_that_cannot_be_pickled_is_a_named_failure(local):
    results = dict(local.run(work.double, [1, work.Unsendable(), 3]))
    assert results.pop(1).message == ("the task cannot be sent to a worker: OSError: stays at home")
    assert results == {0: 2, 2: 6}


def test_preloaded_modules_are_there_before_the_first_task():
    with LocalEngine(1, preload=["colorsys"]) as engine:
        assert dict(engine.run(work.loaded, ["colorsys", "wave"])) == {0: True, 1: False}


def test_workers_keep_numerical_libraries_to_one_thread(local, monkeypatch):
    assert dict(local.run(work.thread_settings, [0])) == {0: "1"}
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    with LocalEngine(1) as engine:
        assert dict(engine.run(work.thread_settings, [0])) == {0: "3"}


def test_a_note_in_the_parent_does_nothing():
    note("/data/1.png")


def test_the_default_is_a_worker_for_each_core_that_may_be_used():
    assert LocalEngine()._count == available_cores() >= 1


def test_no_worker_at_all_is_refused():
    with pytest.raises(UsageError, match="workers must be at least 1, got 0"):
        LocalEngine(0)


CALL = """
import sys
sys.path.insert(0, {folder!r})
from segrecord.executors import LocalEngine
import engine_functions
print("once")
with LocalEngine(2) as engine:
    print(sorted(engine.run(engine_functions.double, range(5))))
"""
EXPECTED = "once\n[(0, 0), (1, 2), (2, 4), (3, 6), (4, 8)]\n"


@pytest.mark.parametrize("how", ["script", "command", "stdin", "exec"])
def test_it_runs_at_the_top_level_without_a_main_guard(how, tmp_path):
    call = textwrap.dedent(CALL).format(folder=str(Path(__file__).parent))
    script = tmp_path / "train.py"
    script.write_text(call)
    arguments = {
        "script": [str(script)],
        "command": ["-c", call],
        "stdin": ["-"],
        "exec": ["-c", f"exec(compile({call!r}, '<cell 1>', 'exec'), {{'__name__': '__main__'}})"],
    }[how]
    done = subprocess.run(
        [sys.executable, *arguments],
        input=call if how == "stdin" else None,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.stderr) == (EXPECTED, "")
