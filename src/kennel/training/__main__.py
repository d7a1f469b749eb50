"""``python -m kennel.training train``: what SageMaker starts in the training image."""

import sys

from kennel import cuda_compat
from kennel.training.entry import main

cuda_compat.start()
sys.exit(main(sys.argv[1:]))
