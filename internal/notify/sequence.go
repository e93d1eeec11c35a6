package notify

import (
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/belfryhq/belfry/internal/platform/id"
)

// sequence makes ids that sort in the order in which this process made them, also
// within one millisecond: an END's delivery is read after its START's.
type sequence struct {
	mu   sync.Mutex // guards last
	last string
}

// next makes an id that sorts after all earlier ones of the sequence.
func (s *sequence) next(now time.Time) string { return s.after("", now) }

// after makes an id that sorts after other too, which may be of another process
// with a faster clock.
func (s *sequence) after(other string, now time.Time) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = idAfter(max(s.last, other), now)
	return s.last
}

// idAfter makes an id for now, or the one that follows other where other is not
// older (RFC 9562, 6.2, method 2).
func idAfter(other string, now time.Time) string {
	made := id.At(now)
	if made > other {
		return made
	}
	const random = 12 // hex digits at the end, which are counted up
	count, err := strconv.ParseUint(other[len(other)-random:], 16, 64)
	if err == nil && count+1 < 1<<(4*random) {
		return other[:len(other)-random] + fmt.Sprintf("%0*x", random, count+1)
	}
	if ms, err := strconv.ParseInt(other[:random], 16, 64); err == nil {
		return id.At(time.UnixMilli(ms + 1))
	}
	return made
}
