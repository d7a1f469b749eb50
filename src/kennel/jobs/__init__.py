"""
Drive SageMaker: requests as values, one module that sends them, one that follows what they started.

Nothing here knows whether AWS or the local server answers: AWS_ENDPOINT_URL decides, in boto3.
"""
