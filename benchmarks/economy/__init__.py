"""Who earns what in thousands of simulated queries, honest or not: `python -m benchmarks.economy`.

`setting` says what is played, `book` keeps the sums, `playing` the rules, `strategies` who does
what, `tables` what is asked of it. Draws, fees and settlements are those of `nesa.protocol`.
"""
