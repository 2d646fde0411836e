// The settings of a run, as fields made from the program's own table.
import { worker } from "./device.js";
import { $, make } from "./dom.js";
import { state } from "./state.js";

export async function makeSettings() {
  state.fields = await worker.ask("settings", { model: state.kind.model });
  const [main, more] = [$("main-settings"), $("more-settings")];
  main.replaceChildren();
  more.replaceChildren();
  const place = (name) => {
    const index = state.kind.main.indexOf(name);
    return index < 0 ? state.kind.main.length : index;
  };
  for (const field of [...state.fields].sort((a, b) => place(a.name) - place(b.name))) {
    (state.kind.main.includes(field.name) ? main : more).append(makeField(field));
  }
}

function makeField(field) {
  const id = `set-${field.name}`;
  const input = make("input", { id });
  input.setAttribute("aria-describedby", `about-${field.name}`);
  if (field.kind === "Flag") {
    input.type = "checkbox";
    input.checked = field.value === "true";
  } else {
    Object.assign(input, { type: "text", value: field.value ?? "", placeholder: field.unit });
    if (field.kind === "Whole") input.inputMode = "numeric";
  }
  const about = make("small", { id: `about-${field.name}` });
  // Between backquotes is what is written so.
  field.about.split("`").forEach((piece, index) => {
    about.append(index % 2 === 0 ? piece : make("code", { textContent: piece }));
  });
  const box = make("div", { className: "field" }, make("label", { htmlFor: id, textContent: field.name }), " ", input, about);
  if (field.listed) {
    const summary = make("summary", { textContent: `All for ${field.name}` });
    box.append(make("details", {}, summary, make("pre", { textContent: field.listed })));
  }
  return box;
}

// What differs from the recipe.
export function given() {
  const changed = {};
  for (const field of state.fields) {
    const input = $(`set-${field.name}`);
    input.removeAttribute("aria-invalid");
    const value = input.type === "checkbox" ? String(input.checked) : input.value.trim();
    const before = field.value ?? (input.type === "checkbox" ? "false" : "");
    if (value !== before) changed[field.name] = value === "" ? "none" : value;
  }
  return changed;
}

// Leads to the field that an error speaks of.
export function showWrong(message) {
  const field = $(`set-${message.match(/^`?(\w+)`? /)?.[1]}`);
  field?.setAttribute("aria-invalid", "true");
  // One that is folded away is not seen.
  const folded = field?.closest("#settings > details");
  if (folded) folded.open = true;
  field?.focus();
}
