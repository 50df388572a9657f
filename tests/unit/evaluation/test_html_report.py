import base64
import math
import re
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path

import pytest
from crafted_pictures import encode, gradient

from dcae_export.errors import InputError, PictureError
from dcae_export.evaluation.html_report import write_html
from dcae_export.evaluation.published import Evidence, Published
from dcae_export.evaluation.result import Figure, Result

VOID = {"meta", "img"}
HOSTILE = "<script>alert('\"')</script>&amp;"


class Page(HTMLParser):
    """A page's elements and text; an element that is not closed in its turn is an error."""

    def __init__(self, path):
        super().__init__(convert_charrefs=True)
        self.source = path.read_text(encoding="utf-8")
        self.elements = []
        self.open = []
        self.words = []
        self.feed(self.source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())

    @property
    def standings(self):
        classes = [span.get("class", "") for span in self.all("span")]
        return [name for name in classes if name.startswith("standing")]

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def published(digits, *, count=50_000, evidence=Evidence.REPOSITORY):
    return Published(
        value=Decimal(digits),
        count=count,
        setting="ImageNet validation, 512 px",
        source="the README",
        evidence=evidence,
    )


def figure(value=0.2134, beside=None, **changes):
    settings = {"name": "rFID", "count": 50_000, "better": "lower", **changes}
    return Figure(value=value, published=beside, **settings)


def result(**changes):
    parts = {
        "kind": "reconstruction",
        "subject": "bundles/f64",
        "settings": {"size": "512 px"},
        "figures": (figure(),),
        "distributions": {},
        "pictures": (),
        **changes,
    }
    return Result(**parts)


@pytest.fixture
def write(tmp_path):
    def page(**changes):
        path = tmp_path / "report.html"
        write_html(result(**changes), path)
        return Page(path)

    return page


@pytest.fixture
def sheet(tmp_path):
    path = tmp_path / "sheet <1>.png"
    path.write_bytes(encode(gradient(16, 24), ".png"))
    return path


def test_names_that_look_like_markup_are_shown_as_text(write):
    page = write(
        subject=HOSTILE,
        settings={HOSTILE: HOSTILE},
        figures=(figure(name=HOSTILE, unit=HOSTILE, note=HOSTILE),),
        distributions={HOSTILE: (1.0, 2.0)},
    )
    assert page.all("script") == []
    assert "<script" not in page.source
    # Title and subject; both cells of a setting; name, unit and note; the heading of a histogram.
    assert page.text.count(HOSTILE) == 8


def test_a_name_that_is_no_unicode_does_not_stop_the_page(write):
    assert r"photo-\udcff" in write(subject="photo-\udcff").text


def test_the_page_refers_to_nothing_outside_itself(write, sheet):
    page = write(
        figures=(figure(beside=published("0.21678")),),
        distributions={"PSNR, dB": (25.0, 26.0)},
        pictures=(sheet,),
    )
    # What base64 may hold by chance is no reference.
    rest = re.sub(r"data:image/png;base64,[A-Za-z0-9+/=]+", "", page.source)
    assert not re.search(r"https?:|//|@import|url\(", rest)
    assert {tag for tag, _ in page.elements}.isdisjoint({"script", "link", "iframe", "object"})
    names = {name for _, attributes in page.elements for name in attributes}
    assert not [name for name in names if name.startswith("on")]
    assert all(image["src"].startswith("data:image/png;base64,") for image in page.all("img"))
    policies = [meta["content"] for meta in page.all("meta") if "http-equiv" in meta]
    assert policies == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]


def test_the_page_follows_the_readers_light_or_dark(write):
    source = write().source
    assert "@media (prefers-color-scheme: dark)" in source
    light, _, rest = source.partition("@media (prefers-color-scheme: dark)")
    dark = rest.partition("\n}")[0]
    colours = [set(re.findall(r"(--[a-z-]+):", part)) for part in (light, dark)]
    assert colours[0] == colours[1] != set()


@pytest.mark.parametrize(
    ("value", "digits", "shown"),
    [
        (0.2167766520628902, "0.21678", "0.21678"),
        (26.1502, "26.1489", "26.1502"),
        (2.8, "2.30", "2.80"),
        (0.2167766520628902, None, "0.2168"),
        (0.08, None, "0.08000"),
        (26.1, None, "26.10"),
        (104.25, None, "104.2"),
        (1234.0, None, "1234"),
    ],
)
def test_a_value_has_the_published_decimals_or_four_digits(write, value, digits, shown):
    page = write(figures=(figure(value, digits and published(digits)),))
    assert f"lower is better {shown} 50,000 pictures" in page.text


def test_a_value_has_its_unit(write):
    page = write(figures=(figure(26.148, name="PSNR", better="higher", unit="dB"),))
    assert "PSNR higher is better 26.15 dB 50,000 pictures" in page.text


def test_a_figure_without_a_value_says_why(write):
    page = write(figures=(figure(None, name="LPIPS", count=0, note="no weights were given"),))
    assert "LPIPS lower is better not measured no weights were given" in page.text
    assert "0 pictures" not in page.text


@pytest.mark.parametrize(
    ("value", "standing"), [(0.20, "better"), (0.21678, "equal"), (0.22, "worse")]
)
def test_a_card_shows_the_published_figure_and_how_ours_stands_to_it(write, value, standing):
    page = write(figures=(figure(value, published("0.21678")),))
    assert (
        f"published 0.21678 {standing} ImageNet validation, 512 px, 50,000 pictures"
        " the README (the authors' repository)"
    ) in page.text
    assert page.standings == [f"standing {standing}"]


def test_figures_over_other_numbers_of_pictures_are_shown_without_a_verdict(write):
    page = write(figures=(figure(count=1, beside=published("0.21678")),))
    assert "0.21340 1 picture " in page.text
    assert "published 0.21678" in page.text
    assert "Not compared: over another number of pictures." in page.text
    assert page.standings == []


def test_a_figure_that_is_not_confirmed_is_shown_as_such_without_a_verdict(write):
    beside = published("0.81", evidence=Evidence.UNCONFIRMED)
    page = write(figures=(figure(beside=beside),))
    assert "published 0.81" in page.text
    assert "not confirmed" in page.text
    assert page.standings == []


def test_the_bars_of_a_histogram_sum_to_the_pictures(write):
    values = tuple(20 + 10 * math.sin(n) for n in range(1500))
    page = write(distributions={"PSNR, dB": (*values, math.inf)})
    assert "By picture PSNR, dB pictures" in page.text
    bars = re.findall(r"<title>[-\d.,]+ to [-\d.,]+: ([\d,]+)</title>", page.source)
    assert sum(int(bar.replace(",", "")) for bar in bars) == 1500
    assert len(page.all("rect")) == len(bars)
    assert "1,500 drawn: median" in page.text
    assert "; 1 not finite." in page.text


def test_a_quantity_without_a_finite_value_is_told(write):
    page = write(distributions={"PSNR, dB": (math.inf,)})
    assert "PSNR, dB No picture has a finite value." in page.text
    assert page.all("svg") == []


def test_a_sheet_is_embedded_byte_for_byte_under_its_name(write, sheet):
    page = write(pictures=(sheet,))
    (image,) = page.all("img")
    data = image["src"].removeprefix("data:image/png;base64,")
    assert base64.b64decode(data, validate=True) == sheet.read_bytes()
    assert "Picture, reconstruction, error sheet <1>" in page.text


@pytest.mark.parametrize(
    ("kind", "heading"),
    [
        ("reconstruction", "Reconstruction"),
        ("generation", "Generation"),
        ("clip", "CLIP score"),
    ],
)
def test_the_page_says_what_was_evaluated(write, kind, heading):
    page = write(kind=kind)
    assert page.text.startswith(f"{heading}: bundles/f64 {heading} bundles/f64")


def test_settings_are_a_table_in_their_order(write):
    page = write(settings={"size": "512 px", "provider": "cpu", "Inception": "sha256 ab"})
    assert page.text.endswith("Settings size 512 px provider cpu Inception sha256 ab")


def test_an_existing_page_is_kept_unless_it_is_to_be_replaced(tmp_path):
    path = tmp_path / "report.html"
    path.write_text("mine")
    with pytest.raises(InputError, match="exists"):
        write_html(result(), path)
    assert path.read_text() == "mine"
    write_html(result(), path, force=True)
    assert "bundles/f64" in Page(path).text


def test_a_page_that_cannot_be_made_leaves_no_file(tmp_path):
    target = tmp_path / "report.html"
    with pytest.raises(InputError, match=r"missing\.png"):
        write_html(result(pictures=(tmp_path / "missing.png",)), target)
    jpeg = tmp_path / "sheet.jpg"
    jpeg.write_bytes(encode(gradient(16, 16), ".jpg"))
    with pytest.raises(PictureError, match=r"sheet\.jpg: is no PNG"):
        write_html(result(pictures=(jpeg,)), target)
    assert list(tmp_path.iterdir()) == [jpeg]


def test_a_page_is_written_whole_or_not_at_all(tmp_path):
    with pytest.raises(InputError, match="cannot be written"):
        write_html(result(), Path(tmp_path) / "missing" / "report.html")
    assert list(tmp_path.iterdir()) == []
