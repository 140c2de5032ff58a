// What happens when: the model card, the two modes, and one thing at a time.

let busy = false;

// Runs one thing at a time; the focus comes back to where it was.
async function alone(work, button) {
  if (busy) return;
  busy = true;
  clearFailure();
  document.body.setAttribute("aria-busy", "true");
  button.disabled = true;
  try {
    await work();
  } catch (error) {
    showFailure(error);
  } finally {
    busy = false;
    button.disabled = false;
    allowSubmit();
    if (document.activeElement === document.body && button.checkVisibility()) button.focus();
    document.body.removeAttribute("aria-busy");
  }
}

function allowSubmit() {
  by("submit").disabled = busy || (isArena() && !arena.available);
}

function setMode(toArena) {
  by("mode-score").setAttribute("aria-pressed", String(!toArena));
  by("mode-arena").setAttribute("aria-pressed", String(toArena));
  by("results").hidden = toArena;
  by("arena").hidden = !toArena;
  by("checks").parentElement.hidden = toArena;
  by("submit").textContent = toArena ? "Begin" : "Score";
  allowSubmit();
  if (toArena && !arena.shown) {
    by("arena-state").textContent = arena.available
      ? "Write a question and answers, then begin: two of them are shown side by side, in any order."
      : "This server keeps no choices; start it with --feedback FILE.";
  }
}

function isArena() {
  return by("mode-arena").getAttribute("aria-pressed") === "true";
}

function code(text) {
  return element("code", text);
}

function showCard({ name, identity, card, feedback, max_body_bytes }) {
  document.title = `${name} – basereward`;
  by("model-name").textContent = name;
  const pairs = [["Name", name]];
  if (card) {
    pairs.push(["Parameters", count(card.parameters)], ["Weights", `${count(card.size_bytes)} bytes, computed in ${identity.dtype}`], ["Head", card.head]);
  }
  const training = card?.training;
  if (training) {
    pairs.push(
      ["Trained", `${count(training.step)} steps`],
      ["Right on held-out pairs", `${percent(training.pairwise_accuracy)} of ${count(training.pairs)}`],
      ["Held-out loss", `${training.loss.toFixed(4)}, mean margin ${signed(training.margin_mean, 2)}`],
    );
  }
  pairs.push(["Model hash", code(identity.model)], ["Template hash", code(identity.template)], ["Head hash", code(identity.head)]);
  facts(by("card"), pairs);
  limits.bodyBytes = max_body_bytes;
  arena.available = feedback;
  setMode(isArena());
}

async function loadCard() {
  // A link carries no key.
  by("reference").hidden = sessionStorage.getItem(KEY_PLACE) !== null;
  showCard(await request("/v1/card"));
}

function start() {
  form.changed = () => by("results").classList.add("stale");
  for (let index = 0; index < MIN_ANSWERS; index += 1) addAnswer(false);
  watchForm();
  watchArena();
  by("mode-score").addEventListener("click", () => setMode(false));
  by("mode-arena").addEventListener("click", () => setMode(true));
  by("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    alone(async () => (isArena() ? beginArena(asked()) : score(asked())), by("submit"));
  });
  by("key-form").addEventListener("submit", (event) => {
    event.preventDefault();
    sessionStorage.setItem(KEY_PLACE, by("key").value.trim());
    by("key").value = "";
    by("key-form").hidden = true;
    by("question").focus();
    alone(loadCard, by("submit"));
  });
  alone(loadCard, by("submit"));
}

start();
