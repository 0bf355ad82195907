"""Time what it costs to compare images with the training images.

    python benchmarks/typicality_cost.py --data ../shared/data

Trains recipes on 76 cells of three types of BCCD and predicts others, in turn with and
without typicality, whose steps are then left out. Prints a Markdown table of processor
time: the median without ("baseline") and with it, and that of the rounds' ratios.
"""

import argparse
import os
import time
import warnings
from collections import OrderedDict
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from functools import partial
from pathlib import Path
from unittest.mock import patch

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from _common import HEADER, describe_machine, in_turn, print_row
from cores import load_cells

from skwbc import make_cell_classifier
from skwbc._utils import row_cache
from skwbc.ensemble import _members, _together


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default="../shared/data")
    parser.add_argument("--recipes", nargs="+", default=["compact", "features"])
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    print(describe_machine(), end="\n\n")
    print(HEADER)
    cells, train = load_cells(arguments.data)
    X, y = cells.images, cells.target
    new = np.delete(X, train, axis=0)[:100]
    for recipe in arguments.recipes:
        models = {}
        for which in CONTEXTS:
            models[which] = make_cell_classifier(recipe, random_state=0)
            seconds(which, models[which].fit, X[train], y[train])
        parts = {
            "fit": ("fit", (X[train], y[train]), arguments.rounds),
            "100 images": ("predict_proba", (new,), arguments.rounds),
            "one image": ("predict_proba", (new[:1],), 10 * arguments.rounds),
        }
        for part, (method, data, rounds) in parts.items():
            runs = {
                which: partial(seconds, which, getattr(model, method), *data)
                for which, model in models.items()
            }
            times = in_turn(runs, rounds)
            print_row(f"{recipe}, {part}", times["without"], times["with"])


def left_out() -> ExitStack:
    """Return a context without the descriptions of images that are compared."""
    stack = ExitStack()
    stack.enter_context(patch.object(_members, "as_tables", lambda spaces: []))
    no_spaces = patch.object(_together, "_spaces_of_step", lambda step, X: [])
    stack.enter_context(no_spaces)
    return stack


CONTEXTS = {"without": left_out, "with": nullcontext}


def seconds(which: str, run: Callable, *data: np.ndarray) -> float:
    """Return the processor time of a call that has seen no image before."""
    with patch.multiple(row_cache, _rows=OrderedDict()), CONTEXTS[which]():
        start = time.process_time()
        run(*data)
        return time.process_time() - start


if __name__ == "__main__":
    main()
