"""
What every rule has, whatever it judges: a name, parameters, findings, an outcome.

  parameters     a rule's table of parameters, and reading a request's
  configuration  the rules that a request asks for, in AWS's words
  outcome        what a rule has found, and the document it is kept in
  keeping        where outcomes are kept, a file for each
  debugger       the debugger's rules by name, with their parameters
  causes         which of several broken rules is the cause of the others
  doubts         hyperparameters that hardly anybody can mean together

The rules over saved tensors are kennel.debugging's, those over a run's time kennel.profiling's.
Needs the standard library alone.
"""
