"""
The kennel command, and the only room where the others meet.

Results go to standard output, everything else to standard error. Exit code 0: done; 1: it failed;
2: bad usage; 130: interrupted. ``parser`` describes the commands; the other
modules run them, a group each.
"""

from kennel.cli.parser import main

__all__ = ["main"]
