"""sagemaker-training's own entry point."""

import importlib


def run() -> int:
    """Call sagemaker-training, which ends in SystemExit, and return its exit code."""
    trainer = importlib.import_module("sagemaker_training.trainer")  # reads the paths at import
    try:
        trainer.train()
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    return 0
