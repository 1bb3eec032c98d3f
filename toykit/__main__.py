"""`python -m toykit` runs the command `toykit`; `torchrun ... -m toykit train ...` needs this form."""

from toykit.cli import main

if __name__ == "__main__":
    main(prog_name="toykit")
