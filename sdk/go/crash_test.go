package belfry_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	belfry "github.com/belfryhq/belfry/sdk/go"
	"github.com/belfryhq/belfry/sdk/go/belfrytest"
)

// The environment of a child process of a test.
const (
	childDir  = "BELFRY_TEST_CHILD_DIR"
	childURL  = "BELFRY_TEST_CHILD_URL"
	childMode = "BELFRY_TEST_CHILD_MODE"
)

func TestMain(m *testing.M) {
	switch os.Getenv(childMode) {
	case "publish":
		publish()
	case "disk":
		fillDisk()
	default:
		os.Exit(m.Run())
	}
}

// crashEvent is an event whose content follows from its id.
func crashEvent(id string) belfry.Event {
	sum := sha256.Sum256([]byte(id))
	text := hex.EncodeToString(sum[:])
	return belfry.Event{
		ID:     id,
		Action: belfry.Action{Type: "create"}, Actor: belfry.Actor{Type: belfry.System, ID: text},
		Resource: belfry.Resource{Product: "crash", Type: "run", ID: id},
		Metadata: map[string]any{"pad": strings.Repeat(text, int(sum[0])%20)},
	}
}

// publish is the child: it reports the id of each accepted event, until
// it is killed.
func publish() {
	var mu sync.Mutex
	say := func(format string, args ...any) {
		mu.Lock()
		fmt.Fprintf(os.Stdout, format+"\n", args...)
		mu.Unlock()
	}
	c, err := belfry.New(belfry.Config{
		URL:          os.Getenv(childURL),
		Token:        belfrytest.TestToken,
		AccountID:    belfrytest.AccountID,
		SpoolDir:     os.Getenv(childDir),
		SegmentBytes: 20_000,
		BatchEvents:  50,
		Linger:       time.Millisecond,
		RetryMin:     time.Millisecond,
		RetryMax:     5 * time.Millisecond,
		OnError: func(err error) {
			if corrupt := new(belfry.CorruptionError); errors.As(err, &corrupt) {
				say("fault %v", err)
			}
		},
		OnReject: func(r belfry.Rejected) { say("fault %s was %s: %v", r.ID, r.Status, r.Errors) },
	})
	if err != nil {
		say("fault %v", err)
		os.Exit(1)
	}
	for range 4 {
		go func() {
			for {
				id := belfry.NewID()
				if err := c.Audit(context.Background(), crashEvent(id)); err != nil {
					say("fault %v", err)
				} else {
					say("took %s", id)
				}
			}
		}()
	}
	time.Sleep(time.Minute)
	os.Exit(1)
}

func TestEveryEventTakenBeforeKillMinus9IsDelivered(t *testing.T) {
	kills := 20
	if testing.Short() {
		kills = 4
	}
	srv := belfrytest.NewServer(t, belfrytest.Options{})
	dir := t.TempDir()
	taken := map[string]bool{}
	for round := range kills {
		switch round % 4 {
		case 0:
			srv.Recover()
			srv.Fail(belfrytest.Failure{Times: 3, AfterCommit: true})
		case 3: // the last round too, so that much is left to the last client
			srv.Fail(belfrytest.Failure{Times: -1, Status: http.StatusServiceUnavailable})
		}
		for _, line := range runAndKill(t, dir, srv.URL()) {
			word, rest, _ := strings.Cut(line, " ")
			switch word {
			case "took":
				taken[rest] = true
			default:
				t.Errorf("round %d: %s", round, line)
			}
		}
	}
	srv.Recover()
	before := len(srv.Events())
	c := start(t, srv, dir, func(cfg *belfry.Config) {
		cfg.OnReject = func(r belfry.Rejected) { t.Errorf("%s was %s: %v", r.ID, r.Status, r.Errors) }
		cfg.OnError = func(err error) { t.Error(err) }
	})
	closed(t, c)
	stored := map[string]bool{}
	for _, s := range srv.Events() {
		e, err := s.Event()
		if err != nil {
			t.Fatal(err)
		}
		want := crashEvent(s.ID)
		if stored[s.ID] || e.Actor.ID != want.Actor.ID || e.Resource.ID != s.ID || e.Metadata["pad"] != want.Metadata["pad"] {
			t.Errorf("stored twice or changed: %s", s.JSON)
		}
		stored[s.ID] = true
	}
	for id := range taken {
		if !stored[id] {
			t.Errorf("%s was taken and is lost", id)
		}
	}
	t.Logf("%d kills, %d events taken, %d stored, %d of them by the last client", kills, len(taken), len(stored),
		len(stored)-before)
	if len(taken) < 20*kills || len(stored) == before {
		t.Errorf("only %d events were taken: the test proves little", len(taken))
	}
}

// runAndKill starts the child, kills it at a random moment after its first
// event and returns what it said (a half line at the end is dropped).
func runAndKill(t *testing.T, dir, url string) (lines []string) {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childMode+"=publish", childDir+"="+dir, childURL+"="+url)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(out)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			break
		}
		if lines = append(lines, strings.TrimSpace(line)); len(lines) == 1 {
			time.AfterFunc(rand.N(120*time.Millisecond), func() { child.Process.Kill() })
		}
	}
	child.Wait() // "signal: killed"
	return lines
}
