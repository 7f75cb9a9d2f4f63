"""What is tested: an implementation of convolutions, wherever it runs.

base          the protocol between the suite and a target: invocations go in, outcomes come out
function      a function in this process
conventions   from the suite's layout, padding and kernel to those that a profile declares, and back
load          a target by its name on the command line
"""
