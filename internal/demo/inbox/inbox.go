// Package inbox receives webhooks and mail, as a customer's own systems would, and shows both on one page.
//
//	Belfry -> POST /hook (signature checked by the Standard Webhooks project's own library) -> page
//	Belfry -> SMTP -> page
//
// It shares no code with the sender.
package inbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-smtp"
	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// Message is a received webhook or mail. Body is cut at keptBody.
type Message struct {
	N        int       `json:"n"` // counts from 1
	Kind     Kind      `json:"kind"`
	At       time.Time `json:"at"`
	From     string    `json:"from,omitempty"`    // mail
	To       string    `json:"to,omitempty"`      // mail
	Title    string    `json:"title"`             // subject, or the webhook's name
	Text     string    `json:"text"`              // for people
	Link     string    `json:"link,omitempty"`    // the page that the message is about
	Verified bool      `json:"verified"`          // webhook: the signature is right
	Fault    string    `json:"fault,omitempty"`   // webhook: why it is not
	ID       string    `json:"id,omitempty"`      // webhook-id: the same in a repetition
	Repeat   bool      `json:"repeat,omitempty"`  // the id was here before
	Headers  []Header  `json:"headers,omitempty"` // of the webhook, or of the mail
	Body     string    `json:"body"`

	header http.Header // of a webhook that came before the secret was known
}

// Lines is the text, line by line.
func (m Message) Lines() []string {
	return strings.FieldsFunc(m.Text, func(r rune) bool { return r == '\n' })
}

// Header is a header line.
type Header struct{ Name, Value string }

// Kind is the channel of a message.
type Kind string

// The kinds.
const (
	Webhook Kind = "webhook"
	Mail    Kind = "mail"
)

// Limits.
const (
	kept     = 500 // messages, the newest
	maxBody  = 1 << 20
	keptBody = 64 << 10
)

// Inbox keeps received messages in memory.
type Inbox struct {
	http, smtp net.Listener

	dashboard, shop string // addresses that pages link to; set before Run

	mu     sync.Mutex // guards what follows
	secret string     // whsec_... by which webhooks are signed
	back   string     // address of the dashboard's next step
	n      int
	list   []Message // the oldest first
	ids    map[string]bool
}

// New listens on both addresses; port 0 selects a free one.
func New(httpAddress, smtpAddress string) (*Inbox, error) {
	i := &Inbox{ids: map[string]bool{}}
	var err error
	if i.http, err = net.Listen("tcp", httpAddress); err != nil {
		return nil, err
	}
	if i.smtp, err = net.Listen("tcp", smtpAddress); err != nil {
		return nil, errors.Join(err, i.http.Close())
	}
	return i, nil
}

// Beside sets the URLs of the dashboard and the shop, to which the page links. Call it before Run.
func (i *Inbox) Beside(dashboard, shop string) { i.dashboard, i.shop = dashboard, shop }

// Back sets the address of the dashboard's page with the next step of the demo, once it is known.
func (i *Inbox) Back(next string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.back = next
}

func (i *Inbox) nextStep() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.back
}

// URL is the page's address; URL/hook receives webhooks.
func (i *Inbox) URL() string { return "http://" + i.http.Addr().String() }

// SMTP is the host:port that receives mail.
func (i *Inbox) SMTP() string { return i.smtp.Addr().String() }

// Trust sets the secret (whsec_...) by which webhooks must be signed from now
// on. Earlier messages are verified again: a destination is tested while it is created, before its secret is
// known here.
func (i *Inbox) Trust(secret string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.secret = secret
	for k := range i.list {
		m := &i.list[k]
		if m.header == nil || secret == "" {
			continue
		}
		m.Fault = ""
		if err := verify(secret, []byte(m.Body), m.header); err != nil {
			m.Fault = err.Error()
		}
		m.Verified, m.header = m.Fault == "", nil
	}
}

// Messages returns the kept messages, the newest first.
func (i *Inbox) Messages() []Message {
	i.mu.Lock()
	defer i.mu.Unlock()
	list := make([]Message, 0, len(i.list))
	for k := len(i.list) - 1; k >= 0; k-- {
		list = append(list, i.list[k])
	}
	return list
}

// Run serves until ctx ends.
func (i *Inbox) Run(ctx context.Context) error {
	pages, err := newPageServer(i)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /hook", i.hook)
	mux.HandleFunc("GET /messages", i.messages)
	mux.Handle("GET /", pages)
	web := &http.Server{
		Handler:        mux,
		ReadTimeout:    10 * time.Second,
		WriteTimeout:   10 * time.Second,
		MaxHeaderBytes: 64 << 10,
	}
	mail := smtp.NewServer(&smtpBackend{i})
	mail.Domain = "inbox.localhost"
	mail.MaxMessageBytes = maxBody
	mail.MaxRecipients = 50
	mail.ReadTimeout, mail.WriteTimeout = 10*time.Second, 10*time.Second
	ended := make(chan error, 2)
	go func() { ended <- web.Serve(i.http) }()
	go func() { ended <- mail.Serve(i.smtp) }()
	running := 2
	select {
	case <-ctx.Done():
	case err = <-ended:
		running--
	}
	// The listeners too: a server that does not serve yet does not close them.
	for _, c := range []io.Closer{i.http, i.smtp, web, mail} {
		_ = c.Close() // it may be closed already
	}
	for range running {
		_ = <-ended
	}
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("inbox: %w", err)
}

func (i *Inbox) add(m Message) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.n++
	m.N = i.n
	m.At = time.Now().UTC()
	m.Body = m.Body[:min(len(m.Body), keptBody)]
	if m.ID != "" {
		m.Repeat = i.ids[m.ID]
		i.ids[m.ID] = true
	}
	i.list = append(i.list, m)
	if len(i.list) > kept {
		delete(i.ids, i.list[0].ID)
		i.list = i.list[1:]
	}
}

// hook receives a webhook with any signature. A wrong signature is shown on the page, and the response is 401.
func (i *Inbox) hook(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, "the body does not arrive", http.StatusBadRequest)
		return
	}
	m := Message{Kind: Webhook, Body: string(body), ID: r.Header.Get("Webhook-Id")}
	for _, name := range []string{"Webhook-Id", "Webhook-Timestamp", "Webhook-Signature", "Content-Type", "User-Agent"} {
		if v := r.Header.Get(name); v != "" {
			m.Headers = append(m.Headers, Header{name, v})
		}
	}
	var told struct{ Name, Text, URL string }
	if json.Unmarshal(body, &told) == nil {
		m.Title = told.Name
		m.Text = told.Text
		m.Link = webLink(told.URL)
	}
	i.mu.Lock()
	secret := i.secret
	i.mu.Unlock()
	if err := verify(secret, body, r.Header); err != nil {
		m.Fault = err.Error()
		if secret == "" {
			m.header = r.Header
		}
	} else {
		m.Verified = true
	}
	i.add(m)
	if !m.Verified && secret != "" {
		http.Error(w, "the signature does not fit", http.StatusUnauthorized)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// webLink returns an http or https URL unchanged, and "" for anything else.
func webLink(s string) string {
	if u, err := url.Parse(s); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return ""
	}
	return s
}

func verify(secret string, body []byte, h http.Header) error {
	if secret == "" {
		return errors.New("the inbox knows no secret yet")
	}
	v, err := webhooks.NewWebhook(secret)
	if err != nil {
		return err
	}
	return v.Verify(body, h)
}

func (i *Inbox) messages(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(i.Messages()) // fails only when the reader went away
}
