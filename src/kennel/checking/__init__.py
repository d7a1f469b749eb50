"""
Does an image keep SageMaker's contract? Run it as SageMaker would, and report line by line.

    catalogue    every check: what the contract says, and what to do where it is not kept
    findings     what came of a check, and a whole report
    check        the checks in order: image, training, hosting

    configuration, cuda, credentials                   judge the image without running it
    layers                                             reads the files of its layers
    training, training_runs                            docker run IMAGE train
    hosting, servers, invocations, stopping, elsewhere  docker run IMAGE serve
    sandbox, probe, samples, interruptions             the containers, the requests, what is sent

It knows nothing of what is inside: any image can be checked, also one without Python or a shell.
Running jobs of the local server is kennel.local's; building our images is docker/.
"""
