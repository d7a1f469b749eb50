"""
The hook in a training: what is saved of which step, driven by the loop.

Nothing hangs on the model but in a step that saves what layers take or give; gradients are read off
the parameters after the backward, so they are what the optimizer gets (of several processes: their
mean). What fails here is said once, loudly, and the training goes on without.

smdebug's part is hook_smdebug.py; what is saved how often, hook_config.py; small tensors of our own
are named in collections.py.
"""

import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from kennel.debugging import about, collections, hook_statistics
from kennel.debugging.about import About
from kennel.debugging.collections import (
    ACTIVITY,
    EPOCHS,
    INPUTS,
    LABELS,
    PERCENTILES,
    PREDICTIONS,
    UPDATES,
)
from kennel.debugging.hook_config import Saving

RELUS = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.RReLU)
END = "training_job_end.ts"
# Collections that need nothing of what layers take or give
_NOT_OF_LAYERS = frozenset(
    {
        "weights",
        "biases",
        "gradients",
        "losses",
        collections.WEIGHT_UPDATES,
        collections.GRADIENT_PERCENTILES,
        collections.EPOCH_FIGURES,
        LABELS,
        PREDICTIONS,
    }
)


@dataclass(frozen=True)
class Reached:
    """What a run has done: training steps, and batches of evaluations."""

    steps: int = 0
    evaluated: int = 0


class Recorder:
    """
    Saves what a training's loop tells it of.

    Args:
        saving: What is asked for.
        folder: Of the tensors.
        reached: What a resumed run has done before.
        say: Told of a failure.
        scale: What the loss was multiplied by before the backward (GradScaler.get_scale).
        aside: Entered for what is done within the module's forward.
        of: What is trained, which is left beside the tensors.
    """

    def __init__(  # noqa: PLR0913 - what it is told of a training by name
        self,
        saving: Saving,
        folder: Path,
        *,
        reached: Reached | None = None,
        say: Callable[[str], None] = print,
        scale: Callable[[], float] = lambda: 1.0,
        aside: Callable[[], AbstractContextManager[None]] = nullcontext,
        of: About = about.NOTHING,
    ) -> None:
        self.folder = folder
        self.failure = ""  # why nothing more is saved
        self.saved = 0  # training steps of which anything was
        self._saving, self._say, self._scale, self._aside = saving, say, scale, aside
        reached = reached or Reached()
        self._step, self._evaluated = reached.steps + reached.evaluated, reached.evaluated
        self._saved: frozenset[str] = frozenset()  # collections of the step that is open
        self._module: nn.Module = nn.Identity()
        self._criterion: nn.Module = nn.Identity()
        self._before: dict[str, Tensor] = {}  # samples of weights
        self._handles: list[RemovableHandle] = []
        self._evaluation: RemovableHandle | None = None
        self._hook: Any = None
        with self._guarded("cannot start"):
            from kennel.debugging import hook_smdebug  # noqa: PLC0415 - takes a second, and speaks

            self._hook = hook_smdebug.made(saving.document, folder)
            if of != about.NOTHING:
                about.write(folder, of)

    def training(self, module: nn.Module, criterion: nn.Module) -> None:
        """Take note of what is trained."""
        self._module, self._criterion = module, criterion

    @contextmanager
    def step(self, number: int) -> Iterator[None]:
        """Enter a training step, *number* over the run from 0; it is written when it is left."""
        self._end_evaluation()
        self._begin("TRAIN", number)
        try:
            yield
        except BaseException:
            self._drop()  # half a step is none: it was stopped, or failed
            raise
        self._leave()

    @torch.no_grad()
    def learnt(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Save what a step came to, after the backward and before the optimizer."""
        if not self._saved:
            return
        with self._guarded(), hook_statistics.on_one_thread():
            self._save_batch(loss, logits, labels)
            self._save_gradients()

    def evaluating(self, module: nn.Module) -> None:
        """Take note that batches of an evaluation follow; each is a step of mode EVAL."""
        self._end_evaluation()
        self._module = module
        self._evaluation = module.register_forward_pre_hook(self._entered)

    @torch.no_grad()
    def evaluated(self, logits: Tensor, labels: Tensor) -> None:
        """Save what a batch of the evaluation came to."""
        self._detach()
        if self._saved:
            with self._guarded():
                self._save_batch(self._criterion(logits, labels), logits, labels)

    def epoch(self, figures: Mapping[str, float]) -> None:
        """Save what an epoch came to, with the evaluation's last batch."""
        self._end_evaluation()
        if self.failure or collections.EPOCH_FIGURES not in self._saving.names:
            return
        with self._guarded():
            scalars = {f"{EPOCHS}{name}": torch.tensor(value) for name, value in figures.items()}
            self._hook.put_scalars(scalars)
            self._hook.end()

    def close(self) -> None:
        """Write what is open, and say in the folder that there is no more to come."""
        self._detach()
        self._end_evaluation()
        if self._hook is not None:
            with self._guarded("cannot end"):
                self._hook.finish()
        if not self._saving.is_platforms:  # it says so itself, once all is in S3
            with self._guarded("cannot end"):
                self.folder.mkdir(parents=True, exist_ok=True)
                (self.folder / END).touch()

    def _begin(self, mode: str, number: int) -> None:
        step, self._step = self._step, self._step + 1
        self._saved = frozenset()
        if self.failure:
            return
        with self._guarded():
            self._saved = self._hook.begin(mode, number, step)
            if self._saved:
                with hook_statistics.on_one_thread():
                    self._save_weights()
                self._attach()

    def _entered(self, _module: nn.Module, _inputs: object) -> None:
        """Begin a step of an evaluation."""
        self._begin("EVAL", self._evaluated)
        self._evaluated += 1

    def _end_evaluation(self) -> None:
        if self._evaluation:
            self._evaluation.remove()
            self._evaluation = None

    def _leave(self) -> None:
        self._detach()
        if self._saved:
            with self._guarded():
                self._save_updates()
                self._hook.end()
                self.saved += 1

    def _drop(self) -> None:
        self._detach()
        self._saved = frozenset()
        if self._hook is not None:
            self._hook.writer = None

    def _parameters(self) -> dict[str, nn.Parameter]:
        kind = type(self._module).__name__
        named = self._module.named_parameters()
        return {f"{kind}_{name}": parameter for name, parameter in named}

    def _learning(self) -> dict[str, nn.Parameter]:
        return {
            name: parameter
            for name, parameter in self._parameters().items()
            if parameter.requires_grad
        }

    @torch.no_grad()
    def _save_weights(self) -> None:
        """Save weights and biases as the step finds them, and keep samples of them."""
        if not self._saved - {"losses", LABELS, PREDICTIONS, "gradients"}:
            return
        parameters = self._parameters() if self._saving.frozen else self._learning()
        self._hook.save({name: parameter.data for name, parameter in parameters.items()})
        self._before = {}
        if collections.WEIGHT_UPDATES in self._saved:
            self._before = {
                name: hook_statistics.sample(hook_statistics.flat(parameter)).clone()
                for name, parameter in self._learning().items()
                if parameter.dim() > 1
            }

    @torch.no_grad()
    def _save_updates(self) -> None:
        parameters = self._parameters()
        self._hook.put_scalars(
            {
                f"{UPDATES}{name}": hook_statistics.distance(before, parameters[name])
                for name, before in self._before.items()
            }
        )
        self._before = {}

    def _save_gradients(self) -> None:
        gradients = {
            f"gradient/{name}": parameter.grad
            for name, parameter in self._learning().items()
            if parameter.grad is not None
        }
        scale = self._scale()
        if scale != 1:
            gradients = {name: gradient / scale for name, gradient in gradients.items()}
        self._hook.save(gradients)
        if collections.GRADIENT_PERCENTILES in self._saved:
            self._hook.put(
                {
                    f"{PERCENTILES}{name}": hook_statistics.percentiles(gradient)
                    for name, gradient in gradients.items()
                }
            )

    def _save_batch(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        kind = type(self._criterion).__name__
        self._hook.save(
            {
                f"{kind}_input_0": logits,
                f"{kind}_input_1": labels,
                f"{kind}_output_0": loss,
                LABELS: labels,
                PREDICTIONS: logits.argmax(1),
            }
        )

    def _attach(self) -> None:
        """Listen to the layers for this step, where anything of theirs is saved."""
        if self._saved <= _NOT_OF_LAYERS:
            return
        own = self._saved & {collections.RELU_ACTIVITY, collections.RELU_INPUTS}
        only_own = self._saved - own <= _NOT_OF_LAYERS
        for path, module in self._module.named_modules():
            name = path or type(module).__name__
            if only_own and not isinstance(module, RELUS):
                continue
            # What is given is looked at before: a layer may work in place
            before = partial(self._given, name)
            after = partial(self._returned, name)
            self._handles += [
                module.register_forward_pre_hook(before),
                module.register_forward_hook(after),
            ]

    def _detach(self) -> None:
        while self._handles:
            self._handles.pop().remove()

    @torch.no_grad()
    def _given(self, path: str, module: nn.Module, inputs: Any) -> None:  # noqa: ANN401 - a layer's
        with self._aside(), self._guarded():
            for tensor in _tensors(inputs):
                name = self._hook.numbered(f"{path}_input")
                self._hook.save({name: tensor})
                if collections.RELU_INPUTS in self._saved and isinstance(module, RELUS):
                    taken = hook_statistics.taken(tensor, ["variance"])
                    self._hook.put_scalars({f"{INPUTS}{name}": of for of in taken.values()})

    @torch.no_grad()
    def _returned(self, path: str, module: nn.Module, _inputs: Any, outputs: Any) -> None:  # noqa: ANN401 - a layer's
        with self._aside(), self._guarded():
            for tensor in _tensors(outputs):
                name = self._hook.numbered(f"{path}_output")
                self._hook.save({name: tensor})
                if collections.RELU_ACTIVITY in self._saved and isinstance(module, RELUS):
                    self._hook.put({f"{ACTIVITY}{name}": hook_statistics.active(tensor)})

    @contextmanager
    def _guarded(self, doing: str = "") -> Iterator[None]:
        """Let the training go on whatever happens within; afterwards nothing more is saved."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - the hook is smdebug's, the run the user's
            self._fail(error, doing)

    def _fail(self, error: Exception, doing: str) -> None:
        self._drop()
        if self.failure:
            return
        at = doing or f"failed at step {self._step - 1}"
        self.failure = f"the hook {at}: {type(error).__name__}: {error}"
        self._say(f"DEBUGGER OFF: {self.failure}: nothing more is saved, the training goes on")
        if not isinstance(error, OSError):  # of a disk there is no more to know
            self._say("".join(traceback.format_exception(error)).rstrip())


def _tensors(value: Any) -> Iterator[Tensor]:  # noqa: ANN401 - whatever a layer takes or gives
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _tensors(part)
