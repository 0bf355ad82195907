"""The names of the recipes, for the command line, which starts without scikit-learn."""

from typing import Literal

RecipeName = Literal["compact", "features", "article"]
