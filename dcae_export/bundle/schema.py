"""Generate the JSON Schema of manifest.json for readers in other languages."""

import json
from pathlib import Path

from dcae_export.bundle.manifest import Manifest

SCHEMA_PATH = Path(__file__).with_name("manifest.schema.json")


def manifest_schema() -> str:
    """The schema's text (JSON Schema draft 2020-12), equal for equal models."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Manifest.model_json_schema(),
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    SCHEMA_PATH.write_text(manifest_schema(), encoding="utf-8", newline="\n")
