"""`python -m briggs` is `briggs`."""

from briggs.cli import main

if __name__ == "__main__":
    main(prog_name="briggs")
