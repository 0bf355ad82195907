"""scikit-learn's checks of estimators, for images.

``check_estimator`` skips nearly all of its checks for estimators of images. Those that
need no data run here; the others are rewritten for images under the same names.
"""

import pickle
import subprocess
import sys

import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import estimator_checks

from skwbc import ColourStatistics, FlattenImages, ImageAugmenter
from skwbc.augmentation import AugmentedImages

RANDOM = {
    "rotation_range": 180,
    "width_shift_range": 0.1,
    "height_shift_range": [1, 3],
    "shear_range": 10,
    "zoom_range": (0.9, 1.2),
    "horizontal_flip": True,
    "vertical_flip": True,
    "channel_shift_range": 0.1,
    "brightness_range": (0.9, 1.1),
    "stain_jitter": 0.05,
    "random_state": 0,
}
STANDARD = {
    "rescale": 0.5,
    "samplewise_std_normalization": True,
    "featurewise_std_normalization": True,
}
ESTIMATORS = [
    ImageAugmenter(),
    ImageAugmenter(**STANDARD),
    ImageAugmenter(samplewise_center=True, zca_whitening=True),
    ImageAugmenter(**RANDOM),
    ImageAugmenter(**RANDOM, **STANDARD),
    FlattenImages(),
]


@pytest.fixture(params=ESTIMATORS, ids=str)
def estimator(request):
    return clone(request.param)


def values(X):
    return np.asarray(X)


@pytest.mark.parametrize(
    "check",
    [
        estimator_checks.check_do_not_raise_errors_in_init_or_set_params,
        estimator_checks.check_estimator_cloneable,
        estimator_checks.check_estimator_repr,
        estimator_checks.check_estimator_tags_renamed,
        estimator_checks.check_get_params_invariance,
        estimator_checks.check_mixin_order,
        estimator_checks.check_no_attributes_set_in_init,
        estimator_checks.check_parameters_default_constructible,
        estimator_checks.check_set_params,
        estimator_checks.check_valid_tag_types,
    ],
    ids=lambda check: check.__name__,
)
def test_checks_without_data(estimator, check):
    check(type(estimator).__name__, estimator)


def test_check_estimators_fit_returns_self(estimator, noise):
    assert estimator.fit(noise) is estimator


def test_check_fit_check_is_fitted(estimator, noise):
    with pytest.raises(NotFittedError, match="not fitted yet"):
        estimator.transform(noise)
    estimator.fit(noise)
    with pytest.raises(NotFittedError):
        clone(estimator).transform(noise)


def test_check_estimators_overwrite_params(estimator, noise):
    before = joblib.hash(estimator.get_params())
    estimator.fit_transform(noise)
    assert joblib.hash(estimator.get_params()) == before


def test_check_dont_overwrite_attributes(estimator, noise):
    before = set(vars(estimator))
    estimator.fit(noise)
    new = set(vars(estimator)) - before
    assert new
    assert all(name.endswith("_") or name.startswith("_") for name in new)


def test_check_dict_unchanged(estimator, noise):
    estimator.fit(noise)
    before = joblib.hash(vars(estimator))
    estimator.transform(noise)
    assert joblib.hash(vars(estimator)) == before


def test_check_input_is_not_changed(estimator, noise):
    before = noise.copy()
    values(estimator.fit_transform(noise))
    estimator.transform(noise)
    assert_array_equal(noise, before)


def test_check_fit_idempotent(estimator, noise):
    first = values(estimator.fit_transform(noise))
    assert_array_equal(values(estimator.fit_transform(noise)), first)
    once = estimator.fit(noise).transform(noise)
    assert_array_equal(estimator.fit(noise).transform(noise), once)


def test_check_transformer_general(estimator, noise):
    expected = estimator.fit(noise).transform(noise)
    result = clone(estimator).fit_transform(noise, [0, 1] * 3)
    if isinstance(result, AugmentedImages):
        assert result.shape == expected.shape
        assert not np.allclose(values(result), expected)
    else:
        assert_array_equal(result, expected)


def test_check_methods_subset_and_order_invariance(estimator, noise):
    whole = estimator.fit(noise).transform(noise)
    order = [4, 0, 3]
    assert_allclose(estimator.transform(noise[order]), whole[order], rtol=1e-4)
    singly = np.concatenate([estimator.transform(image[np.newaxis]) for image in noise])
    assert_allclose(singly, whole, rtol=1e-4, atol=1e-6)


def test_check_estimators_pickle(estimator, noise, tmp_path):
    expected = estimator.fit(noise).transform(noise)
    assert_array_equal(pickle.loads(pickle.dumps(estimator)).transform(noise), expected)
    joblib.dump((estimator, noise, expected), tmp_path / "all.joblib")
    code = (
        "import joblib, numpy; "
        f"e, X, out = joblib.load({str(tmp_path / 'all.joblib')!r}); "
        "print(numpy.array_equal(e.transform(X), out))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout.strip() == "True", run.stderr


def test_check_readonly_memmap_input(estimator, noise, tmp_path):
    np.save(tmp_path / "x.npy", noise)
    X = np.load(tmp_path / "x.npy", mmap_mode="r")
    result = values(clone(estimator).fit_transform(X))
    assert_array_equal(result, values(clone(estimator).fit_transform(noise)))
    assert_array_equal(
        values(estimator.fit(X).transform(X)), estimator.fit(noise).transform(noise)
    )


@pytest.mark.parametrize(
    "dtype", ["float32", "float64", "uint8", "uint16", "int32", bool]
)
def test_check_transformer_preserve_dtypes(estimator, noise, dtype):
    if isinstance(estimator, FlattenImages):
        X = noise.astype(dtype)
        assert estimator.fit_transform(X).dtype == dtype
        return
    X = (noise > 0.5) if dtype is bool else (noise * 200).astype(dtype)
    X.setflags(write=False)
    result = estimator.fit_transform(X)
    assert result.dtype == values(result).dtype == np.float32
    assert estimator.transform(X).dtype == np.float32
    # The data type does not change the meaning of the values.
    if dtype is not bool:
        same = clone(estimator).fit(np.float32(X)).transform(np.float32(X))
        assert_allclose(estimator.transform(X), same, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "lay_out",
    [
        np.asfortranarray,
        lambda X: X[::-1, :, ::-1],
        lambda X: X[:, ::2],
        np.ndarray.tolist,
    ],
    ids=["fortran", "reversed", "strided", "list"],
)
def test_check_f_contiguous_array_estimator(estimator, noise, lay_out):
    X = lay_out(noise)
    plain = np.ascontiguousarray(X, dtype=np.float32)
    result = values(clone(estimator).fit_transform(X))
    assert_allclose(result, values(clone(estimator).fit_transform(plain)), atol=1e-6)


@pytest.mark.parametrize("n_channels", [1, 3, 5])
def test_check_channels_first(noise, n_channels):
    X = np.concatenate([noise, noise[::-1]], axis=3)[..., :n_channels]
    options = {**RANDOM, **STANDARD}
    if n_channels != 3:
        options.pop("stain_jitter")
    last = values(ImageAugmenter(**options).fit_transform(X))
    augmenter = ImageAugmenter(**options, data_format="channels_first")
    first = values(augmenter.fit_transform(np.moveaxis(X, -1, 1)))
    assert augmenter.image_shape_ == (n_channels, 13, 10)
    assert_allclose(np.moveaxis(first, 1, -1), last, atol=1e-5)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.zeros((5, 8, 8)), r"without a channel axis pass X\[..., np.newaxis\]"),
        (np.zeros((5, 64)), "expected images of shape .n_samples, height, width, chan"),
        (np.zeros((0, 8, 8, 3)), "0 sample"),
        (np.zeros((2, 0, 8, 3)), "height, width and channels must be at least 1"),
        (np.zeros((2, 8, 8, 3), object), "real numeric data type"),
        (np.full((2, 8, 8, 3), "a"), "real numeric data type"),
        (np.zeros((2, 8, 8, 3), complex), "real numeric data type"),
        ([np.zeros((8, 8, 3)), np.zeros((9, 8, 3))], "images of one shape"),
        (None, "real numeric data type"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_check_wrong_images(estimator, noise, X, message):
    with pytest.raises(ValueError, match=message):
        clone(estimator).fit(X)
    with pytest.raises(ValueError, match=message):
        estimator.fit(noise).transform(X)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_check_estimators_nan_inf(noise, value):
    X = noise.astype(float)
    X[[1, 4], 5, 5, 2] = value
    message = r"NaN or infinity .*at positions 1, 4,"
    for augmenter in (ImageAugmenter(), ImageAugmenter(**RANDOM)):
        with pytest.raises(ValueError, match=message):
            augmenter.fit(X)
        augmenter.fit(noise)
        with pytest.raises(ValueError, match=message):
            augmenter.transform(X)


def test_check_n_features_in(estimator, noise):
    estimator.fit(noise)
    assert estimator.image_shape_ == (13, 10, 3)
    message = (
        r"fitted on images of shape \(13, 10, 3\) \(height, width, channels\), but X "
        r"has images of shape \(10, 10, 3\)"
    )
    with pytest.raises(ValueError, match=message):
        estimator.transform(noise[:, :10])


def test_channels_first_messages(noise):
    augmenter = ImageAugmenter(data_format="channels_first")
    with pytest.raises(ValueError, match=r"pass X\[:, np.newaxis\]"):
        augmenter.fit(noise[..., 0])
    augmenter.fit(np.moveaxis(noise, -1, 1))
    with pytest.raises(ValueError, match=r"\(3, 13, 10\) \(channels, height, width\)"):
        augmenter.transform(noise)
    with pytest.raises(ValueError, match="is for RGB images.* 13 channels"):
        augmenter.set_params(stain_jitter=0.1).fit(noise)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"rotation_range": -1}, "The 'rotation_range' parameter"),
        ({"rotation_range": "90"}, "The 'rotation_range' parameter"),
        ({"width_shift_range": -0.1}, "The 'width_shift_range' parameter"),
        ({"width_shift_range": -3}, "The 'width_shift_range' parameter"),
        ({"width_shift_range": []}, "width_shift_range=..: expected a fraction"),
        ({"height_shift_range": [1, np.nan]}, "height_shift_range=.1, nan.: expected"),
        ({"height_shift_range": [[1], [2, 3]]}, "height_shift_range=.*: expected"),
        ({"shear_range": 90}, "The 'shear_range' parameter"),
        ({"zoom_range": 1.5}, "The 'zoom_range' parameter"),
        ({"zoom_range": (1.2, 0.8)}, "zoom_range=.1.2, 0.8.: expected"),
        ({"zoom_range": (0.0, 1.0)}, "zoom_range"),
        ({"zoom_range": (0.8, 1.0, 1.2)}, "zoom_range"),
        ({"zoom_range": ("a", "b")}, "zoom_range"),
        ({"channel_shift_range": -5}, "The 'channel_shift_range' parameter"),
        ({"brightness_range": 0.5}, "The 'brightness_range' parameter"),
        (
            {"brightness_range": (-0.1, 1)},
            "brightness_range=.*: expected None or a pair",
        ),
        ({"brightness_range": (1.2, 0.8)}, "brightness_range=.*: expected None or"),
        ({"stain_jitter": -0.1}, "The 'stain_jitter' parameter"),
        ({"stain_jitter": (1.0, 0.1)}, "stain_jitter=.1.0, 0.1.: expected a number"),
        ({"fill_mode": "mirror"}, "The 'fill_mode' parameter"),
        ({"cval": np.nan}, "The 'cval' parameter"),
        ({"rescale": 0}, "The 'rescale' parameter"),
        ({"zca_epsilon": 0}, "The 'zca_epsilon' parameter"),
        ({"zca_whitening": 1}, "The 'zca_whitening' parameter"),
        (
            {"preprocessing_function": "invert"},
            "The 'preprocessing_function' parameter",
        ),
        ({"data_format": "NCHW"}, "The 'data_format' parameter"),
        ({"horizontal_flip": "yes"}, "The 'horizontal_flip' parameter"),
        ({"random_state": "seed"}, "The 'random_state' parameter"),
    ],
)
def test_check_param_validation(noise, params, message):
    with pytest.raises(ValueError, match=message):
        ImageAugmenter(**params).fit(noise)


BYTES = np.random.default_rng(0).integers(256, size=(6, 12, 10, 3), dtype=np.uint8)
SCALES = {
    "bytes": BYTES,
    "16 bits": BYTES.astype(np.uint16) * 257,
    "fractions": BYTES / 255,
    "0 to 255": BYTES.astype(np.float32),
}


@pytest.mark.parametrize("estimator", [ImageAugmenter(), ColourStatistics()])
@pytest.mark.parametrize("given", SCALES)
@pytest.mark.parametrize("fitted", SCALES)
def test_another_scale_than_in_fit_is_refused(estimator, fitted, given):
    transformer = clone(estimator).fit(SCALES[fitted])
    if fitted == given or {fitted, given} == {"bytes", "0 to 255"}:
        transformer.transform(SCALES[given])
        # Merely dark or bright.
        transformer.transform(
            SCALES[given] // 9 if fitted != "fractions" else BYTES / 80
        )
        return
    with pytest.raises(
        ValueError, match="was fitted on images of .* in which white is"
    ):
        transformer.transform(SCALES[given])


@pytest.mark.parametrize(("dtype", "factor"), [("u1", 1), ("u2", 257), ("f4", 1 / 255)])
def test_rescale_to_white(dtype, factor):
    images = (BYTES * np.array(factor, "f8" if dtype == "f4" else dtype)).astype(dtype)
    result = ImageAugmenter(rescale="auto").fit_transform(images)
    assert_allclose(result, BYTES / 255, rtol=1e-5)
    centred = ImageAugmenter(rescale="auto").fit_transform(images - images.mean())
    assert_allclose(centred, images - images.mean(), rtol=1e-4, atol=1e-3)


def test_a_single_image():
    for estimator in (ImageAugmenter(), ColourStatistics()):
        with pytest.raises(ValueError, match=r"a single image pass X\[np.newaxis\]"):
            estimator.fit(BYTES).transform(BYTES[0])
        with pytest.raises(ValueError, match=r"channel axis pass X\[..., np.newaxis\]"):
            estimator.fit(BYTES[..., :1]).transform(BYTES[..., 0])
