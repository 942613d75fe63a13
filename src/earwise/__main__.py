"""`python -m earwise`, and so `torchrun -m earwise`."""

from earwise.cli import main

if __name__ == "__main__":  # Worker processes import this module and must not run it.
    main()
