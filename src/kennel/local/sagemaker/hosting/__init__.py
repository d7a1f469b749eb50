"""
Models, endpoint configurations and endpoints; ``driver`` runs what an endpoint deploys.

A variant is one container whatever its InitialInstanceCount, since one machine has no more to give;
Describe tells the count that was asked for. A DeploymentConfig is kept and told, and the new fleet
takes all the traffic at once.
"""
