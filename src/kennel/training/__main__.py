"""``python -m kennel.training train``: what SageMaker starts in the training image."""

import sys

from kennel.training.entry import main

sys.exit(main(sys.argv[1:]))
