"""Compiled training and prediction, shared by networks that compute the same.

A newcomer can skip this folder. It changes no results, only time and memory: without
it networks train and predict by ``train_on_batch`` and ``network(images)``.

Compiling a small network takes TensorFlow as long as ten epochs on some tens of images,
and the memory is never completely freed. A fold ensemble or a grid search trains dozens
of networks that differ only in the values of their variables. `identity` recognises
such networks by their Keras config; `trainer` and `prediction` are the entry points
used by the rest of the package, and compile once for all networks of a kind; `reuse`
lends compiled networks to one fit after the other; `tensorflow` has everything that
needs TensorFlow's own functions. On other backends nothing is shared.
"""
