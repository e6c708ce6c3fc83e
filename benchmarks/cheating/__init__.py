"""Who earns what in thousands of simulated queries, honest or not: `python -m benchmarks.cheating`.

`setting` says what is played, `run` who plays, `book` keeps the sums, `playing` and `disputing` are
the rules, `seating` what slashes leave, `strategies` who does what, `sweeps` where that pays,
`tables` what is asked of it, `margins` what needs no play. Draws, fees and settlements are those
of `nesa.protocol`.
"""
