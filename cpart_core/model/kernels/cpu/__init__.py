"""What lies between the products of a layer on a CPU, each as one pass over memory: compiled by
numba, once for all runs of a machine.

torch computes the same in three to ten operations, each of which reads and writes everything anew.
Every pass is equal to torch's operations up to rounding and sums in fp32; what products make or
take may be bf16, weights and fusion weights are fp32. Nothing here knows of autograd.
"""
