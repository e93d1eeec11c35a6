package crash_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // registers the driver "pgx"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/belfryhq/belfry/internal/platform/id"
	"github.com/belfryhq/belfry/test/engines"
	"github.com/belfryhq/belfry/test/poll"
)

// A cluster is several Belfry processes over one PostgreSQL and one Apache Kafka, all of
// them the test's own, with a load on all and an auditor.
type cluster struct {
	postgres, kafka *engines.Process
	database        string // URL of the database that the processes use
	token           string
	settings        []string

	nodes    []*process
	client   *client // any of the nodes
	acks     *ackLog
	accounts []string
	auditor  *auditor
	load     *load
}

// TestSeveralServersKeepWhatTheyAcknowledge runs two or three servers on PostgreSQL and
// Apache Kafka through everything that may happen to them. The record is the same from the
// first step to the last, where it is read from its beginning.
func TestSeveralServersKeepWhatTheyAcknowledge(t *testing.T) {
	c := newCluster(t)
	steps := []struct {
		name string
		run  func(*testing.T)
	}{
		{"one of two is killed, in turn", c.killed},
		{"one is stopped and another added", c.stopped},
		{"one account comes over two partitions", c.partitions},
		{"one freezes until its partitions have another owner", c.frozen},
		{"one freezes while it holds locks", c.frozenWithLocks},
		{"PostgreSQL is killed in mid-batch", c.postgresKilled},
		{"Kafka is killed in mid-batch", c.kafkaKilled},
	}
	for _, step := range steps {
		if !t.Run(step.name, func(t *testing.T) {
			c.auditor.t = t
			c.load.t = t
			step.run(t)
		}) {
			c.load.stop()
			return // what comes after would fail for the same reason
		}
	}
	c.auditor.t = t
	c.load.t = t
	c.load.stop()
	c.auditor.finish()
	for _, p := range c.nodes {
		p.stop()
	}
	t.Run("an old copy of the database is not signed", c.rolledBack)
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{
		postgres: engines.StartPostgres(t),
		kafka:    engines.StartKafka(t),
		token:    id.Secret(40),
		acks:     newAckLog(),
	}
	key := make([]byte, 32)
	rand.Read(key) // never fails, see crypto/rand
	c.database = c.postgres.URL()
	c.settings = []string{"BELFRY_KAFKA_BROKERS=" + c.kafka.URL(),
		"BELFRY_MASTER_KEY=" + base64.StdEncoding.EncodeToString(key)}
	for range 2 {
		c.nodes = append(c.nodes, c.newNode(t))
	}
	for _, p := range c.nodes { // both at once: the first start of an installation, too, may be of several
		p.start()
	}
	for _, p := range c.nodes {
		p.waitReady()
	}
	c.client = newClient(c.token, c.nodes...)
	c.accounts = newAccounts(t, c.client, 3)
	c.auditor = newAuditor(t, c.client, c.acks, c.accounts)
	c.load = startLoad(t, c.client, c.acks, c.accounts, c.kafka.URL(), 100*time.Millisecond)
	return c
}

// newNode prepares a process. PostgreSQL knows its connections by its address.
func (c *cluster) newNode(t *testing.T) *process {
	p := newProcess(t, c.token, c.settings...)
	p.env = append(p.env, "BELFRY_DATABASE_URL="+c.database+"&application_name="+url.QueryEscape(p.url))
	return p
}

// auditFrom lets the auditor ask one node only.
func (c *cluster) auditFrom(p *process) { c.auditor.client = c.client.at(p) }

func (c *cluster) killed(t *testing.T) {
	n := 4
	if all := kills(t); all > 40 {
		n = all / 10
	}
	var slowest time.Duration
	for i := range n {
		victim, other := c.nodes[i%2], c.nodes[1-i%2]
		wait(t.Context(), mathrand.N(time.Second))
		victim.kill()
		c.auditFrom(other)
		c.auditor.look()
		grow(t, c.acks, 20) // the other one goes on alone
		victim.start()
		slowest = max(slowest, victim.waitReady())
		c.auditFrom(victim)
		c.auditor.look()
	}
	t.Logf("%d kills, slowest start %s", n, slowest.Round(time.Millisecond))
}

func (c *cluster) stopped(t *testing.T) {
	c.nodes[0].stop()
	c.auditFrom(c.nodes[1])
	c.auditor.look()
	added := c.newNode(t)
	added.start()
	added.waitReady()
	c.auditFrom(added)
	grow(t, c.acks, 20)
	c.auditor.look()
	added.stop()
	c.nodes[0].start()
	c.nodes[0].waitReady()
	c.auditor.client = c.client
}

// partitions publishes the events of one account to two partitions alternately, as two
// producers do whose partitioners hash differently. Every third event goes to both.
func (c *cluster) partitions(t *testing.T) {
	cl := newProducer(t, c.kafka.URL(), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	defer cl.Close()
	account := c.accounts[0]
	for n := range 300 {
		eventID := fmt.Sprintf("%spartition.%d", idPrefix, n)
		records := []int32{int32(n % 2)}
		if n%3 == 0 {
			records = []int32{0, 1}
		}
		for _, partition := range records {
			if err := cl.ProduceSync(t.Context(), busRecord(account, eventID, partition)).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.acks.note(account, eventID, overBus); err != nil {
			t.Fatal(err)
		}
	}
	c.drained(t)
}

// drained waits until everything that the bus has acknowledged so far is in the record.
func (c *cluster) drained(t *testing.T) {
	t.Helper()
	wanted := map[string]map[string]int64{}
	for _, account := range c.accounts {
		wanted[account], _ = c.acks.expected(account)
	}
	poll.Until(t, "what Kafka acknowledged in the record", func() bool {
		c.auditor.look()
		for account, list := range wanted {
			still, _ := c.acks.expected(account)
			for eventID := range list {
				if _, ok := still[eventID]; ok {
					return false
				}
			}
		}
		return true
	})
}

// frozen stops a process in the middle of its work until the other one owns all partitions,
// and wakes it: it still holds batches of partitions that are no longer its own.
func (c *cluster) frozen(t *testing.T) {
	poll.Until(t, "both consume", func() bool { return c.owned(t, c.nodes[0]) > 0 && c.owned(t, c.nodes[1]) > 0 })
	for i := range 2 {
		zombie, other := c.nodes[i], c.nodes[1-i]
		c.auditFrom(other)
		zombie.signal(syscall.SIGSTOP)
		poll.Until(t, "the other one owns all partitions", func() bool { return c.owned(t, other) == 16 })
		grow(t, c.acks, 20)
		zombie.signal(syscall.SIGCONT)
		poll.Until(t, "the frozen one takes part again", func() bool { return c.owned(t, zombie) > 0 })
		c.drained(t)
	}
	c.auditor.client = c.client
	c.allReady(t)
}

var stateOK = regexp.MustCompile(
	`(?m)^belfry_bus_partition_state\{[^}]*group="belfry\.audit"[^}]*topic="belfry\.audit\.events"[^}]*\} 1$`)

// owned is the number of partitions that a process consumes, by its metrics.
func (c *cluster) owned(t *testing.T, p *process) int {
	t.Helper()
	text, err := c.client.at(p).get(t.Context(), "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	return len(stateOK.FindAll(text, -1))
}

// frozenWithLocks freezes a process in the middle of a transaction: the other one needs the
// rows that it has locked.
func (c *cluster) frozenWithLocks(t *testing.T) {
	zombie, other := c.nodes[0], c.nodes[1]
	c.auditFrom(other)
	d, err := sql.Open("pgx", c.database)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	poll.Until(t, "frozen in the middle of a transaction that locks a head", func() bool {
		zombie.signal(syscall.SIGSTOP)
		if holdsHead(t, d, zombie.url) {
			return true
		}
		zombie.signal(syscall.SIGCONT)
		return false
	})
	began := time.Now()
	alone := c.client.at(other)
	for _, account := range c.accounts {
		poll.Until(t, "the other one appends to every account", func() bool {
			eventID := fmt.Sprintf("%slocked.%d", idPrefix, mathrand.Uint64())
			ctx, cancel := context.WithTimeout(t.Context(), callLimit)
			defer cancel()
			return alone.post(ctx, t, c.acks, account, []string{eventID}, "single") == nil
		})
	}
	t.Logf("the locks of the frozen process held the others up for %s", time.Since(began).Round(time.Millisecond))
	zombie.signal(syscall.SIGCONT)
	c.drained(t)
	c.auditor.client = c.client
	c.allReady(t)
}

// holdsHead reports whether the process has an open transaction that has locked rows of
// heads and now waits for its next statement.
func holdsHead(t *testing.T, d *sql.DB, application string) bool {
	t.Helper()
	var n int
	err := d.QueryRowContext(t.Context(), `SELECT count(*) FROM pg_stat_activity a JOIN pg_locks l ON l.pid = a.pid
		WHERE a.application_name = $1 AND a.state = 'idle in transaction' AND l.granted
		AND l.relation = 'audit.head'::regclass AND l.mode IN ('RowShareLock', 'RowExclusiveLock')`, application).Scan(&n)
	if err != nil {
		t.Fatal(err)
	}
	return n > 0
}

func (c *cluster) postgresKilled(t *testing.T) {
	for range 2 {
		wait(t.Context(), mathrand.N(time.Second))
		c.postgres.Kill()
		refusal(t, c.acks)
		if r, status := c.client.readiness(t); status != http.StatusServiceUnavailable {
			t.Errorf("/readyz without its database: %d, %+v", status, r)
		}
		c.postgres.Start()
		grow(t, c.acks, 50)
		c.drained(t)
	}
	c.allReady(t)
}

func (c *cluster) kafkaKilled(t *testing.T) {
	for range 2 {
		wait(t.Context(), mathrand.N(time.Second))
		c.kafka.Kill()
		grow(t, c.acks, 20) // the ledger's commit needs no bus
		began := time.Now()
		a, err := c.client.send(t.Context(), "GET", "/client/v4/accounts/"+c.accounts[0]+"/audit/log/checkpoint", "", nil)
		t.Logf("without Kafka a checkpoint is answered with status %d after %s", a.status,
			time.Since(began).Round(time.Millisecond))
		if err != nil || a.status != http.StatusServiceUnavailable && a.status != http.StatusOK {
			t.Errorf("a checkpoint without the signer's memory: %v, status %d: %.300s", err, a.status, a.body)
		}
		c.kafka.Start()
		c.drained(t)
	}
	c.allReady(t)
}

// allReady waits until every server is ready by its own account.
func (c *cluster) allReady(t *testing.T) {
	t.Helper()
	for _, p := range c.nodes {
		var reasons string
		deadline := time.Now().Add(patience)
		for status := 0; status != http.StatusOK; {
			if time.Now().After(deadline) {
				t.Fatalf("%s is not ready after %s: %s", p.url, patience, reasons)
			}
			var r readiness
			r, status = c.client.at(p).readiness(t)
			reasons = r.reasons()
			wait(t.Context(), 50*time.Millisecond)
		}
	}
}

// rolledBack puts a copy of the database back that is older than the last checkpoint. No
// other step may follow: it breaks the record.
func (c *cluster) rolledBack(t *testing.T) {
	p := c.nodes[0]
	alone := c.client.at(p)
	name := strings.TrimPrefix(mustParse(t, c.database).Path, "/")
	copyDatabase(t, c.postgres.URL(), name, "backup")
	p.start()
	p.waitReady()
	account := c.accounts[0]
	publish(t, alone, account, "lost", 6)
	signed(t, alone, account, c.auditor.accounts[0].upTo.Size+6)
	p.stop()
	copyDatabase(t, c.postgres.URL(), "backup", name)
	p.start()
	p.waitReady()
	publish(t, alone, account, "before", 8)
	refuses(t, alone, account)
	p.stop()
}

func mustParse(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// copyDatabase replaces a database by a copy of another. Nobody may be connected to either.
func copyDatabase(t *testing.T, server, from, to string) {
	t.Helper()
	u := mustParse(t, server)
	u.Path = "/postgres"
	d, err := sql.Open("pgx", u.String())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for _, statement := range []string{`DROP DATABASE IF EXISTS ` + to + ` WITH (FORCE)`,
		`CREATE DATABASE ` + to + ` TEMPLATE ` + from} {
		if _, err := d.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}
