"""Convolutional networks as scikit-learn classifiers. The only room that needs Keras.

Importing it imports Keras and its backend, which takes some seconds.
"""

from skwbc.cnn._threads import share_cores

share_cores()

from skwbc.cnn._architectures import build_article_cnn, build_compact_cnn  # noqa: E402
from skwbc.cnn._classifier import CNNClassifier  # noqa: E402

__all__ = ["CNNClassifier", "build_article_cnn", "build_compact_cnn"]
