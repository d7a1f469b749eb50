"""
Models, endpoint configurations and endpoints; ``driver`` runs what an endpoint deploys.

A variant has as many containers as its InitialInstanceCount, or as the runtime can have: a process
is alone, and Describe tells the count that was asked for. A DeploymentConfig is kept and told, and
the new fleet takes all the traffic at once.
"""
