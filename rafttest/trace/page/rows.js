// Which events are shown, and where: one row each, from top to bottom.

class Filter {
  constructor() {
    this.hiddenMembers = new Set();
    this.hiddenKinds = new Set();
    this.hideQuiet = true;
    this.text = '';
  }

  isOff() { return !this.hideQuiet && this.text === '' && this.hiddenMembers.size + this.hiddenKinds.size === 0; }

  // passes reports whether an event is shown. Where the rule was broken is always.
  passes(run, place) {
    const event = run.events[place];
    if (run.violation && run.violation.event === place) return true;
    if (this.hiddenKinds.has(event.kind)) return false;
    if (event.member && this.hiddenMembers.has(event.member)) return false;
    if (this.hideQuiet && run.isQuiet(place)) return false;
    return this.text === '' || summary(run, place).toLowerCase().includes(this.text);
  }
}

// maxGap is how many rows of empty space a pause between two events takes.
const maxGap = 3;

// Rows lays the events out that pass a filter. Row i takes the space from tops[i]
// to tops[i + 1], and its line of text the last rowHeight of it: where rows are
// spaced by time, what is left above it stands for the time that passed.
class Rows {
  constructor(run, filter, rowHeight, byTime) {
    this.rowHeight = rowHeight;
    this.shown = new Uint8Array(run.events.length);
    const places = [];
    for (let place = 0; place < run.events.length; place++) {
      if (!filter.passes(run, place)) continue;
      this.shown[place] = 1;
      places.push(place);
    }
    this.places = Int32Array.from(places);
    this.tops = this.layOut(run, byTime);
  }

  layOut(run, byTime) {
    const tops = new Float64Array(this.places.length + 1);
    const time = (row) => run.events[this.places[row]].at;
    const last = this.places.length - 1;
    // Twice the average pause is one row high.
    const unit = last > 0 ? 2 * (time(last) - time(0)) / last : 0;
    for (let row = 0; row <= last; row++) {
      const passed = byTime && row > 0 && unit > 0 ? (time(row) - time(row - 1)) / unit : 0;
      tops[row + 1] = tops[row] + this.rowHeight * (1 + Math.min(maxGap, passed));
    }
    return tops;
  }

  get length() { return this.places.length; }

  get height() { return this.tops[this.places.length]; }

  // rowOf returns the row of an event, or of the next one that is shown.
  rowOf(place) { return lowerBound(this.places.length, (i) => this.places[i] < place); }

  // rowUpTo returns the row of an event, or of the last one shown before it.
  rowUpTo(place) {
    return Math.max(0, lowerBound(this.places.length, (i) => this.places[i] <= place) - 1);
  }

  rowAt(y) { return clamp(lowerBound(this.places.length, (i) => this.tops[i + 1] <= y), 0, this.length - 1); }

  lineOf(row) { return this.tops[row + 1] - this.rowHeight; }

  // yOf returns the middle of the line of an event; for one that is not shown, the
  // border between its neighbours.
  yOf(place) {
    const row = this.rowOf(place);
    if (row < this.length && this.places[row] === place) return this.lineOf(row) + this.rowHeight / 2;
    return this.tops[row];
  }
}
