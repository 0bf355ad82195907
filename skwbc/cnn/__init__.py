"""Convolutional networks as scikit-learn classifiers; the only folder that needs Keras.

Importing it imports Keras and its backend, which takes some seconds.
"""

import os
import sys
from contextlib import nullcontext
from multiprocessing import current_process

from skwbc._utils.silence import silent_stderr

# joblib and Dask limit the threads of their workers by OMP_NUM_THREADS. TensorFlow
# ignores that variable and would start one thread per core in every worker. Its own
# variable has to be set before it is imported; a value set by the user is kept. In
# joblib's workers it is always one, or a network would depend on their number.
_threads = os.environ.get("OMP_NUM_THREADS", "")
if current_process().name.startswith("LokyProcess"):
    _threads = "1"
if _threads.isdigit() and int(_threads) and "tensorflow" not in sys.modules:
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", _threads)

# A notebook shows on red ground whatever TensorFlow says.
_in_notebook = "ipykernel" in sys.modules and "tensorflow" not in sys.modules
if _in_notebook:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
with silent_stderr() if _in_notebook else nullcontext():
    from skwbc.cnn import _keras_compat as _keras_compat  # imports Keras first

from skwbc.cnn._architectures import (  # noqa: E402
    build_article_cnn,
    build_compact_cnn,
    build_residual_cnn,
)
from skwbc.cnn._classifier import CNNClassifier  # noqa: E402
from skwbc.cnn._features import NetworkFeatures  # noqa: E402
from skwbc.cnn._frozen import (  # noqa: E402
    KerasEncoder as KerasEncoder,  # their address in pickles
    OnnxEncoder as OnnxEncoder,
    share_encoder as share_encoder,
)

__all__ = [
    "CNNClassifier",
    "NetworkFeatures",
    "build_article_cnn",
    "build_compact_cnn",
    "build_residual_cnn",
]
