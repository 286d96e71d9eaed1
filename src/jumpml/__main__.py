"""``python -m jumpml``, which is how `torchrun` starts the commands."""

from jumpml.cli import main

if __name__ == "__main__":
    main()
