from ._folds import ShuffledKFold as ShuffledKFold
from ._kfold import KFoldEnsembleClassifier as KFoldEnsembleClassifier
from ._voting import SoftVotingClassifier as SoftVotingClassifier
