"""The subcommands, a module a group of stages: each reads its options and calls one function.

Modules of stages are imported inside the commands: torch takes seconds, and `--help` should not.
"""
