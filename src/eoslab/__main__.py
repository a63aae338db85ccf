"""``python -m eoslab`` is the command ``eoslab``."""

from eoslab.cli import main

main()
