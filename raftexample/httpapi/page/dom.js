// Elements, always made of text: what members and keys say is never read as HTML.

export const $ = (id) => document.getElementById(id);

const SVG = 'http://www.w3.org/2000/svg';

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

export const el = (name, attributes = {}, ...children) => fill(document.createElement(name), attributes, children);
export const svg = (name, attributes = {}, ...children) => fill(document.createElementNS(SVG, name), attributes, children);

const same = (a, b) => a.nodeName === b.nodeName && a.id === b.id;

// settle gives an element these children. What is there already stays, and takes on what
// has changed: a press of the mouse, the focus and selected text outlive a refresh only in
// elements that do.
export function settle(parent, children) {
  let at = parent.firstChild;
  const dropUntil = (end) => {
    while (at !== end) {
      const next = at.nextSibling;
      at.remove();
      at = next;
    }
  };
  for (const child of children) {
    let found = at;
    while (found && !same(found, child)) found = found.nextSibling;
    if (!found) {
      parent.insertBefore(child, at);
      continue;
    }
    dropUntil(found);
    take(found, child);
    at = found.nextSibling;
  }
  dropUntil(null);
}

// take makes a node what another one of the same kind is.
function take(node, from) {
  if (node.nodeType === Node.TEXT_NODE) {
    if (node.data !== from.data) node.data = from.data;
    return;
  }
  for (const {name} of [...node.attributes]) if (!from.hasAttribute(name)) node.removeAttribute(name);
  for (const {name, value} of from.attributes) if (node.getAttribute(name) !== value) node.setAttribute(name, value);
  settle(node, [...from.childNodes]);
}

// say shows a message in a status line.
export function say(id, text, bad = false) {
  $(id).textContent = text;
  $(id).classList.toggle('bad', bad);
}

// ask sends a request and returns the response, or throws what its error says.
export async function ask(method, path, body, headers = {}) {
  const response = await fetch(path, {method, body, headers, cache: 'no-store'});
  if (response.ok) return response;
  const text = await response.text();
  let message = `${response.status} ${text}`;
  try {
    message = JSON.parse(text).error ?? message;
  } catch { /* something between here and the member has answered */ }
  throw new Error(message);
}
