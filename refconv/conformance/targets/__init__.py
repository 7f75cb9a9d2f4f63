"""What is tested: an implementation of convolutions, wherever it runs.

base          the protocol between the suite and a target: invocations go in, outcomes come out
function      a function in this process
conventions   from the suite's layout, padding and kernel to those that a profile declares, and back
isolated      the same in a process of its own, which may crash, hang or fill the memory
executable    a program in any language
load          a target by its name on the command line
"""
