"""Keeping networks in several processes from taking more threads than cores."""

import os
import sys


def share_cores() -> None:
    """Hand the limit that joblib and Dask set for their workers on to TensorFlow.

    They tell a worker its share of the cores by ``OMP_NUM_THREADS``, which TensorFlow
    does not heed: without this each worker would start a thread for every core. It has
    to be done before TensorFlow is loaded, and gives way to what the user has set.
    """
    share = os.environ.get("OMP_NUM_THREADS", "")
    if share.isdigit() and int(share) and "tensorflow" not in sys.modules:
        os.environ.setdefault("TF_NUM_INTRAOP_THREADS", share)
