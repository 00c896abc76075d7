"""Memory: what does not fit does not start; what grows too far is ended."""

from __future__ import annotations

from pathlib import Path

import pytest

from studio.core.errors import JobError
from studio.jobs.memory import MB, Claim, Memory, admit, read_memory
from studio.jobs.protocol import Started
from tests.jobs.conftest import MakePool
from tests.jobs.recorder import PATIENCE, Recorder

TASKS = "tests.jobs.misbehaving"
GB = 1000 * MB


def test_a_job_that_needs_too_much_fails_before_it_starts(make_pool: MakePool) -> None:
    recorder = Recorder()
    pool = make_pool(gauge=lambda: Memory(16 * GB, 4100 * MB))
    job = pool.submit(f"{TASKS}:echo", {}, step="calibrate", memory_bytes=12_300 * MB, on_event=recorder)
    with pytest.raises(JobError, match=r"calibrate needs about 12\.3 GB but 4\.1 GB is free\.") as caught:
        job.result(PATIENCE)
    assert caught.value.hint
    assert not recorder.of(Started)
    assert pool.submit(f"{TASKS}:echo", {"a": 1}, memory_bytes=GB).result(PATIENCE) == {"a": 1}


def test_a_job_waits_for_the_memory_that_others_promised_to_use(make_pool: MakePool, tmp_path: Path) -> None:
    pool = make_pool(2, gauge=lambda: Memory(16 * GB, 4 * GB))
    recorder = Recorder()
    payload = {"file": str(tmp_path / "go")}
    first = pool.submit(f"{TASKS}:wait_for_file", payload, memory_bytes=3 * GB, on_event=recorder)
    recorder.wait_for_log()
    second = pool.submit(f"{TASKS}:span", {}, memory_bytes=2 * GB)
    third = pool.submit(f"{TASKS}:span", {})
    assert (second.state, third.state) == ("queued", "queued")
    (tmp_path / "go").touch()
    assert first.result(PATIENCE)["end"] <= second.result(PATIENCE)["begin"]
    assert third.result(PATIENCE)


def test_idle_workers_make_room(make_pool: MakePool) -> None:
    pool = make_pool()
    pid = pool.submit(f"{TASKS}:identity", {}).result(PATIENCE)["pid"]
    # Fits once the idle worker's few megabytes are back; the gauge, being false, never sees them.
    pool2 = make_pool(gauge=lambda: Memory(16 * GB, GB))
    used = pool2.submit(f"{TASKS}:identity", {}).result(PATIENCE)["pid"]
    with pytest.raises(JobError, match=r"needs about 1\.0 GB but 1\.0 GB is free"):
        pool2.submit(f"{TASKS}:echo", {}, memory_bytes=GB + 1).result(PATIENCE)
    assert pool2.submit(f"{TASKS}:identity", {}).result(PATIENCE)["pid"] != used
    assert pool.submit(f"{TASKS}:identity", {}).result(PATIENCE)["pid"] == pid


def test_a_worker_above_its_limit_is_ended(make_pool: MakePool) -> None:
    pool = make_pool(memory_limit=200 * MB)
    with pytest.raises(JobError, match=r"prune ran out of memory: the worker used \d+ MB\.") as caught:
        pool.submit(f"{TASKS}:allocate", {}, step="prune").result(PATIENCE)
    assert caught.value.hint.startswith("Its limit is 200 MB.")
    assert pool.submit(f"{TASKS}:echo", {"a": 1}).result(PATIENCE) == {"a": 1}


def test_the_largest_worker_is_ended_when_the_machine_is_nearly_full(make_pool: MakePool) -> None:
    total = 2 * GB  # its floor is 200 MB
    readings = iter([Memory(total, GB)] * 2)
    pool = make_pool(2, gauge=lambda: next(readings, Memory(total, 150 * MB)))
    recorder = Recorder()
    small = pool.submit(f"{TASKS}:wait_for_cancel", {}, on_event=recorder)
    recorder.wait_for_log()
    with pytest.raises(JobError, match="ran out of memory") as caught:
        pool.submit(f"{TASKS}:allocate", {}).result(PATIENCE)
    assert caught.value.hint.startswith("Only 150 MB of the machine's memory was left.")
    # Ending a worker of a few megabytes would not help.
    assert small.state == "running"


def test_a_worker_whose_task_ran_out_of_memory_is_replaced(make_pool: MakePool) -> None:
    pool = make_pool()
    pid = pool.submit(f"{TASKS}:identity", {}).result(PATIENCE)["pid"]
    with pytest.raises(JobError, match="ran out of memory: Unable to allocate"):
        pool.submit(f"{TASKS}:fail", {"with": "memory"}).result(PATIENCE)
    assert pool.submit(f"{TASKS}:identity", {}).result(PATIENCE)["pid"] != pid


@pytest.mark.parametrize(
    ("need", "running", "idle", "free", "expected"),
    [
        (4, [], 0, 4, "start"),
        (5, [], 0, 4, "refuse"),
        (5, [], 1, 4, "wait"),
        (3, [Claim(2, 1)], 0, 4, "start"),
        (4, [Claim(2, 1)], 0, 4, "wait"),
        (5, [Claim(2, 1)], 0, 4, "wait"),
        (6, [Claim(2, 1)], 0, 4, "refuse"),
        (4, [Claim(2, 3)], 0, 4, "start"),
    ],
)
def test_admission(need: int, running: list[Claim], idle: int, free: int, expected: str) -> None:
    assert admit(need, running, idle, Memory(16, free)) == expected


@pytest.mark.parametrize(("total", "floor"), [(1, 100), (3, 300), (4, 300), (8, 400), (24, 1000), (512, 1000)])
def test_the_floor_suits_the_machine(total: int, floor: int) -> None:
    assert Memory(total * GB, 0).floor() == floor * MB


def test_the_machine_has_memory() -> None:
    memory = read_memory()
    assert 0 < memory.available <= memory.total


def group(root: Path, folder: str, contents: dict[str, str]) -> None:
    for name, text in contents.items():
        path = root / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_control_groups_version_2_are_honoured_up_to_the_root(tmp_path: Path) -> None:
    group(tmp_path, "proc/self", {"cgroup": "0::/pod/job\n"})
    stat = "anon 5\ninactive_file 100000000\n"
    outer = {"memory.max": "1000000000\n", "memory.current": "700000000\n", "memory.stat": stat}
    group(tmp_path, "sys/fs/cgroup/pod", outer)
    inner = {"memory.max": "max\n", "memory.high": "max\n", "memory.current": "5\n", "memory.stat": stat}
    group(tmp_path, "sys/fs/cgroup/pod/job", inner)
    assert read_memory(tmp_path) == Memory(1000 * MB, 400 * MB)


def test_a_containers_own_group_is_found_by_the_hosts_path(tmp_path: Path) -> None:
    group(tmp_path, "proc/self", {"cgroup": "0::/docker/0123\n"})
    contents = {"memory.high": "500000000\n", "memory.max": "max", "memory.current": "600000000", "memory.stat": ""}
    group(tmp_path, "sys/fs/cgroup", contents)
    assert read_memory(tmp_path) == Memory(500 * MB, 0)


def test_control_groups_version_1_are_honoured(tmp_path: Path) -> None:
    group(tmp_path, "proc/self", {"cgroup": "3:cpu:/\n2:hugetlb,memory:/job\n"})
    stat = "inactive_file 1\ntotal_inactive_file 50000000\n"
    contents = {"memory.limit_in_bytes": "300000000", "memory.usage_in_bytes": "150000000", "memory.stat": stat}
    group(tmp_path, "sys/fs/cgroup/memory/job", contents)
    assert read_memory(tmp_path) == Memory(300 * MB, 200 * MB)


@pytest.mark.parametrize("text", ["", "nonsense", "0::/\n"])
def test_without_control_groups_the_machine_counts(tmp_path: Path, text: str) -> None:
    group(tmp_path, "proc/self", {"cgroup": text})
    assert read_memory(tmp_path).total == read_memory(tmp_path / "none").total
