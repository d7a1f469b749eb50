"""
Training jobs: ``jobs`` holds the operations, ``driver`` and ``run`` carry them out.

As many run at once as there are cores, but at least two (``slots``); the others are Pending.
"""
