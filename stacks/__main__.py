"""Where the engine starts the program."""

from stacks.program import run

run()
