"""What a deployment's parameters must keep, so that cheating never earns more than work.

`economy` holds what is given, `inequalities` what must hold, `lies` what a wrong answer costs.
"""
