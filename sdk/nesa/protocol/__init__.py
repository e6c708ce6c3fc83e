"""The rules of Nesa as pure functions: no network, no clock, no disk, no globals."""
