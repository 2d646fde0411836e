// Small things that every part of a page uses.

export const $ = (id) => document.getElementById(id);

export const percent = (share) => `${(100 * share).toFixed(1)} %`;

export function make(kind, properties = {}, ...children) {
  const made = Object.assign(document.createElement(kind), properties);
  made.append(...children);
  return made;
}
