"""
Searching hyperparameters: ranges, trials, what to try next, and what was found.

The local server and a training job that searches by itself use it; on AWS the search is
SageMaker's own, and only the report here is made of what it answers. Nothing here sends a request
or starts a job.
"""
