"""The machine is really measured, and free memory respects every limit."""

from __future__ import annotations

from nesa_miner.measuring import free_memory, measure


def test_every_figure_of_this_machine_is_positive():
    found = measure()
    assert min(found.float32_rate, found.float64_rate, found.int8_rate) > 0
    assert min(found.memory_bandwidth, found.overhead_picoseconds) > 0
    assert found.free_memory > 0


def test_the_least_of_all_limits_counts(tmp_path):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemTotal: 9 kB\nMemAvailable: 2048 kB\n")
    assert free_memory(tmp_path) == 2 << 20
    group = tmp_path / "sys/fs/cgroup"
    group.mkdir(parents=True)
    (group / "memory.max").write_text("1000000\n")
    (group / "memory.current").write_text("400000\n")
    assert free_memory(tmp_path) == 600_000
    (group / "memory.max").write_text("max\n")
    assert free_memory(tmp_path) == 2 << 20
