"""Models, endpoint configurations and endpoints; ``driver`` runs what an endpoint deploys."""
