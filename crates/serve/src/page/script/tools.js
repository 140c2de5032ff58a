// What all parts of the page use: elements by their names, requests to the server, numbers as people read them.
// Texts become text nodes only, so that no answer can become markup.

const KEY_PLACE = "basereward-key";
const limits = { bodyBytes: Infinity };

function by(id) {
  return document.getElementById(id);
}

function row(template) {
  return by(template).content.firstElementChild.cloneNode(true);
}

function element(tag, text, name) {
  const made = document.createElement(tag);
  made.textContent = text;
  if (name) made.className = name;
  return made;
}

// A failure that the server or the way to it reports.
class Failure extends Error {
  constructor(message, param) {
    super(message);
    this.param = param ?? null;
  }
}

async function request(path, body) {
  const headers = {};
  const key = sessionStorage.getItem(KEY_PLACE);
  if (key) headers["x-api-key"] = key;
  if (body) headers["content-type"] = "application/json";
  const method = body ? "POST" : "GET";
  const sent = body && new Blob([JSON.stringify(body)]);
  // A server that turns a body away while it arrives looks like one that cannot be reached.
  if (sent?.size > limits.bodyBytes) {
    throw new Failure(`${count(sent.size)} bytes, but this server takes ${count(limits.bodyBytes)}; remove pictures or make them smaller`);
  }
  let reply;
  try {
    reply = await fetch(path, { method, headers, body: sent });
  } catch {
    throw new Failure("the server cannot be reached; see whether it runs");
  }
  const read = await reply.json().catch(() => null);
  if (reply.status === 401) askForKey(key !== null);
  if (reply.ok && read) return read;
  const error = read?.error;
  throw new Failure(error?.message ?? `the server answered with status ${reply.status}`, error?.param);
}

function askForKey(wasWrong) {
  by("key-form").hidden = false;
  by("key").focus();
  if (wasWrong) sessionStorage.removeItem(KEY_PLACE);
}

function letter(index) {
  return index < 26 ? String.fromCharCode(65 + index) : `${index + 1}`;
}

function listed(words) {
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}

function signed(number, digits = 3) {
  const text = Math.abs(number).toFixed(digits);
  return number < 0 ? `−${text}` : text;
}

function count(number) {
  return number.toLocaleString("en-US");
}

function percent(fraction) {
  const text = (100 * fraction).toFixed(1);
  // Number and sign stay on one line.
  if (fraction < 1 && text === "100.0") return "over 99.9\u00a0%";
  if (fraction > 0 && text === "0.0") return "under 0.1\u00a0%";
  return `${text}\u00a0%`;
}

// Probability that the first is better, by Bradley and Terry, exact on both tails.
function chance(margin) {
  return margin >= 0 ? 1 / (1 + Math.exp(-margin)) : Math.exp(margin) / (1 + Math.exp(margin));
}

function say(error) {
  by("failure").textContent = error.message;
  by("failure").hidden = false;
}

function facts(list, pairs) {
  list.replaceChildren();
  for (const [name, value] of pairs) {
    const shown = document.createElement("dd");
    shown.append(value);
    list.append(element("dt", name), shown);
  }
  list.hidden = pairs.length === 0;
}
