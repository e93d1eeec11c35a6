package web

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Event is one server-sent event (WHATWG HTML, 9.2).
type Event struct {
	ID   string // what the browser sends back as Last-Event-ID; no line feeds
	Name string // empty = "message"
	Data []byte // may have several lines
}

// Events is an answer of server-sent events. The operation declares Op.Stream.
//
// Source runs in a goroutine of its own until its context ends (the client
// disconnected, the server drains, the client is too slow) or it returns, which ends
// the stream. It calls send for each event, which waits while the buffer is full and
// fails with [ErrSlowClient] after 10 s: a client that does not read is disconnected,
// and may connect again with Last-Event-ID. A comment every 15 s keeps proxies from
// closing a quiet stream.
type Events struct {
	Retry  time.Duration // how long browsers wait before they reconnect; 0 = 2 s
	Source func(ctx context.Context, lastID string, send func(Event) error) error
}

// Resume is embedded in the input of an event stream: a first connection may
// name the place where it goes on, as a reconnecting browser does by header.
type Resume struct {
	LastEventID string `query:"last_event_id" maxLength:"256" doc:"Id of the last event seen; the header Last-Event-ID wins."`
}

// ErrSlowClient ends the stream of a client that does not read.
var ErrSlowClient = errors.New("web: the client does not read its events")

const (
	eventBuffer = 256
	heartbeat   = 15 * time.Second // Config.Recheck's default is the same
	slowAfter   = 10 * time.Second
)

func (e Events) reply() *reply {
	return &reply{send: e.run}
}

func (e Events) shape() shape { return shape{content: eventStream} }

func (e Events) run(ctx context.Context, x *exchange) error {
	if !x.rt.Stream {
		return errors.New("web: " + x.rt.pattern + " answers Events and does not declare Op.Stream")
	}
	ServeEvents(ctx, x.w, x.r, e)
	return nil
}

// ServeEvents answers a request outside the registered operations (a page's
// live part) with e. ctx ends the stream; Mount gives the right one.
func ServeEvents(ctx context.Context, w http.ResponseWriter, r *http.Request, e Events) {
	mustBeWatched(ctx, stateOf(ctx).route)
	h := w.Header()
	h.Set("Content-Type", eventStream)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx: pass events on at once
	if r.Method == http.MethodHead {
		w.WriteHeader(http.StatusOK)
		return
	}
	retry := e.Retry
	if retry == 0 {
		retry = 2 * time.Second
	}
	rc := http.NewResponseController(w)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	queue := make(chan Event, eventBuffer)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		// The source's error is not sent to the client, which reconnects.
		_ = e.Source(ctx, lastEventID(r), func(ev Event) error { return offer(ctx, queue, ev) })
	}()
	defer func() { cancel(); <-ended }()
	write := func(b []byte) bool {
		rc.SetWriteDeadline(time.Now().Add(slowAfter))
		if _, err := w.Write(b); err != nil {
			return false
		}
		return rc.Flush() == nil
	}
	if !write([]byte("retry: " + strconv.FormatInt(retry.Milliseconds(), 10) + "\n\n")) {
		return
	}
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	var buf bytes.Buffer
	for {
		buf.Reset()
		select {
		case ev := <-queue:
			ev.append(&buf)
			for more := true; more && buf.Len() < streamBuffer; { // one flush for what waits
				select {
				case ev := <-queue:
					ev.append(&buf)
				default:
					more = false
				}
			}
		case <-tick.C:
			buf.WriteString(":\n\n")
		case <-ended:
			for len(queue) > 0 {
				ev := <-queue
				ev.append(&buf)
			}
			write(buf.Bytes())
			return
		case <-ctx.Done():
			return
		}
		if !write(buf.Bytes()) {
			return
		}
	}
}

func offer(ctx context.Context, queue chan<- Event, ev Event) error {
	select {
	case queue <- ev:
		return nil
	default:
	}
	slow := time.NewTimer(slowAfter)
	defer slow.Stop()
	select {
	case queue <- ev:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-slow.C:
		return ErrSlowClient
	}
}

// lastEventID is the position of the client: the header of a reconnecting browser, or
// the parameter of the same name for the first connection.
func lastEventID(r *http.Request) string {
	if s := r.Header.Get("Last-Event-ID"); s != "" {
		return s
	}
	return r.URL.Query().Get("last_event_id")
}

var oneLine = strings.NewReplacer("\r", " ", "\n", " ", "\x00", " ")

func (ev Event) append(b *bytes.Buffer) {
	if ev.ID != "" {
		b.WriteString("id: " + oneLine.Replace(ev.ID) + "\n")
	}
	if ev.Name != "" {
		b.WriteString("event: " + oneLine.Replace(ev.Name) + "\n")
	}
	data := bytes.ReplaceAll(bytes.ReplaceAll(ev.Data, []byte("\r\n"), []byte("\n")), []byte("\r"), []byte("\n"))
	for line := range bytes.SplitSeq(data, []byte("\n")) {
		b.WriteString("data: ")
		b.Write(line)
		b.WriteByte('\n')
	}
	b.WriteByte('\n')
}
