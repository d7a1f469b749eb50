"""How long a check waits: SageMaker's own limits, and what keeps a check from hanging."""

from dataclasses import dataclass

from kennel import contract


@dataclass(frozen=True)
class Limits:
    """All in seconds. A test of the checks takes shorter ones; the command takes these."""

    run: float = 1800  # one training from start to end
    startup: float = contract.STARTUP_TIMEOUT_S
    stop_training: float = contract.STOP_GRACE_S
    stop_serving: float = contract.SERVING_STOP_GRACE_S
    ping: float = contract.PING_TIMEOUT_S
    connect: float = contract.CONNECT_TIMEOUT_S
    invocation: float = contract.INVOCATION_TIMEOUT_S
    first_output: float = 20  # of a training, before it is stopped
    settle: float = 1  # from its first output to the stop
    patience: float = 30  # added to three times what a run took before, when it runs again
    layers: float = 900  # reading all files of an image

    def again(self, seconds: float) -> float:
        """Return how long to wait for what took *seconds* the first time."""
        return 3 * seconds + self.patience
