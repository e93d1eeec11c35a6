package crash_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/platform/id"
	"github.com/belfryhq/belfry/test/poll"
)

// TestAFullDiskRefusesAndRecovers fills a small file system of its own under a running
// server. Only root may mount one.
func TestAFullDiskRefusesAndRecovers(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t, 64<<20)
	brokers, token := freeAddress(t), id.Secret(40)
	p := newProcess(t, token, "BELFRY_DATA_DIR="+filepath.Join(disk, "data"), "BELFRY_KAFKA_LISTEN="+brokers)
	c, a := newClient(token, p), newAckLog()
	p.start()
	p.waitReady()
	accounts := newAccounts(t, c, 2)
	x := newAuditor(t, c, a, accounts)
	l := startLoad(t, c, a, accounts, brokers, 20*time.Millisecond)
	grow(t, a, 100)
	x.look()

	t.Run("requests are refused and reads go on", func(t *testing.T) {
		fill(t, disk)
		refusal(t, a)
		of, known, ok := a.again(0)
		if !ok {
			t.Fatal("nothing was acknowledged")
		}
		for range 5 {
			if _, err := c.get(t.Context(), "/client/v4/accounts/"+of+"/audit/events/"+known); err != nil {
				t.Error(err)
			}
			if _, err := c.get(t.Context(), "/client/v4/accounts/"+of+"/audit_logs"); err != nil {
				t.Error(err)
			}
		}
		if !p.alive() {
			t.Fatal("the server ended")
		}
		if r, status := c.readiness(t); status != http.StatusServiceUnavailable || r.Ready {
			t.Errorf("/readyz says status %d while the disk is full: %+v", status, r)
		} else {
			t.Logf("/readyz: %s", r.reasons())
		}
	})
	t.Run("with room again it goes on without a restart", func(t *testing.T) {
		empty(t, disk)
		grow(t, a, 50)
		x.look()
		poll.Until(t, "ready again, or a request for a restart", func() bool {
			r, status := c.readiness(t)
			if status != http.StatusOK && strings.Contains(r.reasons(), "restart") {
				t.Logf("it asks for a restart: %s", r.reasons())
				return true
			}
			return status == http.StatusOK
		})
	})
	t.Run("killed while the disk is full", func(t *testing.T) {
		fill(t, disk)
		refusal(t, a)
		p.kill()
		p.start()
		select {
		case <-p.ready:
		case err := <-p.ended:
			p.processLife = nil
			if err == nil || !bytes.Contains([]byte(p.tail()), []byte("no space left on device")) &&
				!bytes.Contains([]byte(p.tail()), []byte("disk is full")) {
				t.Errorf("it ended (%v) and does not say why:\n%s", err, p.tail())
			}
		case <-time.After(patience):
			t.Fatal("it neither starts nor ends")
		}
		empty(t, disk)
		if p.processLife != nil {
			p.kill()
		}
		p.start()
		p.waitReady()
		grow(t, a, 50)
	})
	l.stop()
	x.finish()
	p.stop()
}

// smallDisk mounts an empty file system for the time of the test.
func smallDisk(t *testing.T, size int64) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("full disk left out: only root may mount a file system")
	}
	dir := t.TempDir()
	err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d,mode=700", size))
	if errors.Is(err, syscall.EPERM) {
		t.Skip("full disk left out: no file system can be mounted here")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	return dir
}

// fill writes a file until the disk takes nothing more, not even one byte.
func fill(t *testing.T, disk string) {
	t.Helper()
	f, err := os.Create(filepath.Join(disk, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 20; size > 0; {
		if _, err := f.Write(make([]byte, size)); errors.Is(err, syscall.ENOSPC) {
			size /= 2
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

func empty(t *testing.T, disk string) {
	t.Helper()
	if err := os.Remove(filepath.Join(disk, "filler")); err != nil {
		t.Fatal(err)
	}
}

// grow waits until n events more are acknowledged over HTTP.
func grow(t *testing.T, a *ackLog, n int) {
	t.Helper()
	before, _, _ := a.count()
	poll.Until(t, fmt.Sprintf("%d events more acknowledged over HTTP", n), func() bool {
		now, _, _ := a.count()
		return now >= before+n
	})
}

// refusal waits until a request is answered with 503.
func refusal(t *testing.T, a *ackLog) {
	t.Helper()
	_, _, before := a.count()
	poll.Until(t, "a request answered with 503", func() bool {
		_, _, now := a.count()
		return now >= before+3
	})
}
