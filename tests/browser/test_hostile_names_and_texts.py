"""Names and texts that try to run or to call home stay what they are: text."""

from __future__ import annotations

import pytest

from tests.browser.pages import NAMES, address, wait_until_drawn
from tests.browser.trained import train

BEACON = "http://beacon.invalid"
HOSTILE = (
    f'<img src="{BEACON}/a.png" onerror="window.harmed=1"><script>window.harmed=2</script>'
    f" ![]({BEACON}/b.png) [link](javascript:window.harmed=3) :material/delete:"
    f" $\\href{{{BEACON}}}{{x}}$ :red[red] **bold** `tick`"
)


@pytest.fixture(scope="module")
def run_id(server, tmp_path_factory):
    """A run with a hostile name on hostile text, contexts and file names."""
    corpus = tmp_path_factory.mktemp("hostile")
    for context in ("plain", "<b onmouseover=harmed=4>&", "![](x) :red[x]"):
        folder = corpus / context
        folder.mkdir()
        for number in range(12):
            words = " ".join(f"word{number * 7 % 5} {HOSTILE} {number + k}" for k in range(20))
            (folder / f"{number} <i>'`![](y)`.txt").write_text(
                f"{words}\n\x1b[31m\u202e\u200b{context}\n", "utf-8"
            )
    return train(
        server.runs_root, "hostile", HOSTILE, {"--source": "folder", "--path": str(corpus)}
    )


@pytest.mark.parametrize("name", NAMES)
def test_nothing_comes_alive(visit, run_id, name):
    seen = visit().open(f"{address(name)}?run={run_id}")
    wait_until_drawn(seen, name)
    seen.picture(f"{name}-hostile")
    assert seen.page.evaluate("window.harmed") is None
    assert (
        seen.page.locator(
            '[data-testid="stMain"] a[href^="javascript"], [data-testid="stMain"]'
            ' img[src*="beacon"]'
        ).count()
        == 0
    )
    seen.no_harm()


def test_a_hostile_text_of_ones_own(visit, run_id):
    seen = visit().open(f"/fusion?run={run_id}")
    box = seen.page.get_by_role("textbox").first
    box.fill(HOSTILE)
    box.press("Control+Enter")
    seen.shows("harmed=2", 90)
    seen.figures().first.wait_for()
    seen.picture("hostile-text")
    assert seen.page.evaluate("window.harmed") is None
    assert seen.page.locator('[data-testid="stMain"] img[src*="beacon"]').count() == 0
    seen.no_harm()
