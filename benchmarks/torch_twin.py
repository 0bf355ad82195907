"""The compact network and its training in PyTorch, through skorch.

Layers, padding, random initial weights, optimizer, learning rates, batches,
augmentation and number of epochs are those of ``CNNClassifier`` with
``build_compact_cnn`` in the default recipe; only the library differs. The rest of the
recipe (first weights, four views of an image, class weights, and the classifier of what
frozen networks see) is left out. recognition.py compares it with the default recipe.
Import this module before TensorFlow, if both are used in one process.
"""

import math
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import torch

# Optimizers would import it later, together with Triton. If TensorFlow is already
# loaded, that aborts the process: each contains a copy of LLVM.
import torch._dynamo
from _torch_networks import CompactMaps, as_tensor
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from skorch import NeuralNetClassifier
from skorch.callbacks import LRScheduler
from torch import nn
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import Dataset

from skwbc.augmentation import AugmentedImages


class TorchTwin(ClassifierMixin, BaseEstimator):
    """Classifier of augmented images.

    Parameters
    ----------
    epochs, batch_size, learning_rate, weight_decay, warmup_fraction
        As in the :class:`~skwbc.CNNClassifier` of the default recipe.
    random_state : int, RandomState instance or None, default=None
        Seeds initial weights, order, dropout and augmentation.
    """

    def __init__(
        self,
        epochs: int = 60,
        batch_size: int = 16,
        learning_rate: float = 2e-3,
        weight_decay: float = 1e-3,
        warmup_fraction: float = 0.1,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.warmup_fraction = warmup_fraction
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> Self:
        """Train for all epochs."""
        self.classes_, codes = np.unique(y, return_inverse=True)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        steps = self.epochs * math.ceil(len(codes) / self.batch_size)
        warmup = round(self.warmup_fraction * steps)
        callbacks = [
            LRScheduler(
                LambdaLR,
                lr_lambda=lambda step: cosine(step, steps, warmup),
                step_every="batch",
            )
        ]
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.net_ = NeuralNetClassifier(
                CompactNetwork,
                module__n_classes=len(self.classes_),
                criterion=nn.CrossEntropyLoss,
                optimizer=torch.optim.AdamW,
                optimizer__weight_decay=self.weight_decay,
                optimizer__eps=1e-7,
                lr=self.learning_rate,
                max_epochs=self.epochs,
                batch_size=self.batch_size,
                iterator_train__shuffle=True,
                iterator_train__collate_fn=whole_batch,
                iterator_valid__batch_size=64,
                train_split=None,
                classes=range(len(self.classes_)),
                callbacks=callbacks,
                device="cuda" if torch.cuda.is_available() else "cpu",
                verbose=0,
            ).fit(AugmentedBatches(X, codes, seed), y=None)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return class probabilities, with columns in the order of `classes_`."""
        check_is_fitted(self)
        proba = self.net_.predict_proba(as_tensor(X)).astype(np.float64)
        return proba / proba.sum(axis=1, keepdims=True)

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


class CompactNetwork(nn.Module):
    """``build_compact_cnn`` without the softmax at the end."""

    def __init__(
        self,
        n_classes: int,
        filters: Sequence[int] = (32, 64, 128, 256),
        dropout: float = 0.3,
        channels: int = 3,
    ) -> None:
        super().__init__()
        self.maps = CompactMaps(filters, channels)
        self.dropout = nn.Dropout(dropout)
        self.dense = nn.Linear(self.maps.width, n_classes)
        for layer in (*self.maps, self.dense):
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
        nn.init.zeros_(self.dense.bias)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.dense(self.dropout(self.maps(images)))


class AugmentedBatches(Dataset):
    """Batches drawn anew in each epoch by the augmenter of the Keras network.

    Parameters
    ----------
    images : AugmentedImages
        The output of the augmenter in a pipeline.
    codes : ndarray of shape (n_samples,)
        Class numbers.
    seed : int
        Seed of the augmentation.
    """

    def __init__(self, images: AugmentedImages, codes: np.ndarray, seed: int) -> None:
        self.images = images
        self.codes = codes
        self.rng = np.random.default_rng(seed)

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, torch.Tensor]:
        images, codes = self.__getitems__([row])
        return images[0], codes[0]

    def __getitems__(self, rows: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
        images = self.images.draw(rows, self.rng)
        return as_tensor(images), torch.from_numpy(self.codes[rows])


def whole_batch(batch: Any) -> Any:
    """Return a batch as it was drawn."""
    return batch


def cosine(step: int, steps: int, warmup: int) -> float:
    """Return the learning rate of a step as a fraction of the highest rate."""
    if step < warmup:
        return step / warmup
    return (1 + math.cos(math.pi * (step - warmup) / max(steps - warmup, 1))) / 2
