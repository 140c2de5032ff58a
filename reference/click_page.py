"""Clicks through the page of `basereward serve` in headless Chromium, as people would, and fails where it does not do what it should.

    python click_page.py BASEREWARD MODEL PICTURE --shots FOLDER

Starts the server itself (with a key and a feedback file), speaks the DevTools protocol, and writes screenshots at 1280 and 390
pixels, light and dark. Needs the extra `page` of `pyproject.toml` and a Chromium; measures nothing.
"""

import argparse
import asyncio
import base64
import contextlib
import json
import pathlib
import shutil
import subprocess
import tempfile

import websockets

KEY = "a key of this test"


class Browser:
    """One tab."""

    def __init__(self, socket, session):
        self.socket, self.session, self.number = socket, session, 0
        self.faults = []

    async def call(self, method, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        await self.socket.send(json.dumps(message))
        while True:
            reply = json.loads(await self.socket.recv())
            self.note(reply)
            if reply.get("id") == self.number:
                if "error" in reply:
                    raise AssertionError(f"{method}: {reply['error']}")
                return reply["result"]

    def note(self, event):
        """Keeps what the console complains about; refusals of the server are what should happen."""
        if event.get("method") == "Runtime.exceptionThrown":
            self.faults.append(event["params"]["exceptionDetails"])
        if event.get("method") == "Log.entryAdded":
            entry = event["params"]["entry"]
            if entry["level"] == "error" and entry["source"] != "network":
                self.faults.append(entry)

    async def run(self, script):
        result = await self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in result:
            raise AssertionError(f"{script}: {result['exceptionDetails']}")
        return result["result"].get("value")

    async def until(self, script, what):
        for _ in range(300):
            if await self.run(f"Boolean({script})"):
                return
            await asyncio.sleep(0.05)
        shown = await self.run("document.body.innerText")
        raise AssertionError(f"waited in vain for {what}; the page says:\n{shown}")

    async def click(self, selector):
        """A click of the mouse in the middle of what is there, so that something that lies over it is noticed."""
        place = await self.run(
            f"""(() => {{
                const found = document.querySelector({json.dumps(selector)});
                found.scrollIntoView({{block: "center"}});
                const box = found.getBoundingClientRect();
                return [box.x + box.width / 2, box.y + box.height / 2];
            }})()"""
        )
        for kind in ("mousePressed", "mouseReleased"):
            await self.call("Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], button="left", clickCount=1)

    async def type(self, selector, text):
        await self.click(selector)
        await self.run("document.activeElement.select?.()")
        await self.call("Input.insertText", text=text)

    async def press(self, key, code, modifiers=0, text=None):
        extra = {"text": text} if text else {}
        await self.call(
            "Input.dispatchKeyEvent",
            type="keyDown",
            key=key,
            code=key,
            windowsVirtualKeyCode=code,
            modifiers=modifiers,
            **extra,
        )
        await self.call(
            "Input.dispatchKeyEvent", type="keyUp", key=key, code=key, windowsVirtualKeyCode=code, modifiers=modifiers
        )

    async def text(self, selector):
        return await self.run(f"document.querySelector({json.dumps(selector)}).innerText")

    async def shot(self, path, width, dark):
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600
        )
        await self.call(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}],
        )
        await self.run("window.scrollTo(0, 0)")
        overflow = await self.run("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert overflow <= 0, f"{path}: {overflow} pixels wider than the window"
        taken = await self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(taken["data"]))


def equal(found, expected, what):
    assert found == expected, f"{what}: {found!r}, but should be {expected!r}"


def holds(text, part):
    assert part in text, f"`{part}` is not in `{text}`"


async def give_key(tab):
    await tab.until("!document.getElementById('key-form').hidden", "the question for a key")
    await tab.type("#key", "wrong")
    await tab.click("#key-form button")
    await tab.until(
        "!document.getElementById('key-form').hidden && !document.body.ariaBusy", "the second question for a key"
    )
    await tab.type("#key", KEY)
    await tab.press("Enter", 13, text="\r")
    await tab.until("document.querySelector('#card dd')", "the model card")
    equal(
        await tab.run(f"sessionStorage.getItem('basereward-key') === {json.dumps(KEY)}"), True, "the key in the session"
    )
    equal(await tab.run("localStorage.length"), 0, "things that outlive the tab")


async def give_pictures(tab, picture):
    """Chosen, dropped and pasted."""
    node = await tab.call("Runtime.evaluate", expression="document.getElementById('files')")
    await tab.call("DOM.setFileInputFiles", files=[str(picture)], objectId=node["result"]["objectId"])
    await tab.until("document.querySelectorAll('#pictures li').length === 1", "a chosen picture")
    bits = json.dumps(base64.b64encode(picture.read_bytes()).decode())
    carried = f"""const carried = new DataTransfer();
        const bytes = Uint8Array.from(atob({bits}), (one) => one.charCodeAt(0));
        carried.items.add(new File([bytes], "second.png", {{type: "image/png"}}));"""
    await tab.run(
        f"(() => {{ {carried} document.getElementById('drop').dispatchEvent(new DragEvent('drop', {{bubbles: true, cancelable: true, dataTransfer: carried}})); }})()"
    )
    await tab.until("document.querySelectorAll('#pictures li').length === 2", "a dropped picture")
    await tab.run(
        f"(() => {{ {carried} document.getElementById('question').dispatchEvent(new ClipboardEvent('paste', {{bubbles: true, cancelable: true, clipboardData: carried}})); }})()"
    )
    await tab.until("document.querySelectorAll('#pictures li').length === 3", "a pasted picture")
    await tab.click("#pictures li:last-child button")
    await tab.click("#pictures li:last-child button")
    equal(await tab.run("document.querySelectorAll('#pictures li').length"), 1, "pictures that are left")


async def score(tab, shots, question, answers):
    await tab.click("#submit")
    await tab.until("!document.getElementById('failure').hidden", "a complaint about an empty question")
    equal(await tab.run("document.activeElement.id"), "question", "the field at fault")
    await tab.type("#question", question)
    for index, answer in enumerate(answers):
        if index > 1:
            await tab.click("#add")
        await tab.type(f"#answer-{index}", answer)
    await tab.click("#add")
    await tab.click("#answers li:last-child .remove")
    await tab.click("#submit")
    await tab.until("document.querySelectorAll('#findings li').length === 3", "rewards and findings")
    equal(await tab.run("document.querySelectorAll('#bars li').length"), len(answers), "bars")
    verdict = await tab.text("#verdict")
    holds(verdict, "wins")
    findings = await tab.text("#findings")
    holds(findings, "same bits")
    holds(findings, "the order changes nothing")
    holds(findings, "Without the pictures")
    winner = await tab.text("#bars .best .letter")
    holds(verdict, winner)
    shown = [
        float(text.replace("−", "-"))
        for text in await tab.run("[...document.querySelectorAll('#bars .reward')].map((one) => one.innerText)")
    ]
    widths = await tab.run(
        "[...document.querySelectorAll('#bars .seen')].map((one) => one.getBoundingClientRect().width)"
    )
    for reward, width in zip(shown, widths):
        assert abs(width / max(widths) - abs(reward) / max(map(abs, shown))) < 0.02, (
            "a bar is not as long as its reward"
        )
    for width in (1280, 390):
        for dark in (False, True):
            await tab.shot(shots / f"score-{width}-{'dark' if dark else 'light'}.png", width, dark)
    return verdict


async def by_keyboard(tab, verdict):
    """Everything can be reached by Tab, with a ring around it, and Ctrl + Enter scores."""
    await tab.run("document.activeElement.blur(); document.getElementById('mode-score').focus()")
    seen = []
    for _ in range(20):
        await tab.press("Tab", 9)
        seen.append(await tab.run("document.activeElement.id || document.activeElement.className"))
        ring = await tab.run("getComputedStyle(document.activeElement).outlineStyle")
        assert seen[-1] == "" or ring != "none", f"{seen[-1]} has no ring when it has the focus"
    for name in ("mode-arena", "remove", "files", "question", "answer-0", "answer-1", "add", "checks", "submit"):
        assert name in seen, f"{name} is not reached by Tab: {seen}"
    await tab.run("document.getElementById('answer-0').focus()")
    await tab.call("Input.insertText", text=" ")
    equal(
        await tab.run("document.getElementById('results').classList.contains('stale')"), True, "a mark on old rewards"
    )
    await tab.press("Enter", 13, modifiers=2)
    await tab.until("!document.getElementById('results').classList.contains('stale')", "rewards after Ctrl + Enter")
    equal(await tab.text("#verdict"), verdict, "the same question's verdict")


async def refusals(tab):
    """Markup in an answer stays a text, and what is wrong is told at its place."""
    answer = await tab.run("document.getElementById('answer-1').value")
    await tab.until("!document.body.ariaBusy", "the end of scoring")
    await tab.type("#answer-1", "<img src=x onerror=\"document.title = 'ran'\">")
    await tab.click("#submit")
    await tab.until(
        "document.querySelectorAll('.said')[1].innerText.startsWith('<img') && !document.body.ariaBusy",
        "a text with marks",
    )
    equal(await tab.run("document.querySelectorAll('#bars img').length"), 0, "elements made of an answer")
    assert await tab.run("document.title") != "ran", "an answer ran"
    await tab.type("#answer-1", "<|im_end|>")
    await tab.click("#submit")
    await tab.until("document.getElementById('answer-1').ariaInvalid === 'true'", "a refusal at the answer")
    holds(await tab.text("#failure"), "<|im_end|>")
    equal(await tab.run("document.activeElement.id"), "answer-1", "the field at fault")
    await tab.type("#answer-1", answer)
    await tab.run("limits.bodyBytes = 100")
    await tab.click("#submit")
    await tab.until(
        "document.getElementById('failure').innerText.includes('this server takes 100')", "a limit that is told"
    )
    await tab.run("limits.bodyBytes = Infinity")


async def arena(tab, shots, feedback):
    await tab.until("!document.body.ariaBusy", "the end of scoring")
    await tab.click("#mode-arena")
    await tab.click("#submit")
    await tab.until("!document.getElementById('pair').hidden", "a pair")
    for width, dark in ((1280, False), (390, True)):
        await tab.shot(shots / f"arena-{width}-{'dark' if dark else 'light'}.png", width, dark)
    pairs = []
    for choice in ("a", "b", "tie"):
        pairs.append([await tab.text("#first-text"), await tab.text("#second-text"), choice])
        await tab.click(f"#choose-{choice}")
        await tab.until(
            "document.getElementById('arena-state').innerText.includes('Kept') && !document.body.ariaBusy",
            "a kept choice",
        )
        await tab.run("document.getElementById('arena-state').textContent = ''")
    holds(await tab.text("#tally"), "3 kept")
    await tab.click("#submit")
    await tab.until("!document.getElementById('pair').hidden", "pairs again")
    await tab.click("#choose-skip")
    rows = [json.loads(line) for line in feedback.read_text().splitlines()]
    ranks = {"a": [0, 1], "b": [1, 0], "tie": [0, 0]}
    equal(
        [row["responses"] + [row["ranks"]] for row in rows],
        [[left, right, ranks[choice]] for left, right, choice in pairs],
        "kept rows",
    )
    for row in rows:
        assert (feedback.parent / row["images"][0]).is_file(), "a picture is not beside its row"


async def click_through(address, port_file, options, feedback):
    for _ in range(200):
        with contextlib.suppress(FileNotFoundError, ValueError):
            port, path = port_file.read_text().split("\n")[:2]
            break
        await asyncio.sleep(0.05)
    async with websockets.connect(f"ws://127.0.0.1:{port}{path}", max_size=None) as socket:
        tab = Browser(socket, None)
        target = await tab.call("Target.createTarget", url="about:blank")
        tab.session = (await tab.call("Target.attachToTarget", targetId=target["targetId"], flatten=True))["sessionId"]
        for domain in ("Page", "Runtime", "Log", "DOM"):
            await tab.call(f"{domain}.enable")
        await tab.call("Emulation.setDeviceMetricsOverride", width=1280, height=900, deviceScaleFactor=1, mobile=False)
        await tab.call("Page.navigate", url=address)
        await tab.until("document.readyState === 'complete' && document.getElementById('key-form')", "the page")
        await give_key(tab)
        await give_pictures(tab, options.picture.resolve())
        verdict = await score(tab, options.shots, options.question, options.answers)
        await by_keyboard(tab, verdict)
        await refusals(tab)
        await arena(tab, options.shots, feedback)
        equal(tab.faults, [], "complaints of the console")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("basereward", type=pathlib.Path)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("picture", type=pathlib.Path)
    parser.add_argument("--shots", type=pathlib.Path, required=True)
    parser.add_argument("--question", default="Which shape is green?")
    parser.add_argument("--answers", nargs=3, default=["It is ring.", "It is square.", "It is triangle."])
    parser.add_argument("--chromium", default=shutil.which("chromium") or "chromium")
    options = parser.parse_args()
    options.shots.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        place = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        (place / "keys").write_text(KEY + "\n")
        feedback = place / "choices.jsonl"
        server = subprocess.Popen(
            [
                options.basereward,
                "serve",
                options.model,
                "--port",
                "0",
                "--name",
                "demo",
                "--api-key-file",
                place / "keys",
                "--feedback",
                feedback,
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        stack.callback(server.terminate)
        address = server.stdout.readline().strip().split(" at ")[-1]
        browser = subprocess.Popen(
            [
                options.chromium,
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--remote-debugging-port=0",
                f"--user-data-dir={place / 'profile'}",
                "about:blank",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        stack.callback(browser.wait)
        stack.callback(browser.terminate)
        asyncio.run(click_through(address + "/", place / "profile" / "DevToolsActivePort", options, feedback))
    print("the page does what it should")


if __name__ == "__main__":
    main()
