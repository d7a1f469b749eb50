"""Bring-your-own-container image classification on Amazon SageMaker, and on your own machine."""
