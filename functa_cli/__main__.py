"""`python -m functa_cli` is the `functa` command."""

from functa_cli.cli import main

if __name__ == "__main__":
    main()
