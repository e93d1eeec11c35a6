package demo

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/client"
)

// recordSize returns the number of events in the account's audit log.
func (d *demo) recordSize(ctx context.Context) (int64, error) {
	env, err := d.api.Call(ctx, client.Request{
		Method: http.MethodGet,
		Path:   "/accounts/" + d.now().Account + "/audit_logs?per_page=1",
	})
	if err != nil {
		return 0, err
	}
	var info struct {
		Total int64 `json:"total_count"`
	}
	return info.Total, json.Unmarshal(env.ResultInfo, &info)
}

// printGuide prints the addresses and the steps to try.
func (d *demo) printGuide(size int64) {
	s := d.now()
	fmt.Fprintf(d.Out, `
belfry: ready on %[1]s

  Dashboard   %[2]s
              (signs you in as %[7]s, once and within 15 minutes; for another link:
              %[12]s)
  Shop        %[3]s
  Your inbox  %[4]s  (webhooks and mail arrive here)
  Status      %[1]s/status  (what customers see of incidents and maintenance)
  API         %[1]s/client/v4   docs: %[1]s/docs
  Token       %[5]s  (account ext:demo)
  Kafka       %[6]s
  The audit log has %[8]s events.

Eight minutes (the dashboard's overview has these steps as a list, each linked to its page)
  1. Open the dashboard. Nothing is firing; checkout has most of its budget left.
  2. Break something: %[3]s/settings, lower the payment timeout to 30 ms, with a reason ("PR 214").
     The audit log's live tail (press L there) says so within a second.
  3. Watch "Checkout availability" burn on the dashboard: %[1]s/accounts/%[9]s/objectives/%[10]s
     In 43 s and a tick the alert is in your inbox, with the change that preceded it.
  4. Open the alert: both windows, each policy matched or not and why, deliveries, the changes before it.
  5. Undo in the shop. About five minutes later the alert ends, with the same correlation id.
  6. Prove it: the change's page, "Proof", verifies it here, and gives one file and the command that verifies it
     without this server (%[13]s verify --bundle FILE). Change one byte of the file, and it fails.
  7. kill -9 %[11]d while it works. The demo starts it again: everything that was acknowledged is there,
     the alert is still open, and no message is sent twice.

Now yours
  A change    curl -s %[1]s/client/v4/accounts/ext:demo/audit/events \
                -H 'Authorization: Bearer %[5]s' -H 'Content-Type: application/json' \
                -d '{"action":{"type":"update"},"actor":{"type":"user","id":"you"},
                     "resource":{"product":"mine","type":"setting","id":"colour"}}'
  In Go       client, err := belfry.New(belfry.Config{
                URL: "%[1]s", Token: "...", AccountID: "ext:demo", SpoolDir: "spool"})
              err = client.Audit(ctx, belfry.Event{Action: ..., Actor: ..., Resource: ...})
              (the module is sdk/go; examples/shop is a complete product)
  A product   %[13]s catalog init writes a file that declares its audit events and its alerts
  A log       %[13]s tail --url %[1]s --account ext:demo --zone www.example.com access.log   (BELFRY_TOKEN=...)
  A client    the official Cloudflare libraries, with base URL %[1]s/client/v4

Stop with Ctrl-C. What happens:
`, s.URL, s.SignIn, s.Shop, s.Inbox, s.Token, s.Kafka, visitorIs+" <"+visitor+">", thousands(size), s.Account,
		s.Objective, s.Server, d.linkCommand(), programName())
}

// programName returns the command that starts this program again: its path, or "go run", whose binary is deleted when
// it ends.
func programName() string {
	if strings.Contains(os.Args[0], "go-build") {
		return "go run ./cmd/belfry"
	}
	if strings.ContainsAny(os.Args[0], " '\"$") {
		return strconv.Quote(os.Args[0])
	}
	return os.Args[0]
}

// linkCommand returns the command that prints another sign-in link, from any terminal of this machine.
func (d *demo) linkCommand() string {
	return programName() + " demo --link --data-dir " + d.dir
}

// Link returns another sign-in link for the demo that runs with a data directory.
func Link(ctx context.Context, dir string) (string, error) {
	s, err := loadState(dir)
	if err != nil {
		return "", err
	}
	if !s.Ready {
		return "", fmt.Errorf(
			"no demo runs with the data directory %q; the running demo has printed the command with its own", dir)
	}
	d := &demo{dir: dir, api: client.New(s.URL, s.Bootstrap), state: s}
	link, err := d.signIn(ctx)
	if err != nil {
		return "", fmt.Errorf("the demo at %s does not answer: %w", s.URL, err)
	}
	return link, nil
}

// follow prints new events of the audit log until ctx ends. It continues after a restart of the server.
func (d *demo) follow(ctx context.Context, from int64) error {
	for ctx.Err() == nil {
		next, err := d.stream(ctx, from)
		from = next
		if err == nil || ctx.Err() != nil {
			continue
		}
		select {
		case <-time.After(500 * time.Millisecond):
		case <-ctx.Done():
		}
	}
	return nil
}

// say prints an event; repetitions of the same sentence share one line.
func (d *demo) say(at time.Time, sentence string) {
	if sentence == d.said {
		d.again++
		return
	}
	if d.again > 0 {
		fmt.Fprintf(d.Out, "            ... and %d more like it\n", d.again)
	}
	d.said = sentence
	d.again = 0
	fmt.Fprintf(d.Out, "  %s  %s\n", at.Local().Format(time.TimeOnly), sentence)
}

// stream reads the live tail from seq on and returns the next position.
func (d *demo) stream(ctx context.Context, from int64) (next int64, err error) {
	res, err := d.api.Do(ctx, client.Request{
		Method: http.MethodGet,
		Path:   fmt.Sprintf("/accounts/%s/audit/stream?from=%d", d.now().Account, from),
	})
	if err != nil {
		return from, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return from, fmt.Errorf("the live tail answered %d", res.StatusCode)
	}
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimSpace(value)
		switch name {
		case "id":
			if seq, err := strconv.ParseInt(value, 10, 64); err == nil {
				from = seq + 1
			}
		case "data":
			var e struct {
				Sentence string
				Action   struct{ Time time.Time }
			}
			if json.Unmarshal([]byte(value), &e) == nil && e.Sentence != "" {
				d.say(e.Action.Time, e.Sentence)
			}
		}
	}
	return from, lines.Err()
}
