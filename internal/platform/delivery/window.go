package delivery

import "time"

// startWindow is how many attempts a destination gets before it has answered.
const startWindow = 4

// window is the adaptive limit of attempts in flight to one destination: slow
// start, then additive increase, and multiplicative decrease (as TCP's, RFC
// 5681). In slow start each success adds one; past the threshold, the successes
// of a whole window add one. An overload halves it, once per round.
type window struct {
	size      float64
	threshold float64
	most      float64
	halved    time.Time
}

func newWindow(most int) window {
	return window{size: float64(min(startWindow, most)), threshold: float64(most), most: float64(most)}
}

func (w *window) limit() int { return int(w.size) }

// succeeded grows the window after an attempt that was delivered.
func (w *window) succeeded() {
	if w.size < w.threshold {
		w.size++
	} else {
		w.size += 1 / w.size
	}
	w.size = min(w.size, w.most)
}

// overloaded halves the window, unless the attempt began before the last halving:
// attempts that were in flight together are one signal.
func (w *window) overloaded(began, now time.Time) {
	if began.Before(w.halved) {
		return
	}
	w.size = max(1, w.size/2)
	w.threshold = w.size
	w.halved = now
}
