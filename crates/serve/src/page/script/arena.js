// The arena: two answers side by side, which of them comes first is drawn, and a person's choice, which the server keeps.
// What the model says of them is shown only after the choice.

const arena = { waiting: [], shown: null, kept: 0, decided: 0, agreed: 0, available: false };

function shuffled(items) {
  const mixed = [...items];
  for (let last = mixed.length - 1; last > 0; last -= 1) {
    const other = Math.floor(Math.random() * (last + 1));
    [mixed[last], mixed[other]] = [mixed[other], mixed[last]];
  }
  return mixed;
}

// All pairs of different answers, in any order, each in any order.
function pairsOf(answers) {
  const different = [...new Set(answers)];
  const pairs = different.flatMap((first, index) => different.slice(index + 1).map((second) => [first, second]));
  return shuffled(pairs).map(shuffled);
}

function beginArena(question) {
  arena.waiting = pairsOf(question.answers).map((responses) => ({ ...question, responses }));
  if (arena.waiting.length === 0) throw new Failure("all answers are the same; write different ones", "responses[1]");
  nextPair("");
  by("choose-a").focus();
}

function nextPair(before) {
  arena.shown = arena.waiting.shift() ?? null;
  by("pair").hidden = arena.shown === null;
  const left = arena.waiting.length;
  const rest = left > 0 ? ` ${count(left)} more after this one.` : "";
  const done = "No pair is left; change the question or the answers, and begin again.";
  by("arena-state").textContent = `${before} ${arena.shown ? `Choose the better answer.${rest}` : done}`.trim();
  if (!arena.shown) return by("submit").focus();
  const { question, pictures, responses } = arena.shown;
  by("arena-question").textContent = question;
  by("first-text").textContent = responses[0];
  by("second-text").textContent = responses[1];
  const images = pictures.map((url, index) => {
    const [item, image] = [document.createElement("li"), document.createElement("img")];
    image.src = url;
    image.alt = `Picture ${index + 1}`;
    item.append(image);
    return item;
  });
  by("arena-pictures").replaceChildren(...images);
}

function tell({ rewards, agrees }) {
  const [first, second] = rewards;
  const model = first === second ? "finds both equal" : `prefers the ${first > second ? "first" : "second"} by ${signed(Math.abs(first - second))}`;
  const agreement = agrees === null || agrees === undefined ? "" : agrees ? ", as you do" : ", unlike you";
  return `Kept. The model ${model}${agreement}.`;
}

function showTally() {
  const agreed = arena.decided > 0 ? `; the model agreed with ${arena.agreed} of ${arena.decided} that were decided` : "";
  by("tally").textContent = arena.kept > 0 ? `${count(arena.kept)} kept in this tab${agreed}.` : "";
}

async function choose(choice) {
  const { question, pictures, responses } = arena.shown;
  if (choice === "skip") return nextPair("Skipped, nothing is kept.");
  const reply = await request("/v1/feedback", { prompt: question, images: pictures, responses, choice });
  arena.kept += 1;
  if (typeof reply.agrees === "boolean") {
    arena.decided += 1;
    arena.agreed += Number(reply.agrees);
  }
  showTally();
  nextPair(tell(reply));
}

function watchArena() {
  for (const choice of ["a", "b", "tie", "skip"]) {
    const button = by(`choose-${choice}`);
    button.addEventListener("click", () => alone(() => choose(choice), button));
  }
}
