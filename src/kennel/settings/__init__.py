"""
What the user asks for: kennel.toml, the environment and command options as one frozen value.

``model`` says which settings there are, their defaults and their ranges; ``load`` finds them and
judges them. Hyperparameters are only carried here: kennel.training.hyperparameters knows them.
"""

from kennel.settings.load import FILE_NAME, find, load
from kennel.settings.model import (
    Aws,
    Data,
    Debug,
    Deploy,
    Images,
    Local,
    Profile,
    Settings,
    Train,
    Tune,
)
from kennel.settings.ranges import Range

__all__ = [
    "FILE_NAME",
    "Aws",
    "Data",
    "Debug",
    "Deploy",
    "Images",
    "Local",
    "Profile",
    "Range",
    "Settings",
    "Train",
    "Tune",
    "find",
    "load",
]
