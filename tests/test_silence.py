"""Nothing that is imported asks the network, or leaves files behind."""

import sys
import textwrap
from pathlib import Path

import offline
import pytest

from skwbc.datasets import make_blood_cells, save_image_folder

MODEL = Path(__file__).parent / "models" / "colours.onnx"
# ONNX Runtime asks for the address of its maker 9 s after it was imported, which is in
# the first command here.
PROGRAM = """
    import socket, time
    from importlib import import_module

    from skwbc import cli

    start = time.monotonic()
    for command in (
        "predict {model} cells",
        "train cells --model m.joblib --folds 2 --epochs 1 --image-size 16"
        " --report r.html",
        "export m.joblib m.onnx",
        "predict m.onnx cells --csv t.csv",
        "evaluate m.onnx cells --report e.html",
        "predict m.joblib cells",
    ):
        assert cli.main(command.split()) == 0, command
    for name in ("dask.distributed", "jinja2", "pooch", "skl2onnx", "tf2onnx"):
        try:
            import_module(name)
        except ModuleNotFoundError:
            pass
    time.sleep(max(0, start + 15 - time.monotonic()))
    try:
        socket.getaddrinfo("control.example", 80)
    except OSError:
        pass
"""


@pytest.mark.skipif(not offline.is_possible(), reason="needs network namespaces")
def test_no_query_and_no_file(tmp_path):
    X, y = make_blood_cells(6, image_size=(16, 16), random_state=0)
    save_image_folder(X, y, tmp_path / "cells")
    program = textwrap.dedent(PROGRAM).format(model=MODEL)
    ran = offline.run(tmp_path, sys.executable, "-c", program)
    assert ran["code"] == 0, ran["stderr"]
    # The program itself looks up one name at its end, so the server works.
    assert {*ran["queries"]} == {"control.example"}
    assert ran["connections"] == 0
    assert ran["files"] == []
