"""
One process of several: what torchrun starts, and the run in it.

torchrun is started by launch.py, on every host and for every GPU. The run itself is main.py's, as
in a process alone.
"""

import os
import sys
from pathlib import Path

import torch

from kennel.contract import ContainerPaths
from kennel.training import config, launch
from kennel.training.log import say
from kennel.training.main import main as program
from kennel.training.peers import Launcher, Peers, Place, connect
from kennel.training.ranks import Ranks
from kennel.training.stopping import Stop, Stopped


def main() -> int:
    """
    Train as one of several.

    Returns:
        0 done or stopped, 1 failed with the reason in the failure file.
    """
    paths = ContainerPaths.from_environment()
    stop = Stop()
    place = Place.from_environment(os.environ, config.hosts(paths))
    launcher = Launcher(
        int(os.environ[launch.LAUNCHER_VARIABLE]), Path(os.environ[launch.STOP_VARIABLE])
    )
    peers = Peers(place, connect(os.environ, "peers"), launcher, stop, paths)
    say(f"{place.name(place.rank)} process {os.getpid()}")
    try:
        peers.meet()
        _train(place, stop, paths)
        peers.leave()
    except Stopped:
        say("stopped before the training began: there is nothing to save")
    except Exception as error:  # noqa: BLE001 - the boundary
        sys.stdout = sys.__stdout__
        return peers.fail(error)
    return 0


def _train(place: Place, stop: Stop, paths: ContainerPaths) -> None:
    if torch.cuda.is_available():
        torch.cuda.set_device(place.local_rank)
    store = connect(os.environ, "group")
    group = Ranks.join(place.rank, place.size, place.local_size, store)
    if group.rank:
        say("the log goes on where rank 0 is: it speaks for all")
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 - until the process ends
    program(paths, stop, group)
    sys.stdout = sys.__stdout__
    group.leave()


if __name__ == "__main__":
    if code := main():
        os._exit(code)  # the interpreter's own end may wait for what a GPU exchanges with the lost
