"""Two browsers with a common interface: Chromium through Playwright, and Firefox through WebDriver BiDi."""

import json
import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

KEYS = {"Tab": "\ue004", "Enter": "\ue007", "Escape": "\ue00c", "ArrowLeft": "\ue012", "ArrowUp": "\ue013",
        "ArrowRight": "\ue014", "ArrowDown": "\ue015", "End": "\ue010", "Home": "\ue011", "Space": " "}  # fmt: skip
PEN = """(() => {
  const points = POINTS;
  const target = document.elementFromPoint(...points[0]);
  const send = (kind, [clientX, clientY], buttons) => target.dispatchEvent(new PointerEvent(kind, {
    pointerType: "pen", pointerId: 9, isPrimary: true, bubbles: true, cancelable: true, clientX, clientY, buttons,
  }));
  send("pointermove", points[0], 0);
  send("pointerdown", points[0], 1);
  for (const point of points.slice(1)) send("pointermove", point, 1);
  send("pointerup", points.at(-1), 0);
  send("pointerleave", points.at(-1), 0);
})()"""
Point = tuple[float, float]


class Chromium:
    """A page of Chromium: the mouse and keys by Playwright, pen and fingers by the DevTools protocol."""

    def __init__(self, browser: Any, **context: Any) -> None:
        self.context = browser.new_context(viewport={"width": 1280, "height": 1000}, **context)
        self.page = self.context.new_page()
        self.protocol = self.context.new_cdp_session(self.page)
        self.problems: list[str] = []
        self.page.on("console", lambda message: self.problems.append(message.text))
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))

    def open(self, url: str) -> None:
        self.page.goto("about:blank")
        self.page.goto(url)

    def evaluate(self, expression: str) -> Any:
        return self.page.evaluate(expression)

    def press(self, key: str) -> None:
        self.page.keyboard.press(key)

    def type(self, text: str) -> None:
        self.page.keyboard.type(text)

    def stroke(self, device: str, points: Sequence[Point], pressed: bool = True) -> None:
        """Press at the first point, move along the rest and release; or only move there."""

        def send(kind: str, point: Point, **more: Any) -> None:
            position = {"x": point[0], "y": point[1], "pointerType": device}
            self.protocol.send("Input.dispatchMouseEvent", {"type": kind, **position, **more})

        held = {"button": "left", "clickCount": 1}
        send("mouseMoved", points[0])
        if pressed:
            send("mousePressed", points[0], buttons=1, **held)
        for point in points[1:]:
            send("mouseMoved", point, buttons=int(pressed), button="left" if pressed else "none")
        if pressed:
            send("mouseReleased", points[-1], **held)

    def touch(self, *fingers: Sequence[Point]) -> None:
        """Put down a finger for each path, move all along their paths at once and lift them."""

        def send(kind: str, step: int) -> None:
            points = [{"x": path[step][0], "y": path[step][1], "id": i} for i, path in enumerate(fingers)]
            self.protocol.send(
                "Input.dispatchTouchEvent", {"type": kind, "touchPoints": [] if kind == "touchEnd" else points}
            )

        send("touchStart", 0)
        for step in range(1, len(fingers[0])):
            send("touchMove", step)
        send("touchEnd", -1)

    def close(self) -> None:
        self.context.close()


class Firefox:
    """A page of Debian's Firefox, driven by WebDriver BiDi over a socket."""

    def __init__(self, socket: Any) -> None:
        self.socket, self.count = socket, 0
        self.problems: list[str] = []
        self.send("session.subscribe", events=["log.entryAdded"])
        self.context = self.send("browsingContext.create", type="tab")["context"]
        self.resize(1280, 1000)

    def send(self, method: str, **parameters: Any) -> Any:
        self.count += 1
        self.socket.send(json.dumps({"id": self.count, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self.socket.recv())
            if answer.get("method") == "log.entryAdded":
                self.problems.append(str(answer["params"].get("text")))
            if answer.get("id") == self.count:
                assert answer["type"] == "success", answer
                return answer["result"]

    def resize(self, width: int, height: int) -> None:
        viewport = {"width": width, "height": height}
        self.send("browsingContext.setViewport", context=self.context, viewport=viewport)

    def open(self, url: str) -> None:
        for address in ("about:blank", url):
            self.send("browsingContext.navigate", context=self.context, url=address, wait="complete")

    def evaluate(self, expression: str) -> Any:
        wrapped = f"(async () => JSON.stringify(await ({expression})) ?? 'null')()"
        answer = self.send("script.evaluate", expression=wrapped, target={"context": self.context}, awaitPromise=True)
        assert answer["type"] == "success", answer["exceptionDetails"]["text"]
        return json.loads(answer["result"]["value"])

    def act(self, *sources: dict[str, Any]) -> None:
        self.send("input.performActions", context=self.context, actions=list(sources))

    def press(self, key: str) -> None:
        keys = [KEYS.get(part, part) for part in key.split("+")] if len(key) > 1 else [key]
        keys = ["\ue008" if part == "Shift" else part for part in keys]
        actions = [{"type": "keyDown", "value": key} for key in keys]
        actions += [{"type": "keyUp", "value": key} for key in reversed(keys)]
        self.act({"type": "key", "id": "keys", "actions": actions})

    def type(self, text: str) -> None:
        for letter in text:
            self.press(letter)

    def stroke(self, device: str, points: Sequence[Point], pressed: bool = True) -> None:
        if device == "pen":  # which the driver has not: its events are made by a script, all on what was pressed first
            self.evaluate(PEN.replace("POINTS", json.dumps(points)))
            return
        down, up = [{"type": "pointerDown", "button": 0}], [{"type": "pointerUp", "button": 0}]
        first, *rest = [{"type": "pointerMove", "x": round(x), "y": round(y)} for x, y in points]
        actions = [first, *(down if pressed else []), *rest, *(up if pressed else [])]
        self.act({"type": "pointer", "id": device, "parameters": {"pointerType": device}, "actions": actions})

    def touch(self, *fingers: Sequence[Point]) -> None:
        sources = []
        for i, path in enumerate(fingers):
            moves = [{"type": "pointerMove", "x": round(x), "y": round(y)} for x, y in path]
            actions = [moves[0], {"type": "pointerDown", "button": 0}, *moves[1:], {"type": "pointerUp", "button": 0}]
            sources.append(
                {"type": "pointer", "id": f"finger{i}", "parameters": {"pointerType": "touch"}, "actions": actions}
            )
        self.act(*sources)

    def close(self) -> None:
        self.send("browsingContext.close", context=self.context)


@contextmanager
def start_firefox(command: str, profile: Path) -> Iterator[Any]:
    """Start a Firefox with a fresh profile; yield the socket of its BiDi session."""
    import websocket

    quiet = ["app.update.auto", "datareporting.policy.dataSubmissionEnabled", "extensions.update.enabled",
             "network.captive-portal-service.enabled", "network.connectivity-service.enabled",
             "messaging-system.rsexperimentloader.enabled", "app.normandy.enabled"]  # fmt: skip
    lines = [f'user_pref("{name}", false);' for name in quiet] + ['user_pref("dom.w3c_touch_events.enabled", 1);']
    (profile / "user.js").write_text("\n".join(lines))
    words = [command, "--headless", "--no-remote", "--profile", str(profile), "--remote-debugging-port", "0"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        assert process.stderr is not None
        address = next(
            match.group(1) for line in process.stderr if (match := re.search(r"BiDi listening on (ws://\S+)", line))
        )
        socket = websocket.create_connection(f"{address}/session", suppress_origin=True, timeout=60)
        socket.send(json.dumps({"id": 0, "method": "session.new", "params": {"capabilities": {}}}))
        assert json.loads(socket.recv())["type"] == "success"
        yield socket
        socket.send(json.dumps({"id": 10**6, "method": "browser.close", "params": {}}))
        socket.close()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
