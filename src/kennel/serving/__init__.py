"""
What runs in the serving image: multi-model-server with codecs of our own.

    server       started by the platform: configures, starts, watches and stops multi-model-server
    worker       the Python process behind it: loads the model once, then forks for every worker
    handler      multi-model-server's words for a request and an answer
    application  one request to one response, and every error to its status
    loaded       the model: prepared in the process that forks, started in each fork
    backends     what computes: torch_backend on a GPU, openvino_backend on a CPU
    decoding, encoding, media, classifier    the parts of an answer, none of which knows of a server

Only torch_backend imports torch, which the cpu image does not have. Training the model is
kennel.training's; preprocessing and the artifact are kennel.vision's.
"""
