"""The page's background before Streamlit has loaded: its bare page is white, and flashes where the
app is dark. Knows no page of ours."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

NOT_PASSED_ON = (b"accept-encoding", b"if-none-match", b"if-modified-since", b"range")
"""The page is asked for whole and unpacked, whatever the browser has."""
NOT_ANSWERED = (b"content-length", b"etag", b"last-modified")


def head(light: str, dark: str) -> bytes:
    """What the page's head begins with: the system's mode, unless a person has chosen the other one
    (Streamlit keeps that under this name)."""
    return (
        f"<style>html{{background:{light}}}@media(prefers-color-scheme:dark){{html{{background:{dark}}}}}"
        f"html.chosen-Light{{background:{light}}}html.chosen-Dark{{background:{dark}}}</style>"
        '<script>try{document.documentElement.classList.add("chosen-"+JSON.parse('
        'localStorage.getItem("stActiveTheme-"+location.pathname+"-v2")))}catch(nothing){}</script>'
    ).encode()


class FirstPaint:
    """Puts the background into every HTML page. light, dark: colours of the two themes."""

    def __init__(self, app: ASGIApp, light: str, dark: str) -> None:
        self.app, self.head = app, head(light, dark)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (
            scope["type"] != "http"
            or scope["method"] != "GET"
            or b"text/html" not in dict(scope["headers"]).get(b"accept", b"")
        ):
            await self.app(scope, receive, send)
            return
        held: list[Message] = []

        async def send_painted(message: Message) -> None:
            if message["type"] == "http.response.start" and is_page(message):
                held.append(message)
            elif held:
                held.append(message)
                if not message.get("more_body"):
                    for part in self.painted(held):
                        await send(part)
            else:
                await send(message)

        asked = [pair for pair in scope["headers"] if pair[0] not in NOT_PASSED_ON]
        await self.app({**scope, "headers": asked}, receive, send_painted)

    def painted(self, held: list[Message]) -> tuple[Message, Message]:
        """The whole answer with our head."""
        start, *parts = held
        page = b"".join(part.get("body", b"") for part in parts).replace(
            b"<head>", b"<head>" + self.head, 1
        )
        headers = [pair for pair in start["headers"] if pair[0].lower() not in NOT_ANSWERED]
        return {**start, "headers": [*headers, (b"content-length", str(len(page)).encode())]}, {
            "type": "http.response.body",
            "body": page,
        }


def is_page(start: Message) -> bool:
    return start["status"] == 200 and dict(start["headers"]).get(b"content-type", b"").startswith(
        b"text/html"
    )
