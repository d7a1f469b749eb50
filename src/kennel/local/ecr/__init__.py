"""
ECR as far as a push needs it: repositories here, images in a registry on this machine.

The server keeps what the API calls a repository: its name, its settings, its lifecycle policy. What
is in it is asked from the registry that ``[local] registry`` names, over HTTP, each time
(``registry``). A registry of one's own keeps no tag immutable and lets nothing expire.
"""
