"""Train with all cores, and show how far the training is."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock, get_ident
from typing import Any

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
)

from skwbc._utils.progress import listening
from skwbc.cli._data import load_keras
from skwbc.cli._display import err


def load_keras_for_training(threads: int | None) -> None:
    """Import Keras, whose networks get a number of threads each.

    By default it is one unless the environment says otherwise: rounding errors depend
    on the number, and all cores are used by training several networks at once.
    """
    if threads:
        os.environ["TF_NUM_INTRAOP_THREADS"] = str(threads)
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
    load_keras()


@contextmanager
def training() -> Iterator[None]:
    """Show folds, epochs and losses while an ensemble is fitted in the block.

    Libraries for linear algebra compute with one thread, so that the model does not
    depend on the number of cores.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1), _Display() as display, listening(display.listen):
        yield


class _Display(Progress):
    """A line for each fold that has begun, and one for all of them."""

    def __init__(self) -> None:
        super().__init__(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[text]}", style="dim"),
            console=err,
        )
        self._whole: Any = None
        # Folds in several threads report at the same time.
        self._one_at_a_time = Lock()
        # By number of the fold, and the number by thread.
        self._lines: dict[int, Any] = {}
        self._folds: dict[int, int] = {}
        # Fraction of each fold that is done, and when the first epoch had ended.
        self._done: dict[int, float] = {}
        self._first: tuple[float, float] | None = None

    def listen(self, event: str, **details: Any) -> None:
        """Show an event of :func:`skwbc._utils.progress.listening`."""
        with self._one_at_a_time:
            self._show(event, details)

    def _show(self, event: str, details: dict[str, Any]) -> None:
        fold = details.get("fold", self._folds.get(get_ident()))
        if fold is None:  # A network without an ensemble.
            return
        if "n_folds" in details and self._whole is None:
            self._whole = self.add_task("all folds", total=details["n_folds"], text="")
        if event == "fold_started":
            self._folds[get_ident()] = fold
            self._line(details)
        elif event == "epoch":
            self._show_epoch(fold, **details)
        elif event == "fold_restarted":
            name = f"fold {fold}, restart {details['restart']}"
            self.update(self._lines[fold], description=name)
        elif event == "fold_finished":
            line = self._line(details)
            total = self.tasks[line].total or 1  # It may have no epochs.
            text = f"held-out accuracy {details['score']:.3f}"
            self.update(line, completed=total, total=total, text=text)
            self.stop_task(line)
            self._done[fold] = 1
            self.update(self._whole, completed=self._n_finished(), text=self._left())

    def _line(self, details: Any) -> Any:
        fold = details["fold"]
        if fold not in self._lines:
            name = f"fold {fold} of {details['n_folds']}"
            self._lines[fold] = self.add_task(name, total=None, text="")
        return self._lines[fold]

    def _show_epoch(
        self, fold: int, *, epoch: int, epochs: int, logs: dict[str, float]
    ) -> None:
        losses = ", ".join(
            f"{name} {logs[name]:.3f}" for name in ("loss", "val_loss") if name in logs
        )
        self.update(self._lines[fold], completed=epoch, total=epochs, text=losses)
        self._done[fold] = epoch / epochs
        self.update(self._whole, text=self._left())

    def _n_finished(self) -> int:
        return sum(share == 1 for share in self._done.values())

    def _left(self) -> str:
        """Return how long all folds will take from now on, once that can be told."""
        now, n_done = time.monotonic(), sum(self._done.values())
        if self._first is None:
            # The first epoch includes the compilation.
            self._first = (now, n_done)
        since, before = self._first
        left = (self.tasks[self._whole].total or 0) - n_done
        if n_done <= before or left <= 0:
            return ""
        seconds = (now - since) / (n_done - before) * left
        if seconds > 100:
            return f"about {seconds / 60:.0f} min left"
        return f"about {max(5, 5 * round(seconds / 5))} s left"
