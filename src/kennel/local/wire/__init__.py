"""The AWS protocols: requests in, answers and errors out. What to answer, the services know."""
