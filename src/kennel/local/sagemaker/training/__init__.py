"""Training jobs: ``jobs`` holds the operations, ``driver`` runs them."""
