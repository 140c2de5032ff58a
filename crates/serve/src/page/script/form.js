// The question: pictures that are chosen, pasted or dropped, a text, and answers that come and go.
// Knows what is asked, and nothing of what becomes of it.

const MIN_ANSWERS = 2;
const form = { pictures: [], model: null, changed: () => {} };

function readPicture(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve({ name: file.name || "picture", url: reader.result });
    reader.onerror = () => reject(new Failure(`the file ${file.name} cannot be read`));
    reader.readAsDataURL(file);
  });
}

async function addPictures(files) {
  const chosen = [...files].filter((file) => file.type.startsWith("image/"));
  if (chosen.length === 0) return say(new Failure("only pictures can be added"));
  try {
    form.pictures.push(...(await Promise.all(chosen.map(readPicture))));
  } catch (error) {
    say(error);
  }
  showPictures();
}

function showPictures() {
  const rows = form.pictures.map((picture, index) => {
    const shown = row("picture-row");
    const [image, remove] = shown.children;
    image.src = picture.url;
    image.alt = `Picture ${index + 1}: ${picture.name}`;
    remove.setAttribute("aria-label", `Remove picture ${index + 1}`);
    remove.addEventListener("click", () => {
      form.pictures.splice(index, 1);
      showPictures();
      (by("pictures").querySelector("button") ?? by("files")).focus();
    });
    return shown;
  });
  by("pictures").replaceChildren(...rows);
  form.changed();
}

function answerFields() {
  return [...by("answers").querySelectorAll("textarea")];
}

function addAnswer(focused) {
  const shown = row("answer-row");
  const remove = shown.querySelector("button");
  remove.addEventListener("click", () => {
    const index = [...by("answers").children].indexOf(shown);
    shown.remove();
    nameAnswers();
    answerFields()[Math.max(0, index - 1)].focus();
    form.changed();
  });
  by("answers").append(shown);
  nameAnswers();
  if (focused) shown.querySelector("textarea").focus();
}

function nameAnswers() {
  const rows = [...by("answers").children];
  rows.forEach((shown, index) => {
    const [label, field, remove] = ["label", "textarea", "button"].map((tag) => shown.querySelector(tag));
    field.id = `answer-${index}`;
    label.htmlFor = field.id;
    label.textContent = `Answer ${letter(index)}`;
    remove.setAttribute("aria-label", `Remove answer ${letter(index)}`);
    remove.disabled = rows.length <= MIN_ANSWERS;
  });
}

// What is asked, or a failure that says what is missing.
function asked() {
  const question = by("question").value.trim();
  const answers = answerFields().map((field) => field.value.trim());
  const empty = answers.indexOf("");
  if (!question) throw new Failure("the question is empty; write one", "messages");
  if (empty >= 0) throw new Failure(`answer ${letter(empty)} is empty; write it or remove it`, `responses[${empty}]`);
  return { question, answers, pictures: form.pictures.map((picture) => picture.url) };
}

// The body of `/v1/reward`.
function body({ question, answers, pictures }) {
  const content = pictures.map((url) => ({ type: "image_url", image_url: { url } }));
  content.push({ type: "text", text: question });
  return { messages: [{ role: "user", content }], responses: answers };
}

function clearFailure() {
  by("failure").hidden = true;
  for (const field of [by("question"), ...answerFields()]) field.removeAttribute("aria-invalid");
  for (const shown of by("pictures").children) shown.classList.remove("wrong");
}

// Says what failed and leads to the field that is at fault.
function showFailure(error) {
  say(error);
  const answer = /^responses\[(\d+)\]/.exec(error.param ?? "");
  const picture = /^(?:messages\[0\]\.content|images)\[(\d+)\]/.exec(error.param ?? "");
  const field = answer ? answerFields()[answer[1]] : error.param === "messages" ? by("question") : null;
  field?.setAttribute("aria-invalid", "true");
  field?.focus();
  if (picture) by("pictures").children[picture[1]]?.classList.add("wrong");
}

function watchForm() {
  by("add").addEventListener("click", () => {
    addAnswer(true);
    form.changed();
  });
  by("files").addEventListener("change", () => {
    addPictures(by("files").files);
    by("files").value = "";
  });
  by("ask").addEventListener("input", (event) => {
    if (event.target !== by("checks")) form.changed();
  });
  by("ask").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) by("ask").requestSubmit();
  });
  document.addEventListener("paste", (event) => {
    if (event.clipboardData.files.length === 0) return;
    event.preventDefault();
    addPictures(event.clipboardData.files);
  });
  for (const name of ["dragenter", "dragover"]) {
    document.addEventListener(name, (event) => {
      event.preventDefault();
      by("drop").classList.add("over");
    });
  }
  document.addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) by("drop").classList.remove("over");
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    by("drop").classList.remove("over");
    if (event.dataTransfer.files.length > 0) addPictures(event.dataTransfer.files);
  });
}
