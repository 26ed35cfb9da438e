"""``python -m worker``: a worker configured by the environment."""

from settings import Settings
from worker.main import main

main(Settings())
