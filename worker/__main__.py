"""``python -m worker``: a worker configured by the environment."""

import sys

from pydantic import ValidationError

from settings import Settings, describe_invalid
from worker.main import main

try:
    settings = Settings()
except ValidationError as problem:
    print(describe_invalid(problem), file=sys.stderr)
    sys.exit(2)
main(settings)
