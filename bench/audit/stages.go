package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/belfryhq/belfry/internal/app"
)

// profiledServer is the argument with which this program serves: the same
// wiring as the binary's, with the runtime's profiler on a port of its own.
const profiledServer = "profiled-server"

func serveProfiled() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	cfg, err := app.LoadConfig("", os.LookupEnv)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/profile", pprof.Profile)
	profiler := &http.Server{Handler: mux}
	go profiler.Serve(listener)
	defer profiler.Close()
	fmt.Printf("profile on http://%s\n", listener.Addr())
	a, err := app.Setup(ctx, cfg, "bench", os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer a.Close()
	err = a.Run(ctx, func() {
		fmt.Printf("belfry: ready on http://%s\n", a.Addr())
		if k := a.KafkaAddr(); k != "" {
			fmt.Printf("belfry: kafka on %s\n", k)
		}
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// stage is a part of the work, known by functions on the stack. The first that
// fits takes the sample: parts come before what contains them.
type stage struct {
	name  string
	marks []string
}

var stageList = []stage{
	{"garbage collection", []string{"runtime.gcBgMarkWorker", "runtime.bgsweep", "runtime.bgscavenge", "runtime.gcAssistAlloc", "runtime.gcStart"}},
	{"signer (each epoch, the accounts that grew)", []string{"audit.(*Signer)"}},
	{"prepare: decode", []string{"internal/audit.Decode"}},
	{"prepare: catalogue, account, zone", []string{"audit.(*Intake).admit"}},
	{"prepare: seal (canonical form, commitments)", []string{"audit.sealEnvelope"}},
	{"prepare: the rest", []string{"audit.(*Intake).Prepare", "audit.seeds"}},
	{"append: look up accounts and heads", []string{"audit.accountKeys", "audit.lockHeads"}},
	{"append: look up ids", []string{"internal/audit.known"}},
	{"append: insert the events", []string{"internal/audit.insertRows"}},
	{"append: leaf hash and tree", []string{"internal/platform/merkle."}},
	{"append: tiles and digests", []string{"audit.(*writing).completeTiles"}},
	{"append: save heads", []string{"internal/audit.saveHeads"}},
	{"append: tiles, digests and roll-ups, saved", []string{"audit.(*writing).save"}},
	{"append: commit", []string{"database/sql.(*Tx).Commit"}},
	{"append: the rest", []string{"audit.(*Ledger).append", "audit.(*Ledger).commit", "audit.(*Ledger).flush"}},
	{"answer", []string{"internal/audit.answer", "web.(*Exchange).Send"}},
	{"HTTP door: decompression", []string{"compress/flate", "compress/gzip"}},
	{"HTTP door: read the body, split", []string{"internal/audit.split", "web.(*Exchange).Bytes"}},
	{"HTTP door: the rest", []string{"net/http.", "internal/platform/web."}},
	{"bus and broker", []string{"twmb/franz-go", "internal/platform/bus.", "internal/platform/broker."}},
	{"runtime (scheduler, timers)", []string{"runtime."}},
}

// stages profiles the server under the main rows and folds the samples.
func (b *bench) stages(ctx context.Context) error {
	if err := b.makeAccounts(ctx); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	s, err := b.startProgram(ctx, self, profiledServer)
	if err != nil {
		return err
	}
	if err := s.settle(ctx); err != nil {
		return err
	}
	kinds := []struct {
		name    string
		batch   int
		callers int
		zipped  bool
		share   int
	}{{"batches, gzip", batchSize, batchCallers, true, 1}, {"single events", 1, singleCallers, false, 5}}
	costs := map[string][]string{}
	total := []string{}
	for _, k := range kinds {
		accounts := b.state.Accounts
		if k.batch == 1 {
			if accounts, err = s.publishers(ctx); err != nil {
				return err
			}
		}
		list, err := b.bodies(b.events/k.share, k.batch, k.zipped, accounts)
		if err != nil {
			return err
		}
		cost, sum, err := b.profile(ctx, s, strings.ReplaceAll(k.name, ", ", "-"), func() (int, error) {
			n, _, err := s.publish(ctx, k.callers, b.limit, list)
			return n, err
		})
		if err != nil {
			return err
		}
		for name, c := range cost {
			for len(costs[name]) < len(total) {
				costs[name] = append(costs[name], "")
			}
			costs[name] = append(costs[name], fmt.Sprintf("%.1f", c))
		}
		total = append(total, fmt.Sprintf("%.1f", sum))
	}
	t := b.out.table("Where the server's CPU goes, us/event", "stage", kinds[0].name, kinds[1].name)
	t.note("A CPU profile (100 samples a second) of the same wiring in a process of its own; each sample belongs to the first stage of the table of which a function is on its stack. The profiles are kept with -dir: go tool pprof D/*.pprof.")
	for _, st := range append(slices.Clone(stageList), stage{name: "other"}) {
		if c := costs[st.name]; len(c) > 0 {
			t.add(append([]string{st.name}, c...)...)
		}
	}
	t.add(append([]string{"all"}, total...)...)
	return s.stop()
}

// profile runs work while the server is profiled and gives microseconds per
// event and stage, and their sum. The work outlives the profile or the other
// way round: only events of the time they share count, so the profile is asked
// for longer than the work takes and its samples are those of the work.
func (b *bench) profile(ctx context.Context, s *server, name string, work func() (int, error)) (map[string]float64, float64, error) {
	type answer struct {
		text []byte
		err  error
	}
	profiled := make(chan answer, 1)
	seconds := int(b.limit.Seconds()) / 3
	go func() {
		r, err := http.Get(fmt.Sprintf("%s/profile?seconds=%d", s.profile, seconds))
		if err != nil {
			profiled <- answer{nil, err}
			return
		}
		defer r.Body.Close()
		var body bytes.Buffer
		_, err = body.ReadFrom(r.Body)
		profiled <- answer{body.Bytes(), err}
	}()
	time.Sleep(200 * time.Millisecond)
	begin := time.Now()
	n, err := work()
	took := time.Since(begin)
	a := <-profiled
	if err != nil || a.err != nil {
		return nil, 0, fmt.Errorf("%v %w", err, a.err)
	}
	if took > time.Duration(seconds)*time.Second {
		n = int(float64(n) * float64(seconds) / took.Seconds())
	}
	file := filepath.Join(b.dir, name+".pprof")
	if err := os.WriteFile(file, a.text, 0o600); err != nil {
		return nil, 0, err
	}
	traces, err := exec.CommandContext(ctx, "go", "tool", "pprof", "-traces", file).Output()
	if err != nil {
		return nil, 0, fmt.Errorf("go tool pprof: %w", err)
	}
	cost := map[string]float64{}
	sum := 0.0
	for stack, d := range parseTraces(string(traces)) {
		us := float64(d.Microseconds()) / float64(max(n, 1))
		cost[stageOf(stack)] += us
		sum += us
	}
	return cost, sum, nil
}

// parseTraces reads the text of `go tool pprof -traces`: stacks, separated by
// lines of dashes, the first line of each beginning with its time.
func parseTraces(text string) map[string]time.Duration {
	stacks := map[string]time.Duration{}
	for _, block := range strings.Split(text, "-----------+")[1:] {
		_, block, _ = strings.Cut(block, "\n")
		stack := strings.TrimSpace(block)
		value, rest, ok := strings.Cut(stack, " ")
		d, err := time.ParseDuration(value)
		if !ok || err != nil {
			continue
		}
		stacks[rest] += d
	}
	return stacks
}

func stageOf(stack string) string {
	for _, st := range stageList {
		if slices.ContainsFunc(st.marks, func(m string) bool { return strings.Contains(stack, m) }) {
			return st.name
		}
	}
	return "other"
}
