"""The developer's side of private models: publishing them encrypted, and releasing their keys."""
