package broker_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/platform/broker"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/errs"
)

// smallDisk mounts an empty file system of 32 MB for the time of the test.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=33554432,mode=700"); err != nil {
		t.Skipf("full disk left out: no file system can be mounted here (%v)", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	return dir
}

// fill leaves no byte free, in a file that it names.
func fill(t *testing.T, disk string) string {
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
	return f.Name()
}

func TestAFullDiskRefusesRecordsAndRecoversWithoutARestart(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t)
	dir := filepath.Join(disk, "bus")
	b := started(t, broker.Config{DataDir: dir, DiskShare: 1, Topics: []bus.Topic{{Name: "a"}, {Name: "b"}}})
	numbered(t, b.Cluster(), "a", 0, 10)
	// Held from before: a client whose sequence numbers go on.
	steady, err := bus.NewProducer(bus.ProducerConfig{Cluster: b.Cluster(), Timeout: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer steady.Close(t.Context())
	message := func(v string) bus.Message { return bus.Message{Topic: "a", Value: []byte(v)} }
	if err := steady.Publish(t.Context(), message("10")); err != nil {
		t.Fatal(err)
	}
	filler := fill(t, disk)
	refused := func() {
		t.Helper()
		if err := try(t, b.Cluster(), "a", 64, 9000, 2*time.Second); err == nil {
			t.Fatal("a full disk took 64 records")
		}
		if err := steady.Publish(t.Context(), message("refused")); errs.KindOf(err) != errs.Unavailable {
			t.Fatalf("while the disk is full: %v", err)
		}
		if err := b.Ready(); err == nil || !strings.Contains(err.Error(), "disk") {
			t.Fatalf("ready: %v", err)
		}
	}
	refused()
	if b.CheckDisk(); b.Ready() == nil {
		t.Fatal("ready on a full disk")
	}
	refused()
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if b.CheckDisk() || b.Ready() != nil {
		t.Fatalf("with room again: %v", b.Ready())
	}
	if err := steady.Publish(t.Context(), message("11")); err != nil {
		t.Fatal(err)
	}
	numbered(t, b.Cluster(), "a", 12, 3)
	want := "0 1 2 3 4 5 6 7 8 9 10 11 12 13 14"
	if got := strings.Join(read(t, b.Cluster(), "a", 15), " "); got != want {
		t.Fatalf("read %s", got)
	}
	after := started(t, broker.Config{DataDir: killed(t, dir), Topics: []bus.Topic{{Name: "a"}}})
	if err := after.Ready(); err != nil {
		t.Fatalf("after a crash: %v", err)
	}
	if got := strings.Join(read(t, after.Cluster(), "a", 15), " "); got != want {
		t.Fatalf("after a crash: read %s", got)
	}
}
