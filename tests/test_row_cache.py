"""Threads share the rows that they compute."""

import threading

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skwbc._utils import row_cache

IMAGES = np.arange(100, dtype=np.float32).reshape(50, 2)


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch):
    monkeypatch.setattr(row_cache, "_rows", row_cache.OrderedDict())


def in_threads(compute, n_threads=4):
    """Return what each thread gets: rows, or an error."""
    results = []

    def run():
        try:
            results.append(row_cache.cached_rows(IMAGES, compute, "key"))
        except ZeroDivisionError as error:
            results.append(error)

    threads = [threading.Thread(target=run, daemon=True) for _ in range(n_threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert len(results) == n_threads
    return results


def test_each_row_is_computed_once():
    computed = []
    both = threading.Barrier(2, timeout=30)

    def compute(images):
        computed.extend(images[:, 0].tolist())
        if len(computed) <= 32:  # Two threads are here at the same time.
            both.wait()
        return images * 2

    for rows in in_threads(compute):
        assert_array_equal(rows, IMAGES * 2)
    assert sorted(computed) == IMAGES[:, 0].tolist()


def test_rows_of_a_thread_that_failed_are_computed_by_another():
    calls = []

    def compute(images):
        calls.append(None)
        if len(calls) == 1:
            raise ZeroDivisionError
        return images * 2

    results = in_threads(compute)
    failed = [each for each in results if isinstance(each, Exception)]
    assert len(failed) == 1
    for rows in results:
        if rows is not failed[0]:
            assert_array_equal(rows, IMAGES * 2)


def test_equal_images_and_rows_that_are_too_long_to_keep(monkeypatch):
    monkeypatch.setattr(row_cache, "_LONGEST", 0)
    twice = np.concatenate([IMAGES[:3], IMAGES[:3]])
    rows = row_cache.cached_rows(twice, lambda images: images + 1, "key")
    assert_array_equal(rows, twice + 1)
    assert not row_cache._rows
