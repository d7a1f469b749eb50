"""sagemaker-training's own entry point."""

import importlib
import logging
from collections.abc import Collection
from typing import Any

# Said of every hyperparameter that is a text and no JSON, which texts need not be
UNPARSED = "Failed to parse hyperparameter"


def run(hidden: Collection[str] = ()) -> int:
    """
    Call sagemaker-training, which ends in SystemExit, and return its exit code.

    Args:
        hidden: Hyperparameters that a program is not to be given as arguments.
    """
    params: Any = importlib.import_module("sagemaker_training.params")
    params.SAGEMAKER_HYPERPARAMETERS = (*params.SAGEMAKER_HYPERPARAMETERS, *hidden)
    environment: Any = importlib.import_module("sagemaker_training.environment")
    environment.logger.addFilter(_is_news)
    trainer = importlib.import_module("sagemaker_training.trainer")  # reads the paths at import
    try:
        trainer.train()
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    return 0


def _is_news(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith(UNPARSED)
