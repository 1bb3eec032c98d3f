"""`python -m toykit` is the command `toykit`; so `torchrun ... -m toykit train ...` works."""

from toykit.cli import main

if __name__ == "__main__":
    main(prog_name="toykit")
