"""Engines when workers die, when the parent dies, and when nothing can be started."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from segrecord.errors import EngineError
from segrecord.executors import EngineFailure, LocalEngine

sys.path.append(str(Path(__file__).parents[1] / "contract"))  # workers get the parent's sys.path
import engine_functions as work

posix = pytest.mark.skipif(os.name != "posix", reason="signals are POSIX")


def alive(pid):
    """Whether the process runs; a zombie that waits for its parent to look does not."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except ProcessLookupError:
        return False
    except FileNotFoundError:  # no /proc (macOS), or gone between the two
        return not Path("/proc").exists()


def wait_until(holds, seconds):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


@posix
@pytest.mark.parametrize("workers", [1, 2])
def test_a_killer_is_named_with_its_file_and_the_others_go_on(workers, capfd):
    with LocalEngine(workers) as engine:
        results = dict(engine.run(work.die_on_three, range(20)))
    failure = results.pop(3)
    assert results == {n: n for n in range(20) if n != 3}
    assert failure == EngineFailure(
        3,
        "worker died with signal 9 (SIGKILL), as when memory runs out; "
        "it said: libpng: cannot go on",
        "/data/läsion 3.png",
    )
    assert capfd.readouterr() == ("", "")


def test_where_every_task_kills_its_worker_every_task_is_named():
    with LocalEngine(2) as engine:
        results = dict(engine.run(work.exit_always, range(4)))
    assert results == {
        n: EngineFailure(n, "worker exited with status 7", f"/data/{n}.png") for n in range(4)
    }


def test_a_killer_is_run_twice_and_no_more(tmp_path):
    log = tmp_path / "log"
    with LocalEngine(2) as engine:
        list(engine.run(work.exit_counted, [str(log)]))
    pids = log.read_text().split()
    assert len(pids) == len(set(pids)) == 2


def test_a_task_that_kills_only_once_is_run_again_in_a_fresh_worker(tmp_path):
    with LocalEngine(1) as engine:
        markers = [str(tmp_path / str(n)) for n in range(3)]
        results = dict(engine.run(work.exit_first_time, markers))
    assert sorted(results) == [0, 1, 2]
    assert all(first != second for first, second in results.values())


@posix
def test_a_worker_killed_from_outside_costs_no_result():
    with LocalEngine(2) as engine:
        results = {}
        for number, result in engine.run(work.wait_and_double, range(60)):
            results[number] = result
            if len(results) in (10, 30):
                os.kill(engine._workers[0].process.pid, signal.SIGKILL)
    assert results == {n: 2 * n for n in range(60)}


@posix
def test_workers_that_died_between_two_runs_are_replaced():
    with LocalEngine(2) as engine:
        list(engine.run(work.double, range(4)))
        for worker in engine._workers:
            os.kill(worker.process.pid, signal.SIGKILL)
            worker.process.wait()
        assert dict(engine.run(work.double, range(4))) == {0: 0, 1: 2, 2: 4, 3: 6}


@posix
def test_workers_killed_while_they_start_are_replaced():
    with LocalEngine(2) as engine:
        for worker in engine._workers:
            os.kill(worker.process.pid, signal.SIGKILL)
        assert dict(engine.run(work.double, range(4))) == {0: 0, 1: 2, 2: 4, 3: 6}


def test_workers_that_can_never_start_are_an_error_that_says_why():
    with (
        LocalEngine(2, preload=["no_such_module"]) as engine,
        pytest.raises(EngineError, match=r"cannot start: .*No module named 'no_such_module'"),
    ):
        list(engine.run(work.double, range(4)))


def test_a_python_that_is_not_there_is_an_error(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(EngineError, match="cannot be started"), LocalEngine(1):
        pass
    monkeypatch.setattr(sys, "executable", "")
    with pytest.raises(EngineError, match=r"sys\.executable"), LocalEngine(1):
        pass


def test_a_function_that_workers_cannot_import_is_an_error():
    def local():
        pass

    def of_main(task):
        pass

    of_main.__module__ = "__main__"
    with LocalEngine(1) as engine:
        with pytest.raises(EngineError, match="cannot be sent to workers"):
            engine.run(local, [1])
        with pytest.raises(EngineError, match="defined in __main__, which workers do not import"):
            engine.run(of_main, [1])


def test_a_function_that_only_the_parent_has_is_an_error(monkeypatch):
    monkeypatch.setattr(work, "late", work.double, raising=False)
    monkeypatch.setattr(work.double, "__qualname__", "late")
    with LocalEngine(1) as engine, pytest.raises(EngineError, match="cannot load the function"):
        list(engine.run(work.double, [1]))


def test_a_closed_engine_and_a_second_run_at_once_are_refused():
    engine = LocalEngine(1)
    with pytest.raises(EngineError, match="closed"):
        engine.run(work.double, [1])
    with engine:
        first = engine.run(work.double, range(9))
        next(first)
        with pytest.raises(EngineError, match="finish that"):
            next(engine.run(work.double, [1]))
        assert len(list(first)) == 8
    with pytest.raises(EngineError, match="closed"):
        engine.run(work.double, [1])


@pytest.mark.parametrize("how", ["exit", "close", "interrupt"])
def test_leaving_in_mid_run_ends_the_workers_at_once(how, tmp_path):
    marker = tmp_path / "stalled"

    def tasks():
        yield 1
        yield str(marker)
        wait_until(marker.exists, 10)
        if how == "interrupt":
            raise KeyboardInterrupt
        yield 2

    with LocalEngine(2) as engine:
        pids = [worker.process.pid for worker in engine._workers]
        run = engine.run(work.stall, tasks())
        assert next(run) == (0, 1)
        begun = time.monotonic()
        if how == "exit":
            engine.__exit__(None, None, None)
        elif how == "close":
            run.close()
        else:
            with pytest.raises(KeyboardInterrupt):
                next(run)
        assert not any(alive(pid) for pid in pids)
        assert time.monotonic() - begun < 2


@posix
def test_nothing_is_left_in_the_temporary_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with LocalEngine(2) as engine:
        dict(engine.run(work.die_on_three, range(8)))
        assert list(tmp_path.iterdir()) == []  # anonymous even while it runs


def test_noise_on_stderr_does_not_fill_the_disk():
    with LocalEngine(1) as engine:
        [(_, noisy)] = engine.run(work.shout, [None])
        [(_, after)] = engine.run(work.stderr_size, [None])
    assert noisy > 2 << 20
    assert after < 1 << 20


STALL = """
import sys
sys.path.insert(0, {folder!r})
from segrecord.executors import LocalEngine
import engine_functions
with LocalEngine(2) as engine:
    print(*[worker.process.pid for worker in engine._workers], flush=True)
    try:
        list(engine.run(engine_functions.stall, [{first!r}, {second!r}]))
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""


@pytest.fixture
def stalled(tmp_path):
    """A process in its own group whose two workers stall in a task; and the workers' pids."""
    files = [tmp_path / "first", tmp_path / "second"]
    call = STALL.format(
        folder=str(Path(work.__file__).parent), first=str(files[0]), second=str(files[1])
    )
    process = subprocess.Popen(
        [sys.executable, "-c", call],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        pids = [int(pid) for pid in process.stdout.readline().split()]
        wait_until(lambda: all(file.exists() for file in files), 20)
        assert all(alive(pid) for pid in pids)
        yield process, pids
        process.kill()


@posix
def test_workers_end_in_the_middle_of_a_task_when_the_parent_is_killed(stalled):
    process, pids = stalled
    process.kill()
    wait_until(lambda: not any(alive(pid) for pid in pids), 2)


@posix
def test_an_interrupt_of_the_group_is_the_parents_alone(stalled):
    process, pids = stalled
    os.killpg(process.pid, signal.SIGINT)
    assert process.communicate(timeout=10) == ("interrupted\n", "")
    assert process.returncode == 0
    assert not any(alive(pid) for pid in pids)


@posix
def test_workers_pass_over_an_interrupt(stalled):
    process, pids = stalled
    for pid in pids:
        os.kill(pid, signal.SIGINT)
    time.sleep(0.3)
    assert all(alive(pid) for pid in pids)
    assert process.poll() is None
