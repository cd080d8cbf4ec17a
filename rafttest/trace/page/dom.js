'use strict';

// Small helpers around the document.

const $ = (id) => document.getElementById(id);

// h makes an element. Attributes that begin with "on" are listeners; what is
// undefined, null or false is left out. Text is never read as markup.
function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

// icon shows one of the symbols of the page.
function icon(name) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  const use = document.createElementNS('http://www.w3.org/2000/svg', 'use');
  use.setAttribute('href', `#icon-${name}`);
  svg.append(use);
  return svg;
}

// fitCanvas gives a canvas as many dots as the screen has in its place, and
// returns what draws on it in CSS pixels.
function fitCanvas(canvas, width, height) {
  const scale = window.devicePixelRatio || 1;
  const [w, t] = [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
  if (canvas.width !== w) canvas.width = w;
  if (canvas.height !== t) canvas.height = t;
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = canvas.getContext('2d');
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}

// colours reads the palette, which is written down in the style sheet only.
function colours() {
  const style = getComputedStyle(document.documentElement);
  const read = (name) => style.getPropertyValue(`--${name}`).trim();
  return {
    paper: read('surface'), ink: read('ink'), muted: read('muted'), line: read('line'), accent: read('accent'),
    broken: read('broken'), now: read('now'),
    role: {
      follower: read('follower'), 'pre-candidate': read('pre-candidate'), candidate: read('candidate'),
      leader: read('leader'), down: read('down'),
    },
    message: {
      vote: read('vote'), append: read('append'), heartbeat: read('heartbeat'), snapshot: read('snapshot'),
      other: read('other'),
    },
    termLightness: read('term-lightness'),
  };
}

// termHue spreads the colours of terms, so that neighbours differ most.
const termHue = (term) => Math.round((term * 137.508 + 70) % 360);

// lowerBound returns how many of the first n places satisfy less.
function lowerBound(n, less) {
  let [low, high] = [0, n];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (less(middle)) low = middle + 1;
    else high = middle;
  }
  return low;
}

const clamp = (value, low, high) => Math.max(low, Math.min(high, value));
