"""
Profiler, open: where a training's time goes, what its machine does meanwhile, and what wastes it.

Sampling needs psutil and NVML, traces need torch; reading and judging need the standard library.
"""
