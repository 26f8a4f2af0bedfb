"use strict";
(() => {
  const table = document.getElementById("videos-table");
  if (!table) return;
  const videos = [...table.tBodies];
  const search = document.getElementById("search");
  const verdict = document.getElementById("verdict");
  const shown = document.getElementById("shown");
  const filter = () => {
    const words = search.value.toLowerCase();
    let count = 0;
    for (const video of videos) {
      video.hidden = !(video.dataset.name.includes(words) && (!verdict.value || video.dataset.verdict === verdict.value));
      count += !video.hidden;
    }
    shown.textContent = `${count} of ${videos.length} shown`;
  };
  const sort = (header) => {
    const key = header.dataset.key;
    const text = key === "name";
    const first = text || key === "order" ? "ascending" : "descending";
    const other = first === "ascending" ? "descending" : "ascending";
    const direction = header.getAttribute("aria-sort") === first ? other : first;
    const sign = direction === "ascending" ? 1 : -1;
    const value = (video) => (text ? video.dataset.name : Number(video.dataset[key]));
    const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
    const sorted = [...videos].sort((a, b) => sign * compare(value(a), value(b)) || a.dataset.order - b.dataset.order);
    for (const each of header.parentElement.cells) each.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", direction);
    table.append(...sorted);
  };
  search.addEventListener("input", filter);
  verdict.addEventListener("change", filter);
  for (const button of table.querySelectorAll("th button")) button.addEventListener("click", () => sort(button.parentElement));
  filter(); // a reloaded page keeps what was typed
})();
