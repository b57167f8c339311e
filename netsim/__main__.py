"""`python -m netsim`."""

import sys

if __name__ == "__main__":  # worker processes import this module, too
    try:
        from netsim.cli.main import main
    except ModuleNotFoundError as missing:
        sys.stderr.write(
            f"error: this Python ({sys.executable}) has no package {missing.name}\n"
            "  activate the environment that has all (.venv), or call its bin/python\n"
        )
        sys.exit(2)
    main()
