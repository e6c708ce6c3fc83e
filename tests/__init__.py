"""Tests of everything; a package, because a dependency installs another one called tests."""
