"""`python -m proxy` is `bursar`."""

from proxy.cli.main import main

if __name__ == "__main__":
    main()
