"""
The AWS API on localhost: what ``AWS_ENDPOINT_URL`` points at when jobs run on this machine.

``wire`` speaks the protocols; ``s3``, ``sts``, ``logs`` and ``sagemaker`` are the services;
``runtimes`` runs what they are asked to run; ``server`` joins them; ``daemon`` starts and stops it.
Requests are built elsewhere (kennel.jobs), by whoever calls this server.
"""
