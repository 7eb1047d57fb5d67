"""`python -m segrecord.cli`."""

from segrecord.cli import main

if __name__ == "__main__":
    main()
