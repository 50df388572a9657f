from dcae_export.bundle.schema import SCHEMA_PATH, manifest_schema


def test_the_published_schema_is_that_of_the_models() -> None:
    current = SCHEMA_PATH.read_text(encoding="utf-8")
    assert current == manifest_schema(), "run python -m dcae_export.bundle.schema"
