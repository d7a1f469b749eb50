"""
Amazon SageMaker on this machine: its API over the runtimes that really run what it is asked.

``training`` and ``hosting`` hold the operations and the drivers behind them; ``service`` joins them
for the server. Protocol, validation by shape and serialisation are in kennel.local.wire.
"""
