"""
Training jobs: ``jobs`` holds the operations, ``driver`` carries them out.

``run`` is the way of one job, in one ``attempt`` or, when Spot instances are taken back (``spot``),
in several; an attempt has as many ``hosts`` as the job's ``cluster`` has instances. As many jobs
run at once as there are cores, but at least two (``slots``); the others are Pending.
"""
