"""Who may import whom. This table is the architecture diagram, executed."""

import ast
import sys
from pathlib import Path

import pytest

SRC = Path(__file__).parents[2] / "src" / "kennel"

BASE = {"errors", "contract"}
MAY_IMPORT = {
    "errors": set(),
    "contract": set(),
    "cuda_compat": set(),
    "source": set(),
    "documents": set(),
    "unpacking": {"errors"},
    "settings": BASE,
    "pages": {"errors"},
    "tuning": BASE | {"pages", "optuna"},
    "rules": BASE | {"documents"},
    "profiling": BASE | {"documents", "rules", "torch", "psutil", "pynvml"},
    "debugging": BASE | {"documents", "rules", "torch", "smdebug"},
    "reports": BASE | {"rules", "pages", "profiling", "debugging"},
    "vision": BASE | {"torch", "torchvision", "openvino", "PIL"},
    "datasets": BASE | {"vision", "PIL", "sklearn", "rich"},
    "training": BASE
    | {
        "cuda_compat",
        "vision",
        "datasets",
        "tuning",
        "rules",
        "profiling",
        "debugging",
        "reports",
        "torch",
        "torchvision",
        "PIL",
        "sagemaker_training",
    },
    "serving": BASE | {"cuda_compat", "vision", "torch", "PIL", "sagemaker_inference", "mms"},
    "jobs": BASE | {"unpacking", "settings", "tuning", "rules", "boto3", "botocore", "rich"},
    "engine": BASE | {"docker", "requests"},
    "local": BASE
    | {"unpacking", "engine", "tuning", "rules", "profiling", "reports"}
    | {"botocore", "uvicorn", "psutil"},
    "checking": BASE | {"engine"},
    "cli": BASE
    | {
        "settings",
        "source",
        "documents",
        "datasets",
        "jobs",
        "local",
        "engine",
        "checking",
        "training",
        "tuning",
        "rules",
        "profiling",
        "debugging",
        "reports",
    }
    | {"rich", "tomlkit"},
}
OURS = {path.stem for path in SRC.iterdir() if path.suffix == ".py" or path.is_dir()}
GUARDED = {name for allowed in MAY_IMPORT.values() for name in allowed} | OURS
STANDARD_LIBRARY_ONLY = ["errors", "contract", "cuda_compat", "documents", "source"]


def files_of(part):
    module = SRC / f"{part}.py"
    return [module] if module.exists() else sorted((SRC / part).rglob("*.py"))


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def first_names(part):
    """The rooms of kennel, and the packages, that *part* imports."""
    for path in files_of(part):
        for name in imports(path):
            yield name.removeprefix("kennel.").split(".")[0]


@pytest.mark.parametrize("part", MAY_IMPORT)
def test_imports_point_down(part):
    """
    Each room imports only what the table allows.
    """
    assert files_of(part)

    assert set(first_names(part)) & GUARDED - {part} <= MAY_IMPORT[part]


@pytest.mark.parametrize("part", STANDARD_LIBRARY_ONLY)
def test_the_ground_floor_needs_the_standard_library_only(part):
    """
    They can be imported in any image.
    """
    assert set(first_names(part)) <= sys.stdlib_module_names | {part}


def test_the_command_line_checks_hyperparameters_without_torch():
    """
    Of the training code the command line imports what needs no torch: the hyperparameters, the log
    lines and the request of a search.
    """
    names = {name for path in files_of("cli") for name in imports(path)}

    assert {name for name in names if name.startswith("kennel.training")} == {
        "kennel.training.hyperparameters",
        "kennel.training.lines",
        "kennel.training.search.request",
    }


@pytest.mark.parametrize(
    ("room", "package", "module"),
    [
        pytest.param("vision", "openvino", "openvino_model", id="openvino-without-telemetry"),
        pytest.param("serving", "torch", "torch_backend", id="a-cpu-serves-without-torch"),
    ],
)
def test_what_must_be_imported_with_care_is_imported_in_one_place(room, package, module):
    """
    Wherever else it were, the care would be forgotten one day.
    """
    users = {
        path.stem
        for path in files_of(room)
        for name in imports(path)
        if name.split(".")[0] == package
    }

    assert users == {module}


def test_every_room_is_in_the_table():
    """
    A new room says whom it may import before it lands.
    """
    assert OURS - {"__init__", "__pycache__", "py"} == set(MAY_IMPORT)
