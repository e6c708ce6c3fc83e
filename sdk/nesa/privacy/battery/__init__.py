"""Ten attacks on what one observer of a private query sees, each beside what guessing reaches."""
