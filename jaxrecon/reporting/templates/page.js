"use strict";

document.documentElement.classList.add("js");

const announce = (text) => { document.getElementById("status").textContent = text; };

// Tables: every block is sorted for itself, so that settings stay together.
const collator = new Intl.Collator("en", { numeric: true });

const compareCells = (column, descending) => (a, b) => {
  const [x, y] = [a, b].map((row) => row.cells[column].dataset.value);
  if (x === "" || y === "") return (x === "") - (y === "");
  const [m, n] = [Number(x), Number(y)];
  const difference = Number.isNaN(m) || Number.isNaN(n) ? collator.compare(x, y) : m - n || 0;
  return descending ? -difference : difference;
};

for (const table of document.querySelectorAll("table.results")) {
  const headers = [...table.querySelectorAll("th[data-column]")];
  const blocks = [...table.tBodies].map((body) => ({
    body,
    rows: [...body.querySelectorAll("tr.line")],
  }));
  for (const header of headers) {
    const first = header.dataset.first;
    const second = first === "ascending" ? "descending" : "ascending";
    const next = { none: first, [first]: second, [second]: "none" };
    const button = header.querySelector("button");
    button.addEventListener("click", () => {
      const order = next[header.getAttribute("aria-sort") ?? "none"];
      for (const other of headers) other.removeAttribute("aria-sort");
      if (order !== "none") header.setAttribute("aria-sort", order);
      const compare = compareCells(Number(header.dataset.column), order === "descending");
      for (const { body, rows } of blocks) {
        body.append(...(order === "none" ? rows : [...rows].sort(compare)));
      }
      announce(order === "none" ? "Sorted as given" : `Sorted by ${button.textContent}, ${order}`);
    });
  }
}

// Examples: a divider between any two images.
for (const example of document.querySelectorAll(".example")) {
  const images = [...example.querySelectorAll("img[data-image]")];
  const stages = [...example.querySelectorAll(".stage")];
  const slider = example.querySelector("input[type=range]");
  const chosen = {};

  const move = () => {
    for (const stage of stages) stage.style.setProperty("--split", `${slider.value}%`);
    slider.setAttribute(
      "aria-valuetext",
      `${slider.value} % ${chosen.left}, ${100 - slider.value} % ${chosen.right}`,
    );
  };

  for (const select of example.querySelectorAll("select")) {
    const side = select.dataset.side;
    const show = () => {
      const option = select.selectedOptions[0];
      chosen[side] = option.textContent;
      for (const stage of stages) {
        const image = stage.querySelector(`img.${side}`);
        image.src = images[Number(option.value)].src;
        image.alt = `${option.textContent}, ${side} of the divider`;
        stage.querySelector(`.name.${side}`).textContent = option.textContent;
      }
      move();
    };
    select.addEventListener("change", show);
    show();
  }
  slider.addEventListener("input", move);

  const follow = (stage, event) => {
    const bounds = stage.getBoundingClientRect();
    slider.value = Math.round((100 * (event.clientX - bounds.left)) / bounds.width);
    move();
  };
  for (const stage of stages) {
    stage.addEventListener("pointerdown", (event) => {
      stage.setPointerCapture(event.pointerId);
      follow(stage, event);
    });
    stage.addEventListener("pointermove", (event) => {
      if (stage.hasPointerCapture(event.pointerId)) follow(stage, event);
    });
  }
}
