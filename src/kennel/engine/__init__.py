"""
The Docker engine of this machine; nothing else in kennel imports the docker SDK.

    engine = connection.connect()                 EngineError where there is none, or no permission
    engine.image(name)                            Image, or None where it is not there
    engine.pull(name)                             from the registry that the name begins with
    container = engine.create(Container(...))     its id; Container says all that docker run would
    engine.start(container)                       StartError, with Docker's 126 or 127
    engine.find(container)                        Found, or None where it is gone: state, port
    engine.wait(container, timeout_s)             its exit code, or None while it runs
    engine.signal(container, "SIGTERM")           no effect when it has ended
    engine.remove(container)                      killed, with its anonymous volumes
    engine.containers(labels)                     every Found with these labels
    engine.output(container, follow=False)        whole lines, or binary pieces, as they come
    engine.archive(container, path)               a file or folder of it as a tar, or None
    engine.put(container, folder, archive)        the other way, also before it is started
    engine.make_volume(name, labels), engine.remove_volume(name)
    engine.history(name), engine.saved(name)      what made an image's layers, and all their files
    engine.make_network(name, labels), engine.remove_network(name), engine.networks(labels)

``connection`` finds the engine, ``client`` talks to it, ``values`` are what goes in and comes out,
``streams`` puts its output together. What the containers are for is the callers' business:
kennel.local.runtimes.docker runs jobs and endpoints, kennel.checking judges images.
"""

from kennel.engine.client import Engine, StartError
from kennel.engine.connection import connect
from kennel.engine.values import Bind, Container, Found, Image, Volume

__all__ = ["Bind", "Container", "Engine", "Found", "Image", "StartError", "Volume", "connect"]
