"""Ctrl-C ends the command, wherever it comes."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from skwbc import cli
from skwbc.datasets import make_blood_cells, save_image_folder

MODELS = Path(__file__).parent / "models"
# Python imports it at its start. It interrupts the process while a module is loaded.
CUSTOMISED = """
import gc, signal, sys
from importlib.abc import MetaPathFinder

# Processes that are started in the background ignore interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)

def interrupt(*_):
    signal.raise_signal(signal.SIGINT)
    for _ in range(1000):
        pass

class Deleted:
    __del__ = interrupt

def in_a_callback():
    gc.callbacks.append(interrupt)
    gc.collect()
    gc.callbacks.remove(interrupt)

def caught():
    try:
        interrupt()
    except BaseException:
        pass

def turned_into_another():
    try:
        interrupt()
    except BaseException as error:
        raise ImportError("half loaded") from error

class Finder(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "{module}" and self in sys.meta_path:
            sys.meta_path.remove(self)
            {way}
        return None

sys.meta_path.insert(0, Finder())
"""
WAYS = ["Deleted()", "in_a_callback()", "caught()", "turned_into_another()"]


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("interrupted") / "cells"
    X, y = make_blood_cells(1, image_size=(24, 24), random_state=0)
    save_image_folder(X, y, folder)
    return folder


@pytest.mark.parametrize(
    ("model", "module", "way"),
    [
        *(("colours.onnx", "onnxruntime", way) for way in WAYS),
        ("colours.onnx", "typer", "interrupt()"),
        ("colours.onnx", "onnxruntime", "exec('interrupt()')"),
        ("article.joblib", "keras", "in_a_callback()"),
    ],
)
def test_an_interrupt_is_not_lost(model, module, way, images, tmp_path):
    code = CUSTOMISED.format(module=module, way=way)
    (tmp_path / "sitecustomize.py").write_text(code)
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    ended = subprocess.run(
        [sys.executable, "-m", "skwbc.cli", "predict", MODELS / model, images],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert ended.stderr == "skwbc: error: interrupted.\n"
    assert ended.returncode == 130


def test_the_handlers_of_the_caller_are_restored(capsys):
    before = signal.getsignal(signal.SIGINT), sys.unraisablehook
    assert cli.main(["--version"]) == 0
    assert (signal.getsignal(signal.SIGINT), sys.unraisablehook) == before
