"""
Pages about training jobs: the profiler's, the debugger's, and two runs side by side.

They read what a job has left in its output data, and need the standard library alone.
"""
