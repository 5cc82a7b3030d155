"""`python -m app.write_openapi FILE`: write the OpenAPI document, which the repository holds in docs/openapi.json."""

import json
import sys
from pathlib import Path

from app.main import create_app
from app.settings import Settings


def main() -> None:
    """Write the document of the default settings to the file that the first argument names."""
    document = create_app(Settings().model_copy(update={"root_path": "", "api_keys": ()})).openapi()
    Path(sys.argv[1]).write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
