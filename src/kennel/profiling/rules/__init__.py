"""
The profiler's rules: AWS's names and parameters, judged from what a run has left.

They need the standard library alone, since the client judges too.
"""
