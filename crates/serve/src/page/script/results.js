// Rewards as bars and sentences: who wins and by how much, what the pictures did, and whether the order of the answers did anything.

function bestOf(rewards) {
  const greatest = Math.max(...rewards);
  return rewards.flatMap((reward, index) => (reward === greatest ? [index] : []));
}

function ranksOf(rewards) {
  return rewards.map((reward) => 1 + rewards.filter((other) => other > reward).length);
}

function lead(rewards) {
  const [first, second] = [...rewards].sort((a, b) => b - a);
  return first - second;
}

function verdict(rewards) {
  const best = bestOf(rewards);
  if (best.length > 1) return `Answers ${listed(best.map(letter))} have the same reward.`;
  const margin = lead(rewards);
  const next = bestOf(rewards.map((reward, index) => (index === best[0] ? -Infinity : reward)));
  return `Answer ${letter(best[0])} wins, ${signed(margin)} ahead of ${listed(next.map(letter))} (better with probability ${percent(chance(margin))}).`;
}

function showBars(answers, reply, blind) {
  const { rewards, usage } = reply;
  const all = [0, ...rewards, ...(blind ?? [])];
  const [low, high] = [Math.min(...all), Math.max(...all)];
  const place = (value) => (100 * (value - low)) / (high - low || 1);
  const fill = (bar, value) => {
    bar.style.left = `${place(Math.min(0, value))}%`;
    bar.style.width = `${place(Math.max(0, value)) - place(Math.min(0, value))}%`;
  };
  const ranks = ranksOf(rewards);
  const greatest = Math.max(...rewards);
  const rows = rewards.map((reward, index) => {
    const shown = row("bar-row");
    const part = (name) => shown.querySelector(name);
    shown.classList.toggle("best", ranks[index] === 1);
    part(".letter").textContent = `Answer ${letter(index)}`;
    part(".place").textContent = ranks[index] === 1 ? "winner" : `place ${ranks[index]}`;
    part(".reward").textContent = signed(reward);
    part(".said").textContent = answers[index];
    fill(part(".seen"), reward);
    part(".zero").style.left = `${place(0)}%`;
    const behind = greatest - reward;
    const said = [`${count(usage.response_tokens[index])} tokens`];
    if (behind > 0) said.unshift(`${signed(behind)} behind the best, better than it with probability ${percent(chance(-behind))}`);
    if (blind) {
      fill(part(".blind"), blind[index]);
      said.unshift(`${signed(blind[index])} without the pictures`);
    }
    part(".note").textContent = said.join(" · ");
    return shown;
  });
  by("bars").replaceChildren(...rows);
  by("legend").hidden = !blind;
}

function blindFinding(rewards, blind) {
  const names = (values) => listed(bestOf(values).map(letter));
  const [seen, unseen] = [names(rewards), names(blind)];
  if (blind.every((reward, index) => reward === rewards[index])) return "Without the pictures every reward is the same: they do nothing here.";
  const [before, after] = [ranksOf(rewards), ranksOf(blind)];
  const moved = before.flatMap((rank, index) => (rank === after[index] ? [] : [letter(index)]));
  const places = moved.length > 0 ? `another place for ${listed(moved)}` : "the same place for all";
  if (seen !== unseen) return `Without the pictures ${unseen} would win instead of ${seen}: they decide (${places}).`;
  return `Without the pictures ${seen} would still win, by ${signed(lead(blind))} instead of ${signed(lead(rewards))} (${places}).`;
}

function orderFinding(rewards, reversed) {
  const moved = rewards.flatMap((reward, index) => (Object.is(reward, reversed.at(-1 - index)) ? [] : [index]));
  if (moved.length === 0) return "In reverse order every answer has exactly the same reward: the order changes nothing.";
  return `In reverse order the reward of ${listed(moved.map(letter))} is another one; please report this defect.`;
}

function showFigures({ usage, timings }, wholeTime) {
  const time = (millis) => `${millis.toFixed(1)} ms`;
  facts(by("figures"), [
    ["Tokens of the question", `${count(usage.prompt_tokens)}, ${count(usage.image_tokens)} of them for pictures`],
    ["Computed once for all", `${count(usage.shared_tokens)} shared, ${count(usage.cached_tokens)} known from before`],
    ["Time", `${time(timings.total_ms)} in the server: ${time(timings.prepare_ms)} reading, ${time(timings.queue_ms)} waiting, ${time(timings.compute_ms)} computing`],
    ["Seen from here", time(wholeTime)],
  ]);
}

// Scores the question, then without its pictures and in reverse order.
async function score(question) {
  const began = performance.now();
  const reply = await request("/v1/reward", body(question));
  const wholeTime = performance.now() - began;
  const { rewards } = reply;
  by("results").classList.remove("stale");
  by("verdict").textContent = verdict(rewards);
  by("findings").replaceChildren();
  showBars(question.answers, reply, null);
  showFigures(reply, wholeTime);
  const find = (text) => by("findings").append(element("li", text));
  if (reply.deterministic) find("The same question gives the same bits again, alone and in any company.");
  if (!by("checks").checked) return;
  const backwards = { ...question, answers: question.answers.toReversed() };
  find(orderFinding(rewards, (await request("/v1/reward", body(backwards))).rewards));
  if (question.pictures.length === 0) return;
  const blind = (await request("/v1/reward", body({ ...question, pictures: [] }))).rewards;
  find(blindFinding(rewards, blind));
  showBars(question.answers, reply, blind);
}
