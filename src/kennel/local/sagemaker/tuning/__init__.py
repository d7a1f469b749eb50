"""
Tuning jobs: ``jobs`` holds the operations, ``driver`` carries them out, ``run`` is the way of one.

A trial is an ordinary training job of this server (kennel.local.sagemaker.training), created as
CreateTrainingJob would create it (``definition``), whose ``objective`` is read from its log. What
to try next, and when to stop, kennel.tuning decides from the trials so far (``launched``); nothing
of that is kept here but the trials themselves, so that any server goes on with what was learned.
"""
