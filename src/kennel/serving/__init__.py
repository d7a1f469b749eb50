"""
What runs in the serving image: multi-model-server with codecs of our own.

    server       started by the platform: configures, starts, watches and stops multi-model-server
    worker       the Python process behind it: loads the model once, then forks for every worker
    handler      multi-model-server's words for a request and an answer
    application  one request to one response, and every error to its status
    decoding, encoding, media, classifier    the parts of that, none of which knows of a server

Training the model is kennel.training's; preprocessing and the artifact are kennel.vision's.
"""
