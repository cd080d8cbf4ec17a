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
