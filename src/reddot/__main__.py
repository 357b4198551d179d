"""`python -m reddot` is the command `reddot`."""

from reddot.cli import main

if __name__ == "__main__":
    main()
