// The whole run at a glance, from left to right, with the slider on top of it.

const laneHeight = 7;

class Overview {
  constructor(app) {
    this.app = app;
    this.run = app.run;
    this.canvas = $('overview');
    this.slider = $('slider');
    this.slider.addEventListener('input', () => this.app.moveToRow(Number(this.slider.value)));
  }

  get height() { return this.run.lanes * laneHeight + 16; }

  // draw paints the run anew: the rows, the size or the colours are others.
  draw(rows, view) {
    const width = this.canvas.parentElement.clientWidth;
    const c = fitCanvas(this.canvas, width, this.height);
    this.rows = rows;
    this.slider.max = Math.max(0, rows.length - 1);
    this.slider.style.height = `${this.height}px`;
    // The middle of the thumb, which is 4 pixels wide, stands on the event.
    this.x = (place) => 2 + (width - 4) * rows.rowOf(place) / Math.max(1, rows.length - 1);
    for (const member of this.run.members()) this.drawLane(c, member, width, view.palette);
    this.drawEvents(c, view, width);
  }

  drawLane(c, member, width, palette) {
    const history = this.run.histories[member];
    const y = 10 + (member - 1) * laneHeight;
    for (const {role, from, to} of spans(history)) {
      const [x0, x1] = [this.x(from), to === undefined ? width - 2 : this.x(to)];
      const inset = role === 'follower' ? 1.5 : role === 'down' ? 2.5 : 0;
      c.fillStyle = palette.role[role] || palette.role.follower;
      c.fillRect(x0, y + inset, Math.max(0.5, x1 - x0), laneHeight - 1 - 2 * inset);
    }
  }

  drawEvents(c, view, width) {
    const {palette} = view;
    if (view.causes) {
      c.fillStyle = palette.accent;
      for (const place of view.causes) c.fillRect(this.x(place), this.height - 5, 1.5, 4);
    }
    this.drawPhases(c, palette, width);
    if (this.run.violation) {
      const x = this.x(this.run.violation.event);
      c.fillStyle = palette.broken;
      c.fillRect(x - 1, 4, 2, this.height - 4);
      c.beginPath();
      [[x - 5, 0], [x + 5, 0], [x, 8]].forEach((point) => c.lineTo(...point));
      c.fill();
    }
  }

  // drawPhases marks where phases begin. A label ends where the next phase begins.
  drawPhases(c, palette, width) {
    const phases = [];
    this.run.events.forEach((event, place) => {
      if (event.kind === 'phase') phases.push({text: event.text || '', x: this.x(place)});
    });
    c.fillStyle = palette.ink;
    c.font = '10px system-ui, sans-serif';
    phases.forEach(({text, x}, i) => {
      c.fillRect(x, 6, 1, this.height - 6);
      const end = i + 1 < phases.length ? phases[i + 1].x : width;
      c.fillText(shortened(text, end - x - 6, (t) => c.measureText(t).width), x + 3, 8);
    });
  }

  move(place) {
    const row = this.rows.rowUpTo(place);
    this.slider.value = row;
    this.slider.setAttribute('aria-valuetext',
      `event ${place} of ${this.run.events.length}, ${formatTime(this.run.events[place]?.at || 0)} milliseconds`);
  }
}

// shortened returns as much of a text as is no wider than room, nothing where that would
// say nothing.
function shortened(text, room, widthOf) {
  const fewest = 4;
  if (widthOf(text) <= room) return text;
  for (let n = text.length - 1; n >= fewest; n--) {
    const part = `${text.slice(0, n).trimEnd()}…`;
    if (widthOf(part) <= room) return part;
  }
  return '';
}

// spans are the times for which a member has one role: from an event up to another,
// or to the end.
function spans(history) {
  const list = [];
  history.places.forEach((place, i) => {
    const [role, last] = [roleOf(history.states[i]), list[list.length - 1]];
    if (last && last.role === role) return;
    if (last) last.to = place;
    list.push({role, from: place, to: undefined});
  });
  return list;
}
