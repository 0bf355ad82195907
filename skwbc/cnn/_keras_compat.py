"""The only module that uses private names of Keras.

Each function says why nothing public does the same. What is public but known to few,
such as ``Optimizer.update_step`` for subclasses, may be used anywhere.
``tests/cnn/test_private_names_of_keras.py`` names what a new version has removed.
"""

import os
import random
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any

# Keras would write its default settings to a file in the home folder. No option
# prevents it, so in the meantime its folder is one that cannot exist.
_folder = os.path.join(os.path.expanduser("~"), ".keras")
_writes = not {"keras", "keras.src"} & sys.modules.keys()
_writes &= "KERAS_HOME" not in os.environ
_writes &= not os.path.exists(os.path.join(_folder, "keras.json"))
if _writes:
    os.environ["KERAS_HOME"] = os.devnull
import keras  # noqa: E402
from keras.src.backend import config  # noqa: E402
from keras.src.random import seed_generator  # noqa: E402

if _writes:
    del os.environ["KERAS_HOME"]
    config._KERAS_DIR = _folder

# seed_generator is a module and is changed for a while, so one network is built at a
# time; PyTorch has one generator, so one network is trained there at a time.
_building, _training = threading.RLock(), threading.RLock()


class _ThreadRandom:
    """Stand-in for the module ``random``, with a generator of its own for one thread.

    Other threads, and all names except ``randint``, get Python's module.
    """

    def __init__(self, seed: int) -> None:
        self._generator = random.Random(seed)
        self._thread = threading.get_ident()

    def randint(self, low: int, high: int) -> int:
        """Draw an integer."""
        is_builder = threading.get_ident() == self._thread
        return (self._generator if is_builder else random).randint(low, high)

    def __getattr__(self, name: str) -> Any:
        return getattr(random, name)


@contextmanager
def seeded_build(seed: int) -> Iterator[None]:
    """Derive the seeds of the layers that this thread makes in the block from `seed`.

    Keras seeds initialisers and dropout layers when they are made, with numbers from
    Python's global ``random``. The public ``keras.utils.set_random_seed`` seeds the
    global generators of Python, NumPy and the backend, and other threads that draw from
    them would change the network. Here Keras temporarily gets a generator of its own;
    no global generator is touched, nor the determinism of TensorFlow's operations.

    Parameters
    ----------
    seed : int
        The same seed gives the same initial weights and dropout.
    """
    with _building:
        original = seed_generator.python_random
        seed_generator.python_random = _ThreadRandom(seed)
        try:
            yield
        finally:
            seed_generator.python_random = original


@contextmanager
def seeded_training(seed: int) -> Iterator[None]:
    """Derive the dropout masks in the block from `seed` on PyTorch as well.

    On PyTorch Keras' dropout draws from PyTorch's global generator, whatever the seed
    of the layer. The generator's state is restored after the block, which other
    threads wait for. On other backends the layers' own seeds are used and nothing is
    done here.

    Parameters
    ----------
    seed : int
        From 0 to 2**32 - 1.
    """
    if keras.backend.backend() != "torch":
        yield
        return
    torch: Any = import_module("torch")
    with _training, torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


def layers_of(network: keras.Model) -> list[keras.layers.Layer]:
    """Return a network and all layers in it, at any depth.

    The public ``Model.layers`` has the outermost layers only, and layers inside
    wrappers such as ``TimeDistributed`` are in no public list.
    """
    return network._flatten_layers()


def run_through_layers(
    network: keras.Model,
    inputs: Sequence[Any],
    call_layer: Callable[..., Any],
) -> Any:
    """Run tensors through a network one layer at a time, into nested networks.

    The public ``keras.models.clone_model`` takes a function that calls the layers, too,
    but neither for ``Sequential`` networks nor for networks inside others.

    Parameters
    ----------
    network : keras.Model
        A functional or sequential network.
    inputs : sequence of tensors
        Its inputs.
    call_layer : callable
        Gets a layer and its arguments, and returns the layer's outputs.

    Returns
    -------
    tensor or structure of tensors
        The network's outputs.
    """

    def operation_fn(layer: Any) -> Callable[..., Any]:
        if hasattr(_graph_of(layer), "_run_through_graph"):
            return lambda *nested, **_: run_through_layers(layer, nested, call_layer)
        return lambda *args, **kwargs: call_layer(layer, *args, **kwargs)

    return _graph_of(network)._run_through_graph(inputs, operation_fn=operation_fn)


def _graph_of(network: Any) -> Any:
    # A Sequential keeps its graph in an attribute.
    return getattr(network, "_functional", network)


def metrics_of(network: keras.Model) -> list[keras.Metric]:
    """Return the metric objects of a compiled network, in the order of their results.

    The public ``Model.metrics`` has those given to ``compile`` only after a first step.
    """
    compiled = network._compile_metrics
    own = [metric for metric in network.metrics if metric is not compiled]
    passed = (
        [compiled._user_metrics, compiled._user_weighted_metrics] if compiled else []
    )
    metrics = keras.tree.flatten([passed, own])
    return [each for each in metrics if isinstance(each, keras.Metric)]


def run_batches(
    network: keras.Model,
    kind: str,
    batches: Iterable[Sequence[Any]],
    convert: Callable[[dict[str, Any]], dict[str, float]],
) -> dict[str, float]:
    """Take Keras' training or test steps, and return the metrics over all batches.

    ``train_on_batch`` and ``test_on_batch`` reset the metrics before each batch, and
    not all metrics are means that could be averaged afterwards. ``Model.fit`` does not
    reset them, but its data pipeline takes a third of the time on small sets of images.
    So the method that resets them is replaced between the first and the last batch.

    Parameters
    ----------
    network : keras.Model
        Compiled.
    kind : {"train", "test"}
        Whether to train.
    batches : iterable of tuple
        Images, targets and weights (or None).
    convert : callable
        Converts the metrics after each batch, and may raise an error.
    """
    step = getattr(network, f"{kind}_on_batch")
    logs: dict[str, float] = {}
    network.reset_metrics()
    try:
        for batch in batches:
            logs = convert(step(*batch, return_dict=True))
            network.reset_metrics = lambda: None
    finally:
        vars(network).pop("reset_metrics", None)
    return logs


def has_hidden_settings(network: keras.Model) -> bool:
    """Return whether a compiled network has settings that its config does not contain.

    These are methods replaced on the instance, and variables exempt from weight decay:
    ``exclude_from_weight_decay`` is public, but no public name returns what it set.
    """
    methods = {"train_step", "test_step", "call", "compute_loss", "compute_metrics"}
    return bool(methods & vars(network).keys()) or any(
        "exclude_from" in name for name in vars(network.optimizer)
    )
