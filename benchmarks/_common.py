"""Shared code of the benchmarks: machine description, timing in turn, table rows."""

import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

IMAGES = Path(__file__).parents[1] / "docs" / "images"
HEADER = """\
| what | baseline | skwbc | ratio | goal |
|---|---|---|---|---|"""


def describe_machine() -> str:
    """Return processor, accelerators and versions on one line."""
    backend = import_module("keras").backend.backend()
    packages = map(import_module, ("numpy", "sklearn", "keras", backend))
    versions = ", ".join(f"{each.__name__} {each.__version__}" for each in packages)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    devices = [f"{processor()}, {os.cpu_count()} cores, {memory:.0f} GiB", *gpus()]
    python = platform.python_version()
    return f"{'; '.join(devices)}; {platform.system()}, Python {python}, {versions}"


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2] for line in lines if line.startswith("model name")]
    return names[0].strip() if names else platform.machine()


def gpus() -> list[str]:
    try:
        listing = subprocess.run(
            ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return []
    return listing.stdout.split("\n")[:-1]


def network_pipeline(member: Any) -> Any:
    """Return the pipeline of augmenter and network of a recipe's member."""
    if hasattr(member, "named_estimators_"):
        return member.named_estimators_["network"]
    return getattr(member, "named_estimators", {"network": member})["network"]


def frozen_features(member: Any) -> Any:
    """Return the NetworkFeatures of a recipe's fitted member; None without."""
    described = getattr(member, "named_estimators_", {}).get("described")
    return described and described["features"].named_transformers["network"]


def weight(ensemble: Any) -> float:
    """Return the size of the networks of a fitted ensemble in MB."""
    networks = [network_pipeline(each)["cnn"].model_ for each in ensemble.estimators_]
    if frozen := frozen_features(ensemble.estimators_[0]):
        networks.append(frozen._encoder.network)
    return 4 * sum(network.count_params() for network in networks) / 1e6


def in_turn(
    contestants: Mapping[str, Callable[[], float | None]], rounds: int
) -> dict[str, np.ndarray]:
    """Run all in turn; return their results, or else their times in seconds."""
    results: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, run in contestants.items():
            start = time.perf_counter()
            result = run()
            seconds = time.perf_counter() - start
            results[name].append(seconds if result is None else result)
    return {name: np.array(values) for name, values in results.items()}


def print_row(
    what: str,
    baseline: np.ndarray | None,
    skwbc: np.ndarray,
    goal: str = "-",
    unit: str = "s",
) -> None:
    """Print medians with their ranges, and the median of each round's ratio."""
    if baseline is None:
        print(f"| {what} | - | {_cell(skwbc, unit)} | - | {goal} |", flush=True)
        return
    ratio = np.median(skwbc / baseline)
    cells = f"{_cell(baseline, unit)} | {_cell(skwbc, unit)} | {ratio:.2f}"
    print(f"| {what} | {cells} | {goal} |", flush=True)


def _cell(values: np.ndarray, unit: str) -> str:
    if unit == "s" and np.median(values) < 1:
        values, unit = values * 1000, "ms"
    low, middle, high = np.quantile(values, [0, 0.5, 1])
    if len(values) == 1:
        return f"{_number(middle)} {unit}"
    return f"{_number(middle)} {unit} ({_number(low)} to {_number(high)})"


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def resident() -> float:
    """Return the resident memory of this process in MB, from /proc."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def peak() -> float:
    """Return the peak of this process's resident memory in MB."""
    status = Path("/proc/self/status")
    if status.exists():
        # The child inherits the peak that getrusage reports from its parent.
        line = next(x for x in status.read_text().splitlines() if x[:5] == "VmHWM")
        return int(line.split()[1]) * 1024 / 1e6
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def run_again(*arguments: object) -> str:
    """Run the calling script with other arguments in a process of its own."""
    return subprocess.run(
        [sys.executable, sys.argv[0], *map(str, arguments)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
