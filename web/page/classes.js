// A list of classes with how likely each is.
import { make, percent } from "./dom.js";

// Fills the list `list` with so many of the classes.
export function makeClasses(list, classes) {
  list.replaceChildren(...classes.map(makeClass));
}

function makeClass(name) {
  const label = make("span", { className: "name", textContent: name, title: name });
  const track = make("span", { className: "track" }, make("span", { className: "bar" }));
  return make("li", {}, label, track, make("span", { className: "share", textContent: "–" }));
}

// Shows the share of each class in the list.
export function showShares(list, shares) {
  const likeliest = shares.indexOf(Math.max(...shares));
  [...list.children].forEach((item, index) => {
    item.classList.toggle("likeliest", index === likeliest);
    item.querySelector(".bar").style.width = `${100 * (shares[index] || 0)}%`;
    const share = item.querySelector(".share");
    share.dataset.share = shares[index];
    share.textContent = Number.isFinite(shares[index]) ? percent(shares[index]) : "–";
  });
}
