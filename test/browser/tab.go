package browser

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// Tab opens another page in the same Chromium, with cookies of its own.
func (b *Browser) Tab(t testing.TB) *Browser {
	t.Helper()
	ctx, cancel := chromedp.NewContext(b.ctx, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	tab := &Browser{t: t, ctx: ctx, axe: b.axe}
	tab.keepFocus()
	return tab
}

// keepFocus makes the page behave as if its window had the focus, also while another one has it.
func (b *Browser) keepFocus() {
	b.t.Helper()
	b.do("keep the focus", func(ctx context.Context, tab *chromedp.Target) error {
		_, err := cdp.Call(ctx, tab, emulation.SetFocusEmulationEnabled,
			emulation.SetFocusEmulationEnabledParams{Enabled: true})
		return err
	})
}

func (b *Browser) do(what string, call func(ctx context.Context, page *chromedp.Target) error) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, chromedp.Func(call)); err != nil {
		b.t.Fatalf("%s: %v", what, err)
	}
}

// stopped is a Date whose now does not move.
const stopped = `(() => {
	const moment = %d;
	globalThis.Date = class extends Date {
		constructor(...parts) { parts.length === 0 ? super(moment) : super(...parts); }
		static now() { return moment; }
	};
})()`

// Before runs a script before those of all later pages.
func (b *Browser) Before(script string) {
	b.t.Helper()
	b.do("add a script", func(ctx context.Context, tab *chromedp.Target) error {
		_, err := cdp.Call(ctx, tab, page.AddScriptToEvaluateOnNewDocument,
			page.AddScriptToEvaluateOnNewDocumentParams{Source: script})
		return err
	})
}

// Stop stops the clock of all later pages, in UTC.
func (b *Browser) Stop(now time.Time) {
	b.t.Helper()
	b.Before(fmt.Sprintf(stopped, now.UnixMilli()))
	b.do("set the time zone", func(ctx context.Context, tab *chromedp.Target) error {
		_, err := cdp.Call(ctx, tab, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: "UTC"})
		return err
	})
}

// Forget deletes all cookies of the tab.
func (b *Browser) Forget() {
	b.t.Helper()
	b.do("delete the cookies", func(ctx context.Context, tab *chromedp.Target) error {
		_, err := cdp.Call(ctx, tab, network.ClearBrowserCookies, cdp.Empty{})
		return err
	})
}

// ForgetFiles empties the cache of the tab.
func (b *Browser) ForgetFiles() {
	b.t.Helper()
	b.do("empty the cache", func(ctx context.Context, tab *chromedp.Target) error {
		_, err := cdp.Call(ctx, tab, network.ClearBrowserCache, cdp.Empty{})
		return err
	})
}

// WithoutScripts switches the scripts of all later pages off.
func (b *Browser) WithoutScripts() {
	b.t.Helper()
	b.do("switch scripts off", func(ctx context.Context, tab *chromedp.Target) error {
		_, err := cdp.Call(ctx, tab, emulation.SetScriptExecutionDisabled,
			emulation.SetScriptExecutionDisabledParams{Value: true})
		return err
	})
}

// Theme changes the theme of the page that is shown.
func (b *Browser) Theme(theme string) {
	b.t.Helper()
	b.do("theme", func(ctx context.Context, tab *chromedp.Target) error {
		_, err := cdp.Call(ctx, tab, emulation.SetEmulatedMedia, emulatedMedia(theme))
		return err
	})
	b.Drawn()
}

func emulatedMedia(theme string) emulation.SetEmulatedMediaParams {
	return emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: theme},
		{Name: "prefers-reduced-motion", Value: "reduce"},
	}}
}

// Request is a request that a page made.
type Request struct {
	URL    string
	Kind   string // Document, Script, Fetch, ...
	Status int64  // 0 = not answered
	Bytes  int64  // that crossed the network
}

// Traffic records what a tab loads, and what its scripts and its policy complain about.
type Traffic struct {
	host string

	mu       sync.Mutex // guards the rest
	requests map[network.RequestID]*Request
	order    []network.RequestID
	faults   []string
}

// Watch records from now on. host is that of the server: a request to another one is a fault.
func (b *Browser) Watch(host string) *Traffic {
	b.t.Helper()
	w := &Traffic{host: host}
	w.Reset()
	if err := chromedp.Listen(b.ctx, w.see); err != nil {
		b.t.Fatal(err)
	}
	return w
}

// Reset forgets what was recorded.
func (w *Traffic) Reset() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.requests = map[network.RequestID]*Request{}
	w.order = nil
	w.faults = nil
}

func (w *Traffic) see(event any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		w.sent(e)
	case *network.EventResponseReceived:
		if r := w.requests[e.RequestID]; r != nil {
			r.Status = e.Response.Status
			r.Kind = string(e.Type)
			if r.Status >= 400 {
				w.faults = append(w.faults, fmt.Sprintf("%s answers %d", r.URL, r.Status))
			}
		}
	case *network.EventLoadingFinished:
		if r := w.requests[e.RequestID]; r != nil {
			r.Bytes = int64(e.EncodedDataLength)
		}
	case *network.EventLoadingFailed:
		// Without scripts, Chromium drops preloaded modules and gives no reason.
		if r := w.requests[e.RequestID]; r != nil && !e.Canceled && e.ErrorText != "" {
			w.faults = append(w.faults, r.URL+" fails: "+e.ErrorText)
		}
	case *runtime.EventExceptionThrown:
		text := e.ExceptionDetails.Text
		if thrown := e.ExceptionDetails.Exception; thrown != nil {
			text += " " + thrown.Description
		}
		w.faults = append(w.faults, "a script fails: "+text)
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError && e.Entry.Source != log.EntrySourceNetwork {
			w.faults = append(w.faults, "the browser reports: "+e.Entry.Text)
		}
	}
}

func (w *Traffic) sent(e *network.EventRequestWillBeSent) {
	to, err := url.Parse(e.Request.URL)
	if err == nil && to.Scheme != "data" && to.Scheme != "blob" && to.Host != w.host {
		w.faults = append(w.faults, "a request leaves for "+e.Request.URL)
	}
	if _, known := w.requests[e.RequestID]; !known {
		w.order = append(w.order, e.RequestID)
	}
	w.requests[e.RequestID] = &Request{URL: e.Request.URL, Kind: string(e.Type)}
}

// Requests lists the requests, in their order.
func (w *Traffic) Requests() []Request {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := make([]Request, 0, len(w.order))
	for _, id := range w.order {
		list = append(list, *w.requests[id])
	}
	return list
}

// Faults lists what went wrong; "" = nothing.
func (w *Traffic) Faults() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.faults, "\n")
}
