package account

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/belfryhq/belfry/internal/platform/errs"
)

// A client with many attempts waits for itself: another's first attempt is next
// but one, and the queues are bounded.
func TestOneClientsAttemptsDoNotHoldUpTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHashing()
		var frees []func()
		for range maxHashing {
			free, err := h.slot(t.Context(), "busy")
			if err != nil {
				t.Fatal(err)
			}
			frees = append(frees, free)
		}
		order := make(chan string, 10)
		wait := func(client string) {
			go func() {
				free, err := h.slot(t.Context(), client)
				if err != nil {
					order <- client + " refused"
					return
				}
				order <- client
				free()
			}()
			synctest.Wait()
		}
		for range maxQueue {
			wait("busy")
		}
		wait("busy")
		if got := <-order; got != "busy refused" {
			t.Fatal(got)
		}
		wait("other")
		frees[0]() // hands on, one after the other
		synctest.Wait()
		first, second := <-order, <-order
		if first != "busy" || second != "other" {
			t.Fatalf("first %s, then %s", first, second)
		}
		frees[1]()
		synctest.Wait()
		if h.running != 0 || h.waiting != 0 || len(h.queues) != 0 || len(h.order) != 0 {
			t.Fatalf("%+v", h)
		}
	})
}

func TestWhoLeavesTheQueueTakesNoPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHashing()
		var frees []func()
		for range maxHashing {
			free, err := h.slot(t.Context(), "a")
			if err != nil {
				t.Fatal(err)
			}
			frees = append(frees, free)
		}
		ctx, cancel := context.WithCancel(t.Context())
		left := make(chan error, 1)
		go func() {
			_, err := h.slot(ctx, "a")
			left <- err
		}()
		synctest.Wait()
		cancel()
		if err := <-left; err == nil || errs.Is(err, errs.CodeRateLimited) {
			t.Fatal(err)
		}
		for _, free := range frees {
			free()
		}
		if h.running != 0 || h.waiting != 0 || len(h.queues) != 0 {
			t.Fatalf("%+v", h)
		}
	})
}

func TestPersonsWithOneAddressShareASaltAndNothingElse(t *testing.T) {
	h := newHashing()
	first, err := h.hash(t.Context(), "c", "a long password", "")
	if err != nil {
		t.Fatal(err)
	}
	second, err := h.hash(t.Context(), "c", "another password", first)
	if err != nil {
		t.Fatal(err)
	}
	a, err := decodeStored(first)
	if err != nil {
		t.Fatal(err)
	}
	b, err := decodeStored(second)
	if err != nil {
		t.Fatal(err)
	}
	if string(a.salt) != string(b.salt) || string(a.key) == string(b.key) {
		t.Fatal(first, second)
	}
	for password, want := range map[string]int{"a long password": 0, "another password": 2} {
		got, err := h.verifyAny(t.Context(), "c", []string{first, "", second}, password)
		if err != nil || len(got) != 1 || got[0] != want {
			t.Errorf("%s: %v %v", password, got, err)
		}
	}
	if got, err := h.verifyAny(t.Context(), "c", []string{first, second}, "wrong"); err != nil || len(got) != 0 {
		t.Fatal(got, err)
	}
}
