"""What the parameters of a deployment must keep, so that nobody earns more by cheating than by work.

`economy` holds what is given, `inequalities` what must hold, `lies` what a wrong answer costs.
"""
