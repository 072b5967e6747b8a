"""Tools for tests, ours and those of people who build on this package."""
