"""
What training and serving share, so that they can never drift apart.

``images`` reads pictures, ``preprocessing`` turns them into tensors, ``models`` builds classifiers
and ``artifact`` is the layout of a trained one on disk. No training loop (kennel.training), no HTTP
(kennel.serving). ``images`` works without torch, for kennel.datasets.
"""
