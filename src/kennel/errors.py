"""
Every error that kennel raises on purpose.

  KennelError                   caught once per entry point; its text is the whole message
  ├── SettingsError             a setting or an option asks for something impossible
  │   └── RegionError           no region of AWS is known
  ├── HyperparameterError       a hyperparameter is unknown, malformed or out of range
  ├── DataError                 a dataset, channel or archive is not what it should be
  │   ├── ImageError            bytes that are not a picture we can read (HTTP 400)
  │   └── ArtifactError         a model artifact is missing parts, or torn
  ├── RequestError              a client's mistake in a request to an endpoint, with its HTTP status
  ├── TuningError               a range, a limit or a strategy of a tuning job is impossible
  ├── RuleError                 a rule of the debugger or profiler is unknown, or cannot be judged
  ├── JobError                  a job or an endpoint ended badly, or was not found
  ├── LocalServerError          the local server cannot start, or does not answer
  ├── EngineError               the Docker engine does not answer, or does not do what is asked
  └── MissingToolError          the machine lacks a program that the command needs

Anything else that escapes is a bug and keeps its traceback. The AWS error codes that the local
server answers with live in kennel.local.wire, since they are the API's words and not ours.
"""

from http import HTTPStatus


class KennelError(Exception):
    """
    Base of every error raised on purpose.

    Args:
        problem: What is wrong, with the value found.
        expected: What would have been right; may be left out where the problem says it.
        remedy: A command to run or a setting to change.
    """

    def __init__(self, problem: str, *, expected: str = "", remedy: str = "") -> None:
        super().__init__(problem, expected, remedy)
        self.problem = problem
        self.expected = expected
        self.remedy = remedy

    def __str__(self) -> str:
        """Say the problem, then what was expected and what to try, a line each."""
        lines = [self.problem]
        if self.expected:
            lines.append(f"  expected: {self.expected}")
        if self.remedy:
            lines.append(f"  try: {self.remedy}")
        return "\n".join(lines)


class SettingsError(KennelError):
    """kennel.toml, the environment or an option asks for something impossible."""


class RegionError(SettingsError):
    """No region of AWS is known."""


class HyperparameterError(KennelError):
    """A hyperparameter is unknown, malformed or out of range."""


class DataError(KennelError):
    """A dataset, channel or archive is not what it should be."""


class ImageError(DataError):
    """Bytes that are not a picture we can read."""


class ArtifactError(DataError):
    """A model artifact is missing parts, or torn."""


class RequestError(KennelError):
    """
    A client's mistake in a request to an endpoint.

    Args:
        status: 400 bad body, 406 Accept, 413 too large, 415 Content-Type.
    """

    def __init__(
        self, status: HTTPStatus, problem: str, *, expected: str = "", remedy: str = ""
    ) -> None:
        super().__init__(problem, expected=expected, remedy=remedy)
        self.status = status


class TuningError(KennelError):
    """A range, a limit or a strategy of a tuning job is impossible."""


class RuleError(KennelError):
    """A rule of the debugger or profiler is unknown, asks for the impossible, or cannot judge."""


class JobError(KennelError):
    """A job or an endpoint ended badly, or was not found."""


class LocalServerError(KennelError):
    """The local server cannot start, or does not answer."""


class EngineError(KennelError):
    """The Docker engine does not answer, or does not do what is asked."""


class MissingToolError(KennelError):
    """The machine lacks a program that the command needs."""
