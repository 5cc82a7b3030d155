"""`python -m app.write_openapi FILE`: the OpenAPI document, for the repository."""

import json
import sys
from pathlib import Path

from app.main import create_app
from app.settings import Settings


def main() -> None:
    """Write the document of the default settings to the file that is named."""
    document = create_app(Settings(root_path="")).openapi()
    Path(sys.argv[1]).write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
