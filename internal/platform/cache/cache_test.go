package cache

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestCallersShareALoadUntilTheEntryExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New[string, int64](100, 5*time.Second, time.Now)
		var asked atomic.Int64
		fetch := func(context.Context) (int64, error) {
			time.Sleep(time.Second)
			return asked.Add(1), nil
		}
		var wait sync.WaitGroup
		for range 50 {
			wait.Go(func() {
				if v, err := c.Get(t.Context(), "k", fetch); v != 1 || err != nil {
					t.Error(v, err)
				}
			})
		}
		wait.Wait()
		time.Sleep(5*time.Second - time.Nanosecond)
		if v, _ := c.Get(t.Context(), "k", fetch); v != 1 {
			t.Error(v)
		}
		time.Sleep(time.Nanosecond)
		if v, _ := c.Get(t.Context(), "k", fetch); v != 2 {
			t.Error(v)
		}
	})
}

func TestALoadThatBeganBeforeAChangeIsNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New[string, string](100, time.Hour, time.Now)
		var stored atomic.Value
		stored.Store("old")
		slow := func(context.Context) (string, error) {
			v := stored.Load().(string)
			time.Sleep(time.Second)
			return v, nil
		}
		go c.Get(t.Context(), "k", slow)
		synctest.Wait() // it has read "old" and is on its way
		stored.Store("new")
		c.Evict("k")
		if v, _ := c.Get(t.Context(), "k", slow); v != "new" {
			t.Error("joined a load that began before the change:", v)
		}
		time.Sleep(time.Minute)
		if v, _ := c.Get(t.Context(), "k", slow); v != "new" {
			t.Error("kept what was loaded before the change:", v)
		}
	})
}

func TestTheCacheEvictsTheLeastRecentlyUsed(t *testing.T) {
	c := New[int, int](100, time.Hour, time.Now)
	ask := func(key int) (fetched bool) {
		c.Get(t.Context(), key, func(context.Context) (int, error) { fetched = true; return key, nil })
		return fetched
	}
	for key := range 10_000 {
		ask(key)
		if ask(0) && key > 0 {
			t.Fatal("forgot a key that is used all the time, after", key)
		}
	}
	if n := len(c.young) + len(c.old); n > 100 {
		t.Fatal(n)
	}
	if !ask(1) {
		t.Fatal("kept everything")
	}
}

func TestErrorsAndPanicsAreNotKept(t *testing.T) {
	c := New[string, int](10, time.Hour, time.Now)
	bad := errors.New("down")
	if _, err := c.Get(t.Context(), "k", func(context.Context) (int, error) { return 0, bad }); !errors.Is(err, bad) {
		t.Fatal(err)
	}
	func() {
		defer func() { recover() }()
		c.Get(t.Context(), "k", func(context.Context) (int, error) { panic("x") })
	}()
	if v, err := c.Get(t.Context(), "k", func(context.Context) (int, error) { return 7, nil }); v != 7 || err != nil {
		t.Fatal(v, err)
	}
}
