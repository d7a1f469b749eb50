"""The hook in small real trainings: what it saves, and that it never harms the run."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from kennel.contract import TENSORS_END
from kennel.debugging import collections, hook_config
from kennel.debugging.hook import Reached, Recorder
from kennel.debugging.hook_config import Pace
from kennel.debugging.quiet import quiet
from kennel.debugging.reading import Trial

with quiet():
    from smdebug.trials import create_trial

ALL = ",".join(collections.COLLECTIONS)
EVERY_STEP = Pace(every=1, often=1, evaluation=1)


class Net(nn.Module):
    """A layer whose ReLU works in place, and a head."""

    def __init__(self):
        super().__init__()
        self.conv, self.relu, self.head = nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.Linear(4, 3)

    def forward(self, pictures):
        return self.head(self.relu(self.conv(pictures)).mean((2, 3)))


class Run:
    """A training that keeps, beside the recorder, what it would have to find."""

    def __init__(self, recorder, net=None, *, lr=0.1):
        torch.manual_seed(0)
        self.recorder, self.net = recorder, net or Net()
        self.criterion = nn.CrossEntropyLoss()
        learning = [each for each in self.net.parameters() if each.requires_grad]
        self.optimizer = torch.optim.SGD(learning, lr=lr)
        self.seen, self.losses = {}, []
        recorder.training(self.net, self.criterion)

    def step(self, number, dtype=None):
        pictures, labels = torch.randn(6, 3, 8, 8), torch.randint(3, (6,))
        before = {name: each.detach().clone() for name, each in self.net.named_parameters()}
        self.net.train()
        with self.recorder.step(number):
            with torch.autocast("cpu", dtype or torch.bfloat16, enabled=dtype is not None):
                logits = self.net(pictures)
                loss = self.criterion(logits, labels)
            self.optimizer.zero_grad()
            loss.backward()
            self.recorder.learnt(loss, logits, labels)
            gradients = {
                name: each.grad.clone()
                for name, each in self.net.named_parameters()
                if each.grad is not None
            }
            self.optimizer.step()
        after = {name: each.detach().clone() for name, each in self.net.named_parameters()}
        self.losses.append(loss.item())
        self.seen[number] = before, gradients, after

    @torch.inference_mode()
    def evaluate(self, batches=2, *, ended=True):
        self.net.eval()
        self.recorder.evaluating(self.net)
        for _ in range(batches):
            labels = torch.randint(3, (6,))
            self.recorder.evaluated(self.net(torch.randn(6, 3, 8, 8)), labels)
        if ended:
            self.recorder.epoch({"number": 1, "valid_loss": 0.5})


def recorded(folder, names=ALL, include="none", pace=EVERY_STEP, **members):
    said = []
    recorder = Recorder(hook_config.asked(names, include, pace), folder, say=said.append, **members)
    recorder.said = said
    return recorder


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A run of four steps and an evaluation, all of it saved, and how it went."""
    folder = tmp_path_factory.mktemp("saved") / "tensors"
    recorder = recorded(folder, include="conv.weight$")
    run = Run(recorder)
    for number in range(3):
        run.step(number)
    run.evaluate()
    run.step(3)
    recorder.close()
    assert recorder.failure == ""
    return folder, run


def test_reductions_are_those_of_the_tensors_that_the_step_had(saved):
    """
    Weights as the step finds them, gradients as the optimizer gets them; smdebug's reader says so.
    """
    folder, run = saved
    with quiet():
        os.environ["SMDEBUG_TRAINING_END_DELAY_REFRESH"] = "0"
        trial = create_trial(str(folder))

    for number, step in {0: 0, 2: 2, 3: 5}.items():
        before, gradients, _ = run.seen[number]
        for name, weight in before.items():
            tensor = trial.tensor(f"Net_{name}")
            for kind, expected in {
                "mean": weight.mean(),
                "variance": weight.var(),
                "l2": weight.norm(),
            }.items():
                assert tensor.reduction_value(step, kind) == pytest.approx(
                    expected.item(), rel=1e-5, abs=1e-7
                )
        for name, gradient in gradients.items():
            tensor = trial.tensor(f"gradient/Net_{name}")
            found = tensor.reduction_value(step, "mean", abs=True)
            assert found == pytest.approx(gradient.abs().mean().item(), rel=1e-5)
            found = tensor.reduction_value(step, "max", abs=True)
            assert found == pytest.approx(gradient.abs().max().item(), rel=1e-5)


def test_what_is_included_is_saved_whole(saved):
    """
    By debug-include, beside its reductions.
    """
    folder, run = saved
    trial = Trial(folder)

    expected = run.seen[1][0]["conv.weight"].numpy()
    np.testing.assert_array_equal(trial.value("Net_conv.weight", 1), expected)
    assert trial.value("Net_conv.bias", 1) is None


def test_losses_labels_and_epochs_are_there_of_training_and_evaluation(saved):
    """
    Each batch of an evaluation is a step of mode EVAL; what the epoch came to stands with the last.
    """
    folder, run = saved
    trial = Trial(folder)
    (loss,) = trial.names("losses")

    assert loss == "CrossEntropyLoss_output_0"
    assert [trial.mode(step) for step in trial.steps()] == [*["TRAIN"] * 3, *["EVAL"] * 2, "TRAIN"]
    assert [trial.mode_step(step) for step in trial.steps()] == [0, 1, 2, 0, 1, 3]
    training = [trial.value(loss, step).item() for step in trial.steps("TRAIN")]
    assert training == pytest.approx(run.losses)
    assert all(trial.value(loss, step) is not None for step in trial.steps("EVAL"))
    assert trial.value("labels", 4).shape == trial.value("predictions", 4).shape == (6,)
    assert trial.saved("epoch/valid_loss") == [4]
    assert trial.value("epoch/valid_loss", 4) == 0.5
    assert trial.saved(trial.names("gradients")[0]) == [0, 1, 2, 5]


def test_our_own_small_tensors_say_what_the_step_did(saved):
    """
    What the optimizer changed, percentiles of gradients, active units, and what a ReLU was given.
    """
    folder, run = saved
    trial = Trial(folder)
    before, gradients, after = run.seen[1]

    changed = (after["head.weight"] - before["head.weight"]).norm().item()
    assert trial.value("update/Net_head.weight", 1) == pytest.approx(changed, rel=1e-4)
    ends = np.percentile(gradients["conv.weight"].numpy(), [5, 95], method="nearest")
    found = trial.value("percentiles/gradient/Net_conv.weight", 1)
    np.testing.assert_allclose(found, ends, rtol=0.1)
    active = trial.value("active/relu_output_0", 1)
    assert active.shape == (4,)
    assert ((active >= 0) & (active <= 1)).all()
    assert trial.names("weights") == ("Net_conv.weight", "Net_head.weight")


def test_what_a_layer_is_given_is_seen_before_it_works_in_place(saved):
    """
    smdebug's own hook looks afterwards, and finds what the ReLU has made of it.
    """
    folder, _ = saved
    trial = Trial(folder)

    assert trial.reduction("relu_input_0", 1, "min") < 0
    assert trial.reduction("relu_output_0", 1, "min") == 0


def test_nothing_hangs_on_the_model_where_nothing_is_saved(tmp_path):
    """
    A step that is not saved costs no more than to ask whether it is.
    """
    recorder = recorded(tmp_path / "tensors", pace=Pace(every=2, often=2, evaluation=1))
    run = Run(recorder)
    hooks = []
    run.net.conv.register_forward_hook(lambda *_: hooks.append(handles(run.net)))
    for number in range(4):
        run.step(number)
    recorder.close()

    assert [count > 1 for count in hooks] == [True, False, True, False]
    assert handles(run.net) == 1
    assert Trial(tmp_path / "tensors").steps() == [0, 2]


def test_a_frozen_part_is_not_saved(tmp_path):
    """
    It does not change, and a rule would find that.
    """
    net = Net()
    net.conv.requires_grad_(requires_grad=False)
    recorder = recorded(tmp_path / "tensors")
    Run(recorder, net).step(0)
    recorder.close()
    trial = Trial(tmp_path / "tensors")

    assert trial.names("weights") == ("Net_head.weight",)
    assert trial.names("gradients") == ("gradient/Net_head.bias", "gradient/Net_head.weight")


def test_half_precision_is_saved_as_numbers_that_numpy_has(tmp_path):
    """
    smdebug's own hook fails at bfloat16.
    """
    recorder = recorded(tmp_path / "tensors", include="relu_output")
    run = Run(recorder)
    run.step(0, torch.bfloat16)
    recorder.close()

    assert recorder.failure == ""
    assert Trial(tmp_path / "tensors").value("relu_output_0", 0).dtype == np.float32


def test_gradients_are_unscaled(tmp_path):
    """
    What a GradScaler has multiplied the loss by is divided out.
    """
    recorder = recorded(tmp_path / "tensors", scale=lambda: 8.0)
    run = Run(recorder)
    run.step(0)
    recorder.close()

    (_, gradients, _) = run.seen[0]
    found = Trial(tmp_path / "tensors").reduction("gradient/Net_head.weight", 0, "l2")
    assert found == pytest.approx(gradients["head.weight"].norm().item() / 8, rel=1e-5)


def test_a_resumed_run_goes_on_counting(tmp_path):
    """
    Steps and batches of evaluations go on where they were; what was saved before stays.
    """
    first = recorded(tmp_path / "tensors")
    run = Run(first)
    run.step(0)
    run.step(1)
    run.evaluate()
    first.close()
    again = recorded(tmp_path / "tensors", reached=Reached(steps=2, evaluated=2))
    run = Run(again)
    run.step(2)
    run.evaluate(batches=1)
    again.close()
    trial = Trial(tmp_path / "tensors")

    assert again.failure == ""
    assert trial.steps() == [0, 1, 2, 3, 4, 5]
    assert [trial.mode_step(step) for step in trial.steps("TRAIN")] == [0, 1, 2]
    assert [trial.mode_step(step) for step in trial.steps("EVAL")] == [0, 1, 2]


def test_steps_after_an_evaluation_are_training_again(tmp_path):
    """
    Also where nobody says what the epoch came to.
    """
    recorder = recorded(tmp_path / "tensors")
    run = Run(recorder)
    run.evaluate(batches=1, ended=False)
    run.step(0)
    recorder.close()
    trial = Trial(tmp_path / "tensors")

    assert [trial.mode(step) for step in trial.steps()] == ["EVAL", "TRAIN"]
    assert handles(run.net) == 0


def test_half_a_step_is_not_saved(tmp_path):
    """
    A stop comes between entering a step and taking it.
    """
    recorder = recorded(tmp_path / "tensors")
    run = Run(recorder)
    run.step(0)
    with pytest.raises(KeyboardInterrupt), recorder.step(1):
        raise KeyboardInterrupt
    recorder.close()

    assert Trial(tmp_path / "tensors").steps() == [0]
    assert handles(run.net) == 0


def test_a_step_that_cannot_be_written_leaves_no_half_of_it(tmp_path):
    """
    Its draft goes; the steps before it stay.
    """
    recorder = recorded(tmp_path)
    run = Run(recorder)
    run.step(0)
    (tmp_path / "index/000000000/000000000001_worker_0.json").mkdir()
    run.step(1)
    recorder.close()

    assert "failed at step 1: IsADirectoryError" in recorder.failure
    assert list(tmp_path.rglob("*.tmp")) == []
    assert Trial(tmp_path).saved("CrossEntropyLoss_output_0")[0] == 0


def test_a_hook_that_fails_by_a_mistake_says_where(tmp_path):
    """
    There is more to know of it than of a disk: here labels that are no classes.
    """
    recorder = recorded(tmp_path / "tensors")
    run = Run(recorder)
    recorder.evaluating(run.net)
    recorder.evaluated(run.net(torch.randn(6, 3, 8, 8)), torch.full((6,), 9))
    recorder.close()

    (said, trace) = recorder.said
    assert said.startswith("DEBUGGER OFF: the hook failed at step 0: IndexError")
    assert trace.startswith("Traceback")


def test_a_hook_that_fails_says_so_once_and_the_training_goes_on(tmp_path):
    """
    Its folder is lost in the midst of a run: what was saved is there, and the weights are those of
    a run that nobody has watched.
    """
    recorder = recorded(tmp_path / "tensors")
    run = Run(recorder)
    run.step(0)
    (tmp_path / "tensors/events").rename(tmp_path / "events")
    (tmp_path / "tensors/events").write_text("a file is where the folder should be")
    for number in range(1, 4):
        run.step(number)
    run.evaluate()
    recorder.close()
    unwatched = Run(Unwatched())
    for number in range(4):
        unwatched.step(number)

    (said,) = recorder.said
    assert said.startswith("DEBUGGER OFF: the hook failed at step 1: ")
    assert said.endswith("nothing more is saved, the training goes on")
    assert recorder.failure in said
    assert torch.equal(run.net.conv.weight, unwatched.net.conv.weight)
    assert handles(run.net) == 0
    assert Trial(tmp_path / "tensors").is_ended


def test_a_layer_that_cannot_be_saved_stops_no_forward(tmp_path):
    """
    A failure inside of the network's own call does not reach it.
    """
    recorder = recorded(tmp_path / "tensors", include="output")
    net = Net()
    net.relu = Odd()
    run = Run(recorder, net)
    run.step(0)
    run.step(1)
    recorder.close()

    assert recorder.failure.startswith("the hook failed at step 0: TypeError: ")
    assert len(run.losses) == 2


def test_a_document_that_smdebug_does_not_like_is_said(tmp_path):
    """
    The run goes on without.
    """
    document = {"CollectionConfigurations": [{"CollectionName": "mine"}]}
    said = []
    recorder = Recorder(hook_config.platforms(document), tmp_path / "tensors", say=said.append)
    Run(recorder).step(0)
    recorder.close()

    assert "InvalidCollectionConfiguration" in said[0]
    assert said[0].startswith("DEBUGGER OFF")


def test_a_killed_run_s_claim_does_not_keep_the_next_one_from_saving(tmp_path):
    """
    smdebug takes claim.smd for another process, and saves nothing without a word.
    """
    (tmp_path / "tensors").mkdir()
    (tmp_path / "tensors/claim.smd").touch()
    (tmp_path / "tensors" / TENSORS_END).touch()
    recorder = recorded(tmp_path / "tensors")
    ended = Trial(tmp_path / "tensors").is_ended
    Run(recorder).step(0)
    recorder.close()

    assert not ended
    assert Trial(tmp_path / "tensors").steps() == [0]


def test_the_platform_says_itself_that_its_tensors_have_ended(tmp_path):
    """
    It does so once all are in S3; ours would come too early.
    """
    recorder = Recorder(hook_config.platforms({}), tmp_path / "tensors")
    Run(recorder).step(0)
    recorder.close()

    assert not (tmp_path / "tensors" / TENSORS_END).exists()
    assert Trial(tmp_path / "tensors").names() == ("CrossEntropyLoss_output_0",)


def test_a_request_s_configuration_is_smdebug_s_to_read(tmp_path):
    """
    Intervals by mode, a pattern, reductions, whole tensors as a text, as AWS's requests have them.
    """
    document = {
        "S3OutputPath": "s3://bucket/prefix",
        "HookParameters": {"save_interval": "100"},
        "CollectionConfigurations": [
            {
                "CollectionName": "losses",
                "CollectionParameters": {"train.save_interval": "2", "eval.save_interval": "1"},
            },
            {
                "CollectionName": "weights",
                "CollectionParameters": {"save_steps": "1", "save_raw_tensor": "True"},
            },
            {
                "CollectionName": "mine",
                "CollectionParameters": {
                    "include_regex": "relu_output",
                    "train.save_interval": "3",
                    "reductions": "max,abs_l1_norm",
                    "save_shape": "true",
                },
            },
            {"CollectionName": "relu_input", "CollectionParameters": None},
        ],
    }
    recorder = Recorder(hook_config.platforms(document), tmp_path / "tensors")
    run = Run(recorder)
    for number in range(5):
        run.step(number)
    run.evaluate()
    recorder.close()
    trial = Trial(tmp_path / "tensors")

    assert recorder.failure == ""
    assert trial.saved("CrossEntropyLoss_output_0") == [0, 2, 4, 5, 6]
    assert trial.saved("Net_conv.weight") == [0, 1, 5, 6]
    np.testing.assert_array_equal(
        trial.value("Net_conv.weight", 1), run.seen[1][0]["conv.weight"].numpy()
    )
    assert trial.saved("relu_output_0") == [0, 3, 5]
    assert trial.value("relu_output_0", 3) is None
    assert trial.reduction("relu_output_0", 3, "abs_l1") > 0
    assert trial.saved("relu_input_0") == [0, 5]
    assert trial.names("mine") == ("relu_output_0",)


def test_smdebug_says_nothing_and_evaluates_nothing(tmp_path):
    """
    Imported alone it logs on standard output, and evaluates texts of profilerconfig.json.
    """
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from kennel.debugging import hook_config\n"
        "from kennel.debugging.hook import Recorder\n"
        "pace = hook_config.Pace(1, 1, 1)\n"
        "saving = hook_config.asked('losses', 'none', pace)\n"
        "Recorder(saving, Path(sys.argv[1]) / 'tensors').close()\n"
    )
    evaluated = tmp_path / "evaluated"
    texts = {"PythonProfilingConfig": f"open({str(evaluated)!r}, 'w') and {{}}"}
    configuration = {"ProfilingParameters": texts, "ProfilingIntervalInMilliseconds": 500}
    (tmp_path / "profilerconfig.json").write_text(json.dumps(configuration))
    told = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-W", "error", "-c", program, str(tmp_path)],
        env={**os.environ, "SAGEMAKER_BASE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )

    assert (told.returncode, told.stdout, told.stderr) == (0, "", "")
    assert not evaluated.exists()


class Unwatched:
    """Saves nothing, and has what a run calls."""

    def training(self, *_):
        pass

    def step(self, _):
        return torch.enable_grad()

    def learnt(self, *_):
        pass


class Odd(nn.ReLU):
    """Has a layer in it whose output no event file holds."""

    def __init__(self):
        super().__init__()
        self.inner = Sparse()

    def forward(self, numbers):
        self.inner(numbers)
        return super().forward(numbers)


class Sparse(nn.Module):
    """Gives a sparse tensor."""

    def forward(self, numbers):
        return numbers.detach().to_sparse()


def handles(net):
    """How many functions hang on the net's layers."""
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks")
    return sum(len(getattr(each, kind)) for each in net.modules() for kind in kinds)
