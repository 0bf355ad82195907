from . import (
    cnn as cnn,
    datasets as datasets,
    export as export,
    fields as fields,
    inspection as inspection,
    report as report,
    uncertainty as uncertainty,
)
from ._utils.version import __version__ as __version__
from .augmentation import (
    AugmentedImages as AugmentedImages,
    ColourStatistics as ColourStatistics,
    FlattenImages as FlattenImages,
    ImageAugmenter as ImageAugmenter,
)
from .cnn import (
    CNNClassifier as CNNClassifier,
    NetworkFeatures as NetworkFeatures,
    build_article_cnn as build_article_cnn,
    build_compact_cnn as build_compact_cnn,
    build_residual_cnn as build_residual_cnn,
)
from .ensemble import (
    KFoldEnsembleClassifier as KFoldEnsembleClassifier,
    SoftVotingClassifier as SoftVotingClassifier,
)
from .persistence import (
    load_model as load_model,
    save_model as save_model,
)
from .recipes import make_cell_classifier as make_cell_classifier
