"""
What training and serving share, so that they can never drift apart.

    images           reads pictures
    preprocessing    turns them into arrays; augmentation changes them for training
    models           builds classifiers; classifiers are their names
    artifact         a trained one on disk: its layout and its description
    trained          the artifact's files for torch, and how those for OpenVINO are made from them
    openvino_model   the artifact's files for OpenVINO

No training loop (kennel.training), no HTTP (kennel.serving). A CPU is served, and data checked,
without torch: artifact, classifiers, images, openvino_model and preprocessing work without it.
"""
