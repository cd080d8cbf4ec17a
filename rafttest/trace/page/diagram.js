// The picture of the run: lanes of members from top to bottom, messages between
// them. It draws what is in the window and nothing else.

// chunk is how many events share a list of the messages that are under way there.
const chunk = 64;

const laneWidths = {leader: 9, candidate: 7, 'pre-candidate': 7, follower: 4, down: 2};

// rowAhead is how many rows the stub of a message takes that never ended.
const rowAhead = 2.4;

class Diagram {
  constructor(run, canvas) {
    this.run = run;
    this.canvas = canvas;
    this.drawn = [];
    this.chunks = Array.from({length: Math.floor(run.events.length / chunk) + 1}, () => []);
    run.messages.forEach((m, i) => {
      const end = m.endAt < 0 ? m.sentAt : m.endAt;
      for (let c = Math.floor(m.sentAt / chunk); c <= Math.floor(end / chunk); c++) this.chunks[c].push(i + 1);
    });
  }

  // resize sets how much space there is. Lanes stand as far apart as it allows.
  resize(width, height) {
    this.width = width;
    this.height = height;
    this.spacing = width / Math.max(1, this.run.lanes);
  }

  x(member) { return (member - 0.5) * this.spacing; }

  // draw shows the window that begins at top. The view says what is selected, and
  // what is to step back.
  draw(rows, top, view) {
    const c = fitCanvas(this.canvas, this.width, this.height);
    this.context = c;
    this.rows = rows;
    this.view = view;
    this.top = top;
    this.palette = view.palette;
    this.drawn = [];
    if (rows.length === 0) return;
    const first = rows.rowAt(top - rows.rowHeight);
    const last = rows.rowAt(top + this.height + rows.rowHeight);
    this.drawClusterEvents(first, last);
    for (const member of this.run.members()) this.drawLane(member, first, last);
    this.drawNow();
    this.drawMessages(first, last);
    this.drawMarks(first, last);
    c.globalAlpha = 1;
  }

  y(place) { return this.rows.yOf(place) - this.top; }

  // fade is how much an event steps back: behind what led to the violation, and
  // where its member is not looked at.
  fade(place) {
    if (this.view.causes && !this.view.causes.has(place)) return 0.13;
    return place > this.view.cursor ? 0.5 : 1;
  }

  memberFade(member) { return this.view.hiddenMembers.has(member) ? 0.25 : 1; }

  drawClusterEvents(first, last) {
    const c = this.context;
    for (let row = first; row <= last; row++) {
      const place = this.rows.places[row];
      const event = this.run.events[place];
      if (event.member !== undefined && event.kind !== 'phase') continue;
      c.globalAlpha = this.fade(place);
      c.strokeStyle = event.kind === 'phase' ? this.palette.ink : this.palette.muted;
      c.lineWidth = 1;
      c.setLineDash(event.kind === 'phase' ? [] : [2, 3]);
      this.line(0, this.y(place), this.width, this.y(place));
    }
    c.setLineDash([]);
  }

  line(x0, y0, x1, y1) {
    const c = this.context;
    c.beginPath();
    c.moveTo(x0, y0);
    c.lineTo(x1, y1);
    c.stroke();
  }

  // drawLane colours the time of a member by its role.
  drawLane(member, first, last) {
    const history = this.run.histories[member];
    const from = history.upTo(this.rows.places[first]) - 1;
    const end = this.rows.places[last];
    for (let i = Math.max(0, from); i < history.places.length && history.places[i] <= end; i++) {
      const place = history.places[i];
      const next = history.places[i + 1];
      const y0 = Math.max(-10, this.y(place));
      const y1 = next === undefined ? this.rows.height - this.top : this.y(next);
      this.drawSpan(member, history.states[i], y0, Math.min(this.height + 10, y1));
    }
  }

  // drawSpan draws what has happened in full, and what is yet to come paler.
  drawSpan(member, state, y0, y1) {
    const now = this.y(this.view.cursor);
    const alpha = this.memberFade(member) * (this.view.causes ? 0.55 : 1);
    if (y0 < now) this.drawRole(member, state, y0, Math.min(y1, now), alpha);
    if (y1 > now) this.drawRole(member, state, Math.max(y0, now), y1, alpha * 0.45);
  }

  drawRole(member, state, y0, y1, alpha) {
    const c = this.context;
    const role = roleOf(state);
    const width = laneWidths[role] || laneWidths.follower;
    c.globalAlpha = alpha;
    c.strokeStyle = this.palette.role[role] || this.palette.role.follower;
    c.lineWidth = width;
    c.setLineDash(role === 'down' ? [2, 5] : state.paused ? [6, 4] : role === 'pre-candidate' ? [4, 2] : []);
    // Dashes stay where they are while the window moves.
    c.lineDashOffset = (y0 + this.top) % 100;
    this.line(this.x(member), y0, this.x(member), y1);
    c.setLineDash([]);
    c.lineDashOffset = 0;
  }

  drawNow() {
    const c = this.context;
    c.globalAlpha = 1;
    c.fillStyle = this.palette.now;
    c.fillRect(0, this.y(this.view.cursor) - this.rows.rowHeight / 2, this.width, this.rows.rowHeight);
  }

  drawMessages(first, last) {
    const seen = new Set();
    const from = Math.floor(this.rows.places[first] / chunk);
    const to = Math.floor(this.rows.places[last] / chunk);
    for (let i = from; i <= to; i++) for (const number of this.chunks[i]) seen.add(number);
    for (const number of seen) if (this.isShown(number)) this.drawMessage(number);
  }

  isShown(number) {
    const m = this.run.message(number);
    if (number === this.view.message) return true;
    const sent = this.rows.shown[m.sentAt] === 1;
    const ended = m.endAt >= 0 && this.rows.shown[m.endAt] === 1;
    return this.view.hidesQuiet && this.run.isHeartbeat(number) ? ended || (sent && m.endAt < 0) : sent || ended;
  }

  // way returns where the arrow of a message begins and ends. One that was lost
  // stops on its way, and so does one that never arrived.
  way(m) {
    const [x0, y0, x] = [this.x(m.from), this.y(m.sentAt), this.x(m.to)];
    const side = Math.sign(x - x0);
    if (m.endAt < 0) return {x0, y0, x1: x0 + (x - x0) * 0.6, y1: y0 + rowAhead * this.rows.rowHeight};
    if (m.fate === 'dropped') return {x0, y0, x1: x0 + (x - x0) * 0.62, y1: Math.max(this.y(m.endAt), y0)};
    return {x0, y0, x1: x - side * 5, y1: this.y(m.endAt)};
  }

  messageAlpha(number, m) {
    const {view} = this;
    if (number === view.message || this.run.breaks(number)) return 1;
    if (view.causes && !(view.causes.has(m.sentAt) && view.causes.has(m.endAt))) return 0.08;
    const faint = this.run.isHeartbeat(number) ? 0.5 : 0.85;
    return faint * (m.sentAt > view.cursor ? 0.45 : 1) * this.memberFade(m.from) * this.memberFade(m.to);
  }

  drawMessage(number) {
    const m = this.run.message(number);
    const way = this.way(m);
    if (Math.max(way.y0, way.y1) < -20 || Math.min(way.y0, way.y1) > this.height + 20) return;
    this.drawn.push({number, ...way});
    const c = this.context;
    const broken = this.run.breaks(number);
    const near = number === this.view.message || m.sentAt === this.view.cursor || m.endAt === this.view.cursor;
    c.globalAlpha = near ? 1 : this.messageAlpha(number, m);
    c.strokeStyle = c.fillStyle = broken ? this.palette.broken : this.palette.message[messageClass(m.type)];
    c.lineWidth = (broken || near ? 2.4 : isResponse(m.type) ? 1 : 1.5);
    c.setLineDash(m.endAt < 0 ? [4, 3] : []);
    this.line(way.x0, way.y0, way.x1, way.y1);
    if (m.copyOf) this.drawTwin(way);
    c.setLineDash([]);
    this.drawEnd(m, way);
  }

  // drawTwin doubles the line of a copy.
  drawTwin({x0, y0, x1, y1}) {
    const length = Math.hypot(x1 - x0, y1 - y0) || 1;
    const [dx, dy] = [-(y1 - y0) / length * 3, (x1 - x0) / length * 3];
    this.context.lineWidth = 1;
    this.line(x0 + dx, y0 + dy, x1 + dx, y1 + dy);
  }

  drawEnd(m, {x0, y0, x1, y1}) {
    const c = this.context;
    c.lineWidth = Math.max(1.6, c.lineWidth);
    if (m.fate === 'dropped') this.cross(x1, y1, 4);
    else if (m.fate === 'refused') this.line(x1, y1 - 6, x1, y1 + 6);
    else if (m.endAt < 0) this.ring(x1, y1, 3);
    else this.head(x0, y0, x1, y1, isResponse(m.type));
  }

  cross(x, y, r) {
    this.line(x - r, y - r, x + r, y + r);
    this.line(x - r, y + r, x + r, y - r);
  }

  ring(x, y, r) {
    const c = this.context;
    c.beginPath();
    c.arc(x, y, r, 0, 7);
    c.stroke();
  }

  head(x0, y0, x1, y1, open) {
    const c = this.context;
    const angle = Math.atan2(y1 - y0, x1 - x0);
    const wing = (turn) => [x1 - 8 * Math.cos(angle + turn), y1 - 8 * Math.sin(angle + turn)];
    c.beginPath();
    c.moveTo(...wing(0.42));
    c.lineTo(x1, y1);
    c.lineTo(...wing(-0.42));
    if (open) {
      c.lineWidth = 1.4;
      c.stroke();
    } else {
      c.fill();
    }
  }

  // drawMarks puts a mark on the lane of each event, and a label where a term begins.
  drawMarks(first, last) {
    for (let row = first; row <= last; row++) {
      const place = this.rows.places[row];
      const event = this.run.events[place];
      if (!event.member) continue;
      this.context.globalAlpha = this.fade(place) * this.memberFade(event.member);
      this.drawMark(event, this.x(event.member), this.y(place));
      if (event.state) this.drawTerm(place, event);
    }
  }

  drawMark(event, x, y) {
    const c = this.context;
    const role = roleOf(event.state || this.run.stateAt(event.member, this.view.cursor));
    c.lineWidth = 1.5;
    c.strokeStyle = this.palette.paper;
    c.fillStyle = event.state ? this.palette.role[role] : this.palette.muted;
    switch (event.kind) {
      case 'fail':
        c.strokeStyle = this.palette.broken;
        c.lineWidth = 2.5;
        this.ring(x, y, 8);
        this.cross(x, y, 3);
        return;
      case 'crash': case 'stop':
        c.strokeStyle = this.palette.ink;
        c.lineWidth = 2;
        this.cross(x, y, 5);
        return;
      case 'start': case 'restart':
        this.shape([[x - 6, y - 5], [x + 6, y - 5], [x, y + 6]]);
        return;
      case 'propose': case 'read': case 'answer': case 'change': case 'transfer': case 'campaign':
        c.fillStyle = this.palette.ink;
        this.shape([[x - 5, y], [x, y - 5], [x + 5, y], [x, y + 5]]);
        return;
      default:
        c.beginPath();
        c.arc(x, y, event.state ? 4.5 : 2.5, 0, 7);
        c.fill();
        if (event.state) c.stroke();
    }
  }

  shape(points) {
    const c = this.context;
    c.beginPath();
    points.forEach(([x, y]) => c.lineTo(x, y));
    c.closePath();
    c.fill();
    c.stroke();
  }

  drawTerm(place, event) {
    const before = this.run.before(place);
    if (!event.state.up || event.state.term === 0 || (before && before.up && before.term === event.state.term)) return;
    const c = this.context;
    const text = `${this.spacing > 40 ? 't' : ''}${event.state.term}`;
    c.font = '600 10px system-ui, sans-serif';
    const width = c.measureText(text).width + 7;
    const [x, y] = [this.x(event.member) + 7, this.y(place) - 7];
    c.fillStyle = `oklch(${this.palette.termLightness} 0.13 ${termHue(event.state.term)})`;
    c.beginPath();
    c.roundRect(x, y, width, 14, 4);
    c.fill();
    c.fillStyle = this.palette.paper;
    c.textBaseline = 'middle';
    c.fillText(text, x + 3.5, y + 7.5);
  }

  // messageAt returns the message whose arrow is under a point, or 0.
  messageAt(x, y) {
    let [found, best] = [0, 7];
    for (const {number, x0, y0, x1, y1} of this.drawn) {
      const length = (x1 - x0) ** 2 + (y1 - y0) ** 2 || 1;
      const t = clamp(((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / length, 0, 1);
      const distance = Math.hypot(x - x0 - t * (x1 - x0), y - y0 - t * (y1 - y0));
      if (distance < best) [found, best] = [number, distance];
    }
    return found;
  }
}
