"""Private names of other packages that `skwbc.cnn` uses, and their minimum versions.

A failure lists the names that an installed version no longer has. They are used in one
module per package, `_keras_compat`, `_scikeras_compat`, `_compiled.tensorflow` and, for
JAX, `_processes`, with the reason there.
"""

import tomllib
from importlib.metadata import version
from pathlib import Path

import keras
import pytest
import tensorflow as tf
from keras.src.random import seed_generator
from packaging.requirements import Requirement
from scikeras.wrappers import KerasClassifier
from tensorflow.python.eager import context

PROJECT = tomllib.loads(
    (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
)["project"]


def test_keras():
    network = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    network.compile(loss="mse", metrics=["mae"], weighted_metrics=["mse"])
    optimizer = keras.optimizers.AdamW()
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    missing = {
        "seed_generator.python_random": not hasattr(seed_generator, "python_random"),
        "Layer._flatten_layers": not hasattr(network, "_flatten_layers"),
        "Sequential._functional": not hasattr(network, "_functional"),
        "Function._run_through_graph": not hasattr(
            keras.Function, "_run_through_graph"
        ),
        "Model._compile_metrics._user_metrics": network._compile_metrics._user_metrics
        != ["mae"],
        "Model._compile_metrics._user_weighted_metrics": (
            network._compile_metrics._user_weighted_metrics != ["mse"]
        ),
        "Optimizer._exclude_from_weight_decay": not any(
            "exclude_from" in name for name in vars(optimizer)
        ),
        "reset_metrics in train_on_batch": "reset_metrics"
        not in keras.Model.train_on_batch.__code__.co_names,
    }
    assert not [name for name, is_missing in missing.items() if is_missing]


def test_jax():
    pytest.importorskip("jax")
    from jax._src import xla_bridge

    assert xla_bridge.backends_are_initialized() in (True, False)


def test_tensorflow():
    variable = keras.Variable(1.0).value
    missing = {
        "Variable.handle": not hasattr(variable, "handle"),
        "Context._context_handle": not hasattr(context.context(), "_context_handle"),
        "a tf.Variable in keras.Variable": not isinstance(variable, tf.Variable),
    }
    assert not [name for name, is_missing in missing.items() if is_missing]


def test_scikeras():
    builds = KerasClassifier._build_keras_model.__code__.co_names
    used = ("_check_model_param", "_get_metadata", "_random_state")
    missing = [name for name in used if name not in builds]
    methods = ("_get_compile_kwargs", "_get_param_names", "_routing_prefixes")
    missing += [name for name in methods if not hasattr(KerasClassifier, name)]
    assert not missing


@pytest.mark.parametrize("name", ["keras", "scikeras", "tensorflow"])
def test_minimum_versions(name):
    requirements = map(Requirement, PROJECT["dependencies"])
    (specifier,) = (r.specifier for r in requirements if r.name == name)
    assert [each.operator for each in specifier] == [">="]
    assert specifier.contains(version(name), prereleases=True)
