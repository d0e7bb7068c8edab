"""Let ``python -m attncourse`` be the ``attncourse`` command."""

from attncourse.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
