"use strict";
(() => {
  const find = (id) => document.getElementById(id);
  const cards = [...document.querySelectorAll("article")];
  const texts = cards.map((card) => card.textContent.toLowerCase());
  const filters = ["source", "state", "pictures", "flipped"];
  const search = find("search");
  const controls = find("controls");
  let matching = cards;
  let current = 0;

  const show = () => {
    cards.forEach((card) => card.classList.remove("current"));
    const shown = matching[current];
    if (shown) shown.classList.add("current");
    find("nothing").hidden = matching.length > 0;
    find("previous").disabled = current === 0;
    find("next").disabled = current + 1 >= matching.length;
    find("position").textContent = matching.length > 0 ? `${current + 1} of ${matching.length}` : "none";
  };

  const filter = () => {
    const before = matching[current];
    const words = search.value.toLowerCase().split(/\s+/).filter((word) => word);
    const isWanted = (card, index) =>
      filters.every((name) => !find(name).value || card.dataset[name] === find(name).value) &&
      words.every((word) => texts[index].includes(word));
    matching = cards.filter(isWanted);
    current = Math.max(0, matching.indexOf(before));
    show();
  };

  const step = (target) => {
    current = Math.max(0, Math.min(matching.length - 1, target));
    show();
    const above = getComputedStyle(controls).position === "sticky" ? controls.offsetHeight : 0;
    const top = document.querySelector("main").offsetTop - above;
    if (window.scrollY > top) window.scrollTo(0, top);
  };

  const keys = {
    ArrowLeft: () => current - 1,
    ArrowRight: () => current + 1,
    Home: () => 0,
    End: () => matching.length - 1,
  };
  document.addEventListener("keydown", (event) => {
    const isTyping = ["INPUT", "SELECT"].includes(event.target.tagName);
    const isPlain = !(event.ctrlKey || event.altKey || event.metaKey || event.shiftKey);
    if (isTyping || !isPlain || !Object.hasOwn(keys, event.key)) return;
    event.preventDefault();
    step(keys[event.key]());
  });
  find("previous").addEventListener("click", () => step(current - 1));
  find("next").addEventListener("click", () => step(current + 1));
  filters.forEach((name) => find(name).addEventListener("change", filter));
  search.addEventListener("input", filter);
  document.body.classList.add("paged");
  controls.hidden = false;
  show();
})();
